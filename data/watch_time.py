"""The feedback that watch time alone gives: whether somebody watched an item longer than others did, or hardly at all.

    EVV (engaged)  watched longer than 50% of the item's viewers
    FVV (focused)  watched longer than 60% of them
    GVV (glance)   watched under three seconds

after Pan et al., CIKM '23, table 1. Unlike data/feedback.py's skip, a glance is one whatever else the viewer did. And,
for whoever reads a history, how much of the item was watched: `watched_25` is at least a quarter of its duration.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges
from data.feedback import SKIP_BELOW_MS
from data.timelines import Timelines

WATCH_FEEDBACK = ("EVV", "FVV", "GVV")
SHARES = {"watched_25": 0.25, "watched_50": 0.5, "watched_75": 0.75, "watched_100": 1.0}  # of the item's duration
WATCHED = (*WATCH_FEEDBACK, *SHARES)  # all that watch time alone gives
QUANTILES = (0.5, 0.6)  # of EVV and FVV
RELATIVE = ("EVV", "FVV")  # to the item's own plays
BOUNDED = (*RELATIVE, *SHARES)  # the columns of the thresholds: above its own, a play is one
MIN_PLAYS = 20  # an item of fewer is measured against all items of about its duration


def thresholds(timelines: Timelines, *, min_plays: int = MIN_PLAYS) -> NDArray[np.float32]:
    """The watch time above which a play is each of BOUNDED: ms, float32 [N + 1, 6].

    EVV, FVV: the quantiles of the item's plays on the training days, or, where there are fewer than `min_plays`, of the
    plays of all items in its duration bucket, or of all plays, as in row 0, the padding. Nothing on a later day moves
    them. Infinite where no training event has a watch time. Shares: a millisecond less than that part of the duration,
    infinite where it is unknown. What has an infinite bound is known of no play.
    """
    return np.concatenate([_quantiles(timelines, min_plays), _shares(timelines)], axis=1).astype(np.float32)


def _quantiles(timelines: Timelines, min_plays: int) -> NDArray[np.float64]:
    counted = timelines.in_split("train") & (timelines.play_ms >= 0)
    item, play_ms = timelines.item[counted], timelines.play_ms[counted].astype(np.float64)
    if not len(play_ms):
        return np.full((timelines.num_items + 1, len(QUANTILES)), np.inf)
    bucket = timelines.item_column("duration")
    overall, _ = group_quantiles(play_ms, np.zeros(len(item), np.int64), 1)  # [1, 2]
    per_bucket, plays = group_quantiles(play_ms, bucket[item], int(bucket.max()) + 1)
    per_bucket = np.where(plays[:, None] >= min_plays, per_bucket, overall)
    per_item, plays = group_quantiles(play_ms, item, timelines.num_items + 1)
    values = np.where(plays[:, None] >= min_plays, per_item, per_bucket[bucket])
    values[0] = overall[0]
    return values


def _shares(timelines: Timelines) -> NDArray[np.float64]:
    duration = timelines.item_column("duration_ms").astype(np.float64)
    bounds = np.ceil(duration[:, None] * list(SHARES.values())) - 1  # at least the share, in whole milliseconds
    return np.where(duration[:, None] > 0, bounds, np.inf)


def group_quantiles(
    values: NDArray[np.float64], groups: NDArray[np.integer], num_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """QUANTILES of each group's values, [G, 2], linear between neighbours, 0 for an empty group; and sizes [G]."""
    ordered = values[np.lexsort((values, groups))]
    sizes = np.bincount(groups, minlength=num_groups)
    first = ranges.begins(sizes)
    place = np.maximum(sizes - 1, 0)[:, None] * np.asarray(QUANTILES)  # [G, 2], counted within the group
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(sizes - 1, 0)[:, None])
    low, high = (ordered[np.minimum(first[:, None] + offset, max(len(ordered) - 1, 0))] for offset in (below, above))
    return np.where(sizes[:, None] > 0, low + (place - below) * (high - low), 0.0), sizes


def watch_feedback(
    play_ms: ArrayLike, item: ArrayLike, thresholds_ms: NDArray[np.float32]
) -> dict[str, NDArray[np.bool_]]:
    """Each of WATCHED of plays [E] of items [E], bool [E]; all False where the watch time is unknown (negative)."""
    play = np.asarray(play_ms)
    longer = play[..., None] > thresholds_ms[np.asarray(item)]  # [E, 6]
    known = play >= 0
    of_bounds = {name: known & longer[..., column] for column, name in enumerate(BOUNDED)}
    return {**of_bounds, "GVV": known & (play < SKIP_BELOW_MS)}


def watch_known(
    play_ms: ArrayLike, item: ArrayLike, thresholds_ms: NDArray[np.float32]
) -> dict[str, NDArray[np.bool_]]:
    """Where each of WATCHED is known of plays [E] of items [E], bool [E]: of a known watch time and a finite bound."""
    known = np.asarray(play_ms) >= 0
    bounded = np.isfinite(thresholds_ms)[np.asarray(item)]  # [E, 6]
    return {**{name: known & bounded[..., column] for column, name in enumerate(BOUNDED)}, "GVV": known}
