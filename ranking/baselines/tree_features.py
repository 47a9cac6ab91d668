"""The features that trees read of an impression: numbers and categories, all known before it happens.

What the neural ranker reads, the same feedback of past events, and what trees cannot find themselves: smoothed rates of
every feedback by user, item, creator, tag and pairs of them, each over the events strictly before
(data/rates.py); the last outcomes and the time since; ids, platform, hour, item features and profile as
categories, and of a feature of which an item may have several, whether it has each; the items' embeddings.

No rate of EVV or FVV by item, or by what names the item. They are measured against the item's own plays of the
training days, half of which are EVV by definition: there, each earlier one makes a later one rarer, and trees learn
that, while on any other day it is not so. The item's threshold stands for it. Nor a rate by platform alone, which is a
clock. On the validation days of KuaiRand-Pure this, and leaving out rates by user and item and by user and second tag,
takes EVV from an AUC / GAUC of .703 / .548 to .727 / .602.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.impressions import history_ends
from data.rates import NO_KEY, Rates, smoothed
from data.timelines import Timelines
from data.watch_time import RELATIVE
from ranking.log_statistics import LogStatistics, outcomes

BY_ITEM = ("item", "creator", "item_surface")
PRIOR_COUNT = {"user": 10.0, "user_cluster": 10.0, "user_surface": 10.0}  # 20 for the others
_RECENT = (5, 20)  # events
_RECENT_PRIOR_COUNT = 3.0
_LAST = 2
_SESSION_MS = 30 * 60_000
_HOUR_MS = 3_600_000
_OF_SEVERAL = 64  # codes of a feature of which an item may have several, the most common ones


class Table(NamedTuple):
    """values [n, F] float32, NaN where unknown; `names` [F]; `categories`, those whose numbers are codes from 0."""

    values: NDArray[np.float32]
    names: tuple[str, ...]
    categories: tuple[str, ...]


def build(timelines: Timelines, statistics: LogStatistics, positions: NDArray[np.int64]) -> Table:
    """The rows of the impressions at event positions [n]; every event of the log may count into a later one's rates."""
    names, observed = _outcomes(timelines, statistics)  # [E, W]
    trained = observed[timelines.in_split("train")]
    prior = np.nansum(trained, axis=0) / np.maximum((~np.isnan(trained)).sum(axis=0), 1)
    codes = _codes(timelines)
    numbers: dict[str, NDArray[Any]] = {}
    for key, values in _keys(timelines, codes).items():
        count = PRIOR_COUNT.get(key, 20.0)
        before = Rates(values, observed, timelines.timestamp_ms, prior_rate=prior, prior_count=count)
        rates = before.at(values[positions], timelines.timestamp_ms[positions])
        numbers |= {
            f"{key}/{name}": rates[:, k]
            for k, name in enumerate([*names, "count"])
            if not (key in BY_ITEM and name in RELATIVE)
        }
    numbers |= _recent(timelines, observed, names, codes, prior, positions)
    numbers["log_duration"] = np.log1p(np.maximum(timelines.duration_ms[positions], 0) / 1000)
    limits = np.log1p(statistics.thresholds[timelines.item[positions]] / 1000)
    finite = np.atleast_1d(np.isfinite(limits).all(axis=0))
    numbers |= _content(timelines, positions)
    numbers |= {f"threshold/{name}": limits[:, k] for k, name in enumerate(RELATIVE) if finite[k]}
    user = timelines.user_of_event()[positions]
    profile = [feature["name"] for feature in statistics.manifest["user_features"]]
    categories = {name: values[positions] for name, values in codes.items()}
    categories |= {name: statistics.user_features[user + 1, column] for column, name in enumerate(profile)}
    columns = [np.asarray(column, np.float32) for column in (numbers | categories).values()]
    return Table(np.stack(columns, axis=1), (*numbers, *categories), tuple(categories))


def _content(timelines: Timelines, positions: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    # What categories of one code an item do not say: all codes of those that have several, and embeddings.
    content, item = timelines.item_content(), timelines.item[positions]
    columns: dict[str, NDArray[Any]] = {}
    for place, name in enumerate(content.names):
        codes = content.codes[:, np.equal(content.owner, place)]
        if codes.shape[1] < 2:
            continue
        count = np.bincount(codes[timelines.item[timelines.in_split("train")]].ravel())
        count[:1] = 0  # not there
        common = np.argsort(-count, kind="stable")[:_OF_SEVERAL]
        columns |= {f"{name}={code}": (codes == code).any(axis=1)[item] for code in common if count[code]}
    return columns | {f"embedding/{k}": content.embeddings[item, k] for k in range(content.embeddings.shape[1])}


def _outcomes(timelines: Timelines, statistics: LogStatistics) -> tuple[list[str], NDArray[np.float64]]:
    # Of the history's feedback, what training events tell apart: [E, W], NaN where unknown.
    names = [
        name
        for name, seen in zip(statistics.manifest["history_feedback"], statistics.feedback_seen, strict=True)
        if seen
    ]
    values, known = outcomes(timelines, names, statistics.thresholds)
    return names, np.where(known, values, np.nan)


def _codes(timelines: Timelines) -> dict[str, NDArray[np.int64]]:
    # The categories of each event, [E].
    of_items = {
        feature["name"]: timelines.item_column(feature["name"])[timelines.item]
        for feature in timelines.manifest["item_features"]
    }
    return {
        "item": timelines.item.astype(np.int64),
        "surface": timelines.surface.astype(np.int64),
        "hour": timelines.timestamp_ms // _HOUR_MS % 24,
        **of_items,
    }


def _keys(timelines: Timelines, codes: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    # What rates are taken by; pairs of a user, or an item, with a category; unknown categories have no rate.
    user = timelines.user_of_event().astype(np.int64)
    known: dict[str, NDArray[Any]] = {name: np.where(code > 0, code, NO_KEY) for name, code in codes.items()}
    singles = {name: known[name] for name in ("item", "creator", "cluster") if name in known}
    pairs = {
        f"user_{name}": _pair(user, known[name])
        for name in ("cluster", "creator", "surface", "duration", "item.upload_type")
        if name in known
    }
    return {"user": user} | singles | pairs | {"item_surface": _pair(codes["item"], known["surface"])}


def _pair(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    width = int(second.max(initial=0)) + 1
    return np.where(second == NO_KEY, NO_KEY, first * width + second)


def _recent(
    timelines: Timelines,
    observed: NDArray[np.float64],
    names: list[str],
    codes: Mapping[str, NDArray[np.int64]],
    prior: NDArray[np.float64],
    positions: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    # The user's last events before each impression: their outcomes one by one, and smoothed rates of the last few.
    time = timelines.timestamp_ms
    first = timelines.offsets[timelines.user_of_event()[positions]]
    end = history_ends(timelines)[positions]
    columns: dict[str, NDArray[Any]] = {}
    for lag in range(1, _LAST + 1):
        at = end - lag
        real = (at >= first) & (time[np.maximum(at, 0)] > 0)
        at = np.where(real, at, 0)
        columns |= {f"last{lag}/{n}": np.where(real, observed[at, k], np.nan) for k, n in enumerate(names)}
        gap = np.log1p(np.where(real, time[positions] - time[at], 0) / 1000)
        columns[f"last{lag}/gap"] = np.where(real, gap, np.nan)
        for name in [n for n in ("creator", "cluster", "duration", "surface") if n in codes]:
            same = codes[name][positions] == codes[name][at]
            columns[f"last{lag}/same_{name}"] = np.where(real, same, np.nan)
    known = ~np.isnan(observed)
    sums, counts = (ranges.sums_before(a, np.float64) for a in (np.where(known, observed, 0.0), known))
    for length in _RECENT:
        begin = np.maximum(end - length, first)
        total, count = sums[end] - sums[begin], counts[end] - counts[begin]
        rates = smoothed(total, count, prior_rate=prior, prior_count=_RECENT_PRIOR_COUNT)
        columns |= {f"recent{length}/{name}": rates[:, k] for k, name in enumerate(names)}
    return columns | _session(timelines, first, end, positions)


def _session(
    timelines: Timelines, first: NDArray[np.int64], end: NDArray[np.int64], positions: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    # Events and seconds since the last pause of half an hour.
    time = timelines.timestamp_ms
    pause = np.diff(time, prepend=0) > _SESSION_MS
    pause[timelines.first_events()] = True
    start = np.maximum(ranges.last_true(pause)[positions], first)
    return {
        "session/events": np.maximum(end - start, 0),
        "session/seconds": np.log1p(np.maximum(time[positions] - time[start], 0) / 1000),
    }
