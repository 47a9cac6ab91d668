"""What looks wrong about a log though every row of it is good: units of time, and feedback that nearly all events have.

A play time in seconds makes a skip of nearly every event, a rating written into `like` makes a like of each: no row
says so, the whole does.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import feedback
from data.raw import spellings
from data.timelines import NEVER_MS

MAX_SKIPS = 0.8  # of the plays; of KuaiRand's 41%
MAX_LONG_VIEWS = 0.9  # of the plays; of KuaiRand's 32%
MAX_LIKES, MAX_DISLIKES = 0.95, 0.5  # of the events
SHORTEST, LONGEST = 0.02, 5.0  # the median play, in durations of its item
MAX_PLAY_MS = 6 * 3_600_000  # the median play
# Of KuaiRand the 99th percentile of plays is 217 s, the median video 81 s; two hours in seconds would be 7.2 s.
MIN_PLAY_MS = 10_000  # the 99th percentile of plays that are not 0
MIN_DURATION_MS = 3_000  # the median item
MAX_SURFACES = 1_000
MANY_USERS, MAX_OF_ONE_USER = 20, 0.25  # of the events
_IN_SECONDS = "is {0} in seconds? Then schema.yaml says `{0}: {{column: …, unit: s}}`"
_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
NEARLY_ALL = 0.9  # of the items
# Seconds, minutes and days of this century, taken for milliseconds, lie in January 1970; microseconds after all of it.
_JANUARY_1970_MS, _YEAR_2100_MS = 31 * _DAY_MS, 4_102_444_800_000
MAX_EARLY = 0.2  # of the items that have events
_LOST_MS = 1_000_000  # times in steps of so much that are no whole minutes: no clock ticks so


def warnings(
    arrays: Mapping[str, NDArray[Any]],
    *,
    item_duration_ms: NDArray[np.integer],
    user_ids: pl.Series,
    item_ids: pl.Series,
) -> list[str]:
    """What a user should look at, a line each.

    Args:
      arrays: the event arrays [E] of timelines (`data.timelines.EVENT_DTYPES`); earlier history is not looked at.
      item_duration_ms: [N + 1] of the items, -1 where unknown. user_ids: [U], item_ids: [N], as the log has them.
    """
    dated = arrays["timestamp_ms"] > 0
    bits, play_ms, time, surface, item = (
        arrays[name][dated] for name in ("feedback", "play_ms", "timestamp_ms", "surface", "item")
    )
    duration_ms = item_duration_ms[item]
    found = []
    played = play_ms >= 0
    longest_ms, long_ms = _quantile(play_ms, 0.99), _quantile(item_duration_ms, 0.5)
    if longest_ms < MIN_PLAY_MS:
        found.append(f"99% of plays last at most {longest_ms / 1000:.2g} seconds: {_IN_SECONDS.format('play_ms')}")
    if long_ms < MIN_DURATION_MS:
        found.append(
            f"half of the items last at most {long_ms / 1000:.2g} seconds: {_IN_SECONDS.format('duration_ms')}"
        )
    if played.any():
        skips = feedback.has(bits[played], "skip").mean()
        if skips > MAX_SKIPS and longest_ms >= MIN_PLAY_MS:
            found.append(
                f"{skips:.1%} of plays are skips, under three seconds without a positive action: "
                "is play_ms in milliseconds, and empty where nothing was played?"
            )
        median = np.median(play_ms[played])
        if median > MAX_PLAY_MS:
            found.append(f"the median play lasts {median / 3_600_000:,.0f} hours: is play_ms in milliseconds?")
        long_views = feedback.has(bits[played], "long_view").mean()
        if long_views > MAX_LONG_VIEWS and longest_ms >= MIN_PLAY_MS and median <= MAX_PLAY_MS:
            found.append(
                f"{long_views:.1%} of plays are long views, which are positive, so that they tell little: schema.yaml "
                "says what is one, such as half of the item, `long_view: {played: 0.5}`"
            )
        both = (play_ms > 0) & (duration_ms > 0)
        times = float(np.median(play_ms[both] / duration_ms[both])) if both.any() else 1.0
        if not SHORTEST <= times <= LONGEST:
            found.append(
                f"the median play lasts {times:,.4g} times as long as its item: are play_ms and duration_ms both in "
                "milliseconds?"
            )
    for name, most in (("like", MAX_LIKES), ("dislike", MAX_DISLIKES)):
        share = feedback.has(bits, name).mean()
        if share > most:
            found.append(
                f"{share:.1%} of events have a {name}: does the column say 0 where somebody saw an item and gave none, "
                "and are such events in the log?"
            )
    users = np.repeat(np.arange(len(user_ids)), np.diff(arrays["offsets"]))[dated]
    events = np.bincount(users, minlength=len(user_ids))
    if len(user_ids) >= MANY_USERS and events.max() > MAX_OF_ONE_USER * len(users):
        who, share = user_ids[int(events.argmax())], events.max() / len(users)
        found.append(
            f"one of {len(user_ids):,} users, '{who}', has {share:.1%} of the events: does this "
            "user_id stand for those who are not known?"
        )
    surfaces = len(np.unique(surface[surface > 0]))
    if surfaces > MAX_SURFACES:
        found.append(
            f"surface has {surfaces:,} values: is it a place in the app, such as a tab, and not an id of its own "
            "for each visit?"
        )
    if len(time) > 1 and (time % _DAY_MS == time[0] % _DAY_MS).all():
        found.append(
            "all times are of the same moment of a day: within a day, events are taken in the order of the file"
        )
    step = int(np.gcd.reduce(time)) if len(time) > 1 else 0
    if step % _LOST_MS == 0 and step % _MINUTE_MS:
        found.append(
            f"all times are multiples of {step // 1000:,} seconds: has a spreadsheet shown them as 1.73569E+12, and "
            "are their last digits lost?"
        )
    for name, ids in (("user_id", user_ids), ("item_id", item_ids)):
        found += _of_ids(name, ids.drop_nulls()) if ids.dtype == pl.String else []
    return found


def of_uploads(uploaded_ms: pl.Series, first_ms: pl.Series) -> tuple[list[str], list[str]]:
    """Notes and warnings of when items were uploaded, null where unknown: any moment may be one, the whole tells.

    Args: first_ms, of each item's first event: 0 where its time is unknown, and later than everything where none is.
    """
    known = uploaded_ms.drop_nulls()
    for odd, where, unit in (
        ((known > 0) & (known < _JANUARY_1970_MS), "in January 1970", "s"),
        (known > _YEAR_2100_MS, "after the year 2100", "us"),
    ):
        share = odd.sum() / max(len(known), 1)
        if share >= NEARLY_ALL:
            return [], [
                f"uploaded_ms: {share:.1%} of the items that have one are of a time {where}: is it another unit, "
                f"as schema.yaml says by `uploaded_ms: {{column: …, unit: {unit}}}`?"
            ]
    both = uploaded_ms.is_not_null() & (first_ms > 0) & (first_ms < NEVER_MS)
    early, met = int(((first_ms < uploaded_ms) & both).sum()), int(both.sum())
    if not early:
        return [], []
    of_items = f"{early:,} of {met:,} items"
    told = f"uploaded_ms: events lie before it for {of_items}, which count as there since their first event"
    if early <= MAX_EARLY * met:
        return [told], []
    return [], [f"{told}: is it when they were imported or changed, or a time of another zone or unit?"]


def _quantile(lengths: NDArray[np.integer], share: float) -> float:
    """The length that this share of those above 0 do not exceed, infinite where there are none."""
    known = lengths[lengths > 0]
    return float(np.quantile(known, share)) if len(known) else np.inf


def _of_ids(name: str, ids: pl.Series) -> list[str]:
    """Text that people or programs have made of other ids, so that several may have become one, or one several."""
    found = []
    if nothing := [word for word in ids.filter(ids.str.len_chars() < 10) if spellings.nothing(word)]:
        word = nothing[0].replace("'", "''")
        found.append(
            f"{name} '{nothing[0]}': does it stand for what is not known? Then schema.yaml says `empty: ['{word}']`"
        )
    shortened = ids.filter(ids.str.contains(r"^\d[.,]\d+[eE]\+\d\d$"))
    if len(shortened):
        found.append(
            f"{len(shortened):,} of {name} are written like {shortened[0]}: has a spreadsheet shortened them, so that "
            "several are one?"
        )
    bare = ids.str.strip_chars()
    if bare.n_unique() < ids.n_unique():
        one = ids.filter(bare.is_duplicated() & (bare != ids))[0]
        found.append(f"{name} '{one}' differs from another by white space alone: are they the same?")
    return found
