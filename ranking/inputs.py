"""The arrays that a ranker reads for an impression. All that they tell is from strictly before the impression.

item, feedback, surface [B, T] int32: the last T events in order, zeros after them; feedback, data/feedback.py
user, platform, hour    [B] int32: 1 + user index, surface, 1 + hour of the day (UTC); 0 unknown
gap                     [B] float32: seconds since the last event of known time, -1 without one
candidate               [B, C] int32: items
rates                   [B, C, R] float32: of item, creator and cluster: the rates of features.rated, log(1 + plays)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.feedback import pack
from data.impressions import Unobserved, history_ends
from data.rates import NO_KEY, Rates
from data.timelines import Timelines
from ranking.log_statistics import LogStatistics, outcomes
from ranking.model.features import rated
from ranking.tasks import Labels

ITEM_PRIOR_COUNT = 10.0  # plays that the prior of an item's, a creator's or a cluster's rates weighs
_HOUR_MS = 3_600_000


class Impressions:
    """Makes the model's inputs for impressions of a log."""

    def __init__(self, timelines: Timelines, statistics: LogStatistics, *, length: int):
        """`length` T."""
        self._timelines, self._length = timelines, length
        values, known = outcomes(timelines, statistics.manifest["history_feedback"], statistics.thresholds)
        self._columns: dict[str, NDArray[Any]] = {
            "item": timelines.item,
            "feedback": pack(values, known),
            "surface": timelines.surface,
        }
        self._user, self._end = timelines.user_of_event(), history_ends(timelines)
        timed = timelines.timestamp_ms > 0
        kept = list(rated(statistics.manifest["history_feedback"]))
        observed = np.where(known, values.astype(np.float32), np.nan)[timed][:, kept]
        self._keys = [_keys_of_items(timelines, name) for name in (None, "creator", "cluster")]
        item, time = timelines.item[timed], timelines.timestamp_ms[timed]
        self._rates = [
            Rates(keys[item], observed, time, prior_rate=statistics.prior[kept], prior_count=ITEM_PRIOR_COUNT)
            for keys in self._keys
        ]

    def inputs(
        self, positions: NDArray[np.int64], candidates: NDArray[np.int32] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The inputs of impressions at positions [B], of candidates [B, C], or of the item that was shown, C = 1."""
        user, end, time = self._user[positions], self._end[positions], self._timelines.timestamp_ms[positions]
        first = self._timelines.offsets[user]
        if candidates is None:
            candidates = self._timelines.item[positions][:, None]
        last = np.where(end > first, self._timelines.timestamp_ms[np.maximum(end - 1, 0)], 0)
        return {
            **ranges.gathered(self._columns, ranges.newest(first, end, self._length)),
            "user": user + np.int32(1),
            "platform": self._timelines.surface[positions].astype(np.int32),
            "hour": (1 + time // _HOUR_MS % 24).astype(np.int32),
            "gap": np.where(last > 0, (time - last) / 1000, -1).astype(np.float32),
            "candidate": candidates.astype(np.int32),
            "rates": self.rates(candidates, np.broadcast_to(time[:, None], candidates.shape)),
        }

    def rates(self, items: NDArray[Any], time: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """The rates of items [...] strictly before times [...], or after the last event: [..., R]."""
        return np.concatenate([rates.at(keys[items], time) for keys, rates in zip(self._keys, self._rates)], axis=-1)


class TrainingInputs:
    """Inputs and labels of training impressions: `gather` for data.impressions.ImpressionBatches.

    Column 0 of the candidates is the item that was shown, with the labels observed. Then come `later` impressions of
    the same user, drawn among those after it that may be learned from, with their own labels: what a pairwise loss
    holds it up against. (Earlier ones stand in the history with their outcome, which would give the label away.) The
    others are items that the user never met, negatives of every task.
    """

    def __init__(
        self,
        impressions: Impressions,
        timelines: Timelines,
        labels: Labels,
        *,
        negatives: int,
        later: int = 0,
        train_on: Sequence[str] = ("train",),
    ):
        """`negatives` unobserved items and `later` observed ones to each impression of the splits `train_on`."""
        self._impressions, self._timelines, self._labels = impressions, timelines, labels
        self._negatives, self._later, self._user = negatives, later, timelines.user_of_event()
        self._unobserved = Unobserved(timelines, train_on) if negatives else None
        self._end = timelines.learned_end(train_on)

    def __call__(self, positions: NDArray[np.int64], rng: np.random.Generator) -> dict[str, np.ndarray]:
        real = positions >= 0
        positions = np.where(real, positions, 0)
        candidates = self._timelines.item[positions][:, None]
        label, where = self._labels.values[positions][:, None], self._labels.where[positions][:, None]
        if self._later:
            drawn, is_there = self._draw_later(positions, rng)
            candidates = np.concatenate([candidates, np.where(is_there, self._timelines.item[drawn], 0)], axis=1)
            label = np.concatenate([label, self._labels.values[drawn]], axis=1)
            where = np.concatenate([where, self._labels.where[drawn] & is_there[..., None]], axis=1)
        if self._unobserved is not None:
            moments = self._user[positions], self._timelines.timestamp_ms[positions]
            unobserved = self._unobserved.draw(*moments, self._negatives, rng)
            candidates = np.concatenate([candidates, unobserved], axis=1)
            shape = (*unobserved.shape, label.shape[-1])
            label = np.concatenate([label, np.zeros(shape, np.float32)], axis=1)
            where = np.concatenate([where, np.broadcast_to((unobserved > 0)[..., None], shape)], axis=1)
        inputs = self._impressions.inputs(positions, candidates)
        return {**inputs, "label": label, "where": where & real[:, None, None]}

    def _draw_later(
        self, positions: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        # Positions [B, later], and which of them are there: after, of another item.
        left = self._end[self._user[positions]] - positions - 1  # [B]
        drawn = positions[:, None] + 1 + np.floor(rng.random((len(positions), self._later)) * left[:, None])
        drawn = np.where(left[:, None] > 0, drawn, positions[:, None]).astype(np.int64)
        return drawn, self._timelines.item[drawn] != self._timelines.item[positions][:, None]


def _keys_of_items(timelines: Timelines, name: str | None) -> NDArray[np.int64]:
    """The key of every item's rates, [N + 1]: itself, or its creator or cluster; -1 where unknown."""
    keys = np.arange(timelines.num_items + 1) if name is None else timelines.item_column(name)
    return np.where(keys > 0, keys, NO_KEY)
