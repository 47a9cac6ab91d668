"""What is popular at the moment: features of items that change with time, in both towers.

    x_jw(t) = log(1 + n_jw(t)),  n_jw(t) the positive events of item j in the w days before t, for each w of W
    the score of item j for a user with state h, asked at time t, goes on with  u · x_j(t),  u = W h + b

u is learned with the towers, so the rest of a score only has to say what popularity does not, and how much popularity
counts is the user's own. W and b begin at zero: where a log is too short for anything to be counted before its labels,
popularity says nothing. Every label is asked at the beginning of its day, so that nothing it counts lies after it, and
in a log of more than two weeks at the beginning of some days at once. What is served is asked when its log ends: a
server that is to know what is popular today has to be exported today.

To stay one inner product for labels of all moments t_1 … t_M, the vector of item j goes on with x_j(t_1), …, x_j(t_M),
and a query that is asked at t_m with u in the place of x_j(t_m) and zeros elsewhere. Fewer numbers would not do: those
of all moments cut down to their largest singular values tell at each moment what is popular later. What is served is
asked at one moment, M = 1.
"""

from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.feedback import has
from data.loader import OfEvents
from data.timelines import Timelines
from metrics import simple_rules

_DAY_MS = 86_400_000
_COLUMNS = 64  # M W, at most: in a longer log the labels of several days are asked at once

Trends = NDArray[np.float32]
"""x of every item at M moments, [N + 1, M, W]; the last of the moments is when what is learned from ends."""


def served(timelines: Timelines, config: ConfigDict, until: str) -> Trends:
    """Of one moment, that of `until` as `Timelines.until` has it: [N + 1, 1, W]."""
    _, moment_ms = timelines.until(until)
    return np.log1p(Positives(timelines, config.positive).before(moment_ms, config.trend_days))[:, None]


def learned(timelines: Timelines, config: ConfigDict) -> tuple[Trends, OfEvents]:
    """Of the days of `config.train_on`, and at which moment the labels of events are asked, int32."""
    _, end = timelines.until("test" if "valid" in config.train_on else "valid")

    def day_of(event: NDArray[np.integer] | slice) -> NDArray[np.int64]:
        return np.minimum((timelines.timestamp_ms[event] - end) // _DAY_MS, -1)

    days = np.unique(day_of(slice(None)))
    most = max(1, _COLUMNS // len(config.trend_days) - 1)
    begins = np.array([group[0] for group in np.array_split(days, min(most, len(days)))])
    positives = Positives(timelines, config.positive)
    moments = [*(end + begins * _DAY_MS), end]
    counted = np.stack([positives.before(moment, config.trend_days) for moment in moments], axis=1)

    def moment(event: NDArray[np.integer]) -> NDArray[np.int32]:
        return (np.searchsorted(begins, day_of(event), side="right") - 1).astype(np.int32)

    return np.log1p(counted), moment


class Positives:
    """The positive events of a log, of this feedback or by default the log's own, by their times, to be counted."""

    def __init__(self, timelines: Timelines, positive: Sequence[str]):
        liked = np.flatnonzero(has(timelines.feedback, *(positive or timelines.positive_feedback)))
        order = liked[np.argsort(timelines.timestamp_ms[liked], kind="stable")]
        self._time, self._item = timelines.timestamp_ms[order], timelines.item[order]
        self._num_items = timelines.num_items

    def before(self, moment: int, days: Sequence[float]) -> NDArray[np.float32]:
        """n [N + 1, W]: of each item in so many days before a moment in ms, for each of `days`, 0 for ever."""
        last = np.searchsorted(self._time, moment)
        first = [np.searchsorted(self._time, moment - round(window * _DAY_MS)) if window else 0 for window in days]
        counts = [simple_rules.counts(self._item[begin:last], num_items=self._num_items) for begin in first]
        return np.stack(counts, axis=1)
