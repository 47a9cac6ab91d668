"""Smoothed rates of what happened before a moment: how often an item was liked when somebody might have seen it.

A rate over the whole log would tell a model the very label that it is to predict. Here whoever asks at a moment sees
only events of the same key (a user, an item, any pair of them) at an earlier time; events of one moment, such as a page
of items logged at once, do not see each other. Asked without a moment, as in serving, where it is now, all count.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges

NO_KEY = -1


def smoothed(total: Any, count: Any, *, prior_rate: Any, prior_count: float) -> Any:
    """(Σ y + m p) / (n + m): additive smoothing towards p = prior_rate with the weight of m = prior_count observations.

    total is Σ y, count is n; arrays of NumPy or JAX, as is the result. Without any observation the rate is p.
    """
    return (total + prior_count * prior_rate) / (count + prior_count)


def smoothed_by_group(
    groups: NDArray[np.integer], outcomes: ArrayLike, *, num_groups: int, prior_rate: Any, prior_count: float
) -> NDArray[np.float64]:
    """`smoothed` over the outcomes [E] of each group 0..num_groups − 1, such as an item: [num_groups]."""
    total, count = (np.bincount(groups, weights, num_groups) for weights in (outcomes, None))
    return smoothed(total, count, prior_rate=prior_rate, prior_count=prior_count)


class Rates:
    """`smoothed` over the events of a key before a moment, and log(1 + their number).

    NaN outcomes are not observed: they count neither in Σ y nor in n, while the event itself still counts as one of the
    key's.
    """

    def __init__(
        self,
        keys: ArrayLike,
        outcomes: ArrayLike,
        timestamp_ms: ArrayLike,
        *,
        prior_rate: ArrayLike,
        prior_count: float,
    ):
        """O(E log E) time, O(E K) memory.

        Args:
          keys: [E] integers, any numbering; -1: the event has no key and is seen by none.
          outcomes: [E, K], usually 0/1, NaN where unknown. timestamp_ms: [E], in any order.
          prior_rate: p, [K] or one for all; of training days, or the future leaks in. prior_count: m > 0.
        Errors: ValueError where shapes differ, a key is below -1, an outcome is infinite, or m is not positive.
        """
        key, times, values = np.asarray(keys, np.int64), np.asarray(timestamp_ms, np.int64), np.asarray(outcomes)
        if values.ndim != 2 or key.shape != (len(values),) or times.shape != key.shape:
            raise ValueError(f"keys {key.shape} and timestamp_ms {times.shape} are [E], outcomes {values.shape} [E, K]")
        if len(key) and key.min() < NO_KEY:
            raise ValueError(f"key {key.min()}: keys are 0 or more, {NO_KEY} for none")
        if np.isinf(values).any():
            raise ValueError("an outcome is infinite: give NaN where it is unknown")
        if not prior_count > 0:
            raise ValueError(f"prior_count = {prior_count}: above 0, or a rate without events is undefined")
        self._prior_rate = np.broadcast_to(np.asarray(prior_rate, np.float64), values.shape[1:])  # [K]
        self._prior_count = prior_count
        kept = key != NO_KEY
        key, times, values = key[kept], times[kept], values[kept]
        self._keys, self._moments = ranges.distinct(key), ranges.distinct(times)
        place = self._place(np.searchsorted(self._keys, key), np.searchsorted(self._moments, times))
        order = np.argsort(place, kind="stable")
        self._sorted, values = place[order], values[order]
        observed = ~np.isnan(values)
        self._starts = np.searchsorted(self._sorted, self._place(np.arange(len(self._keys) + 1), 0))
        outcomes_and_counts = np.concatenate([np.where(observed, values, 0), observed], axis=1)
        self._sums = ranges.sums_before(outcomes_and_counts, np.float64)

    def at(self, keys: ArrayLike, timestamp_ms: ArrayLike | None = None) -> NDArray[np.float32]:
        """The rates of keys [...] strictly before times [...], or after every event: [..., K + 1]. -1: the prior."""
        keys = np.asarray(keys, np.int64)
        moment: Any = len(self._moments)
        if timestamp_ms is not None:
            moment = np.searchsorted(self._moments, np.asarray(timestamp_ms, np.int64))
        code = np.searchsorted(self._keys, keys)
        is_known = np.append(self._keys, NO_KEY)[code] == keys
        start = self._starts[code]
        end = np.where(is_known, np.searchsorted(self._sorted, self._place(code, moment)), start)
        total, count = np.split(self._sums[end] - self._sums[start], 2, axis=-1)
        rates = smoothed(total, count, prior_rate=self._prior_rate, prior_count=self._prior_count)
        return np.concatenate([rates, np.log1p(end - start)[..., None]], axis=-1).astype(np.float32)

    def _place(self, code: NDArray[np.int64], moment: Any) -> NDArray[np.int64]:
        # A key's and a moment's numbers in one that sorts by key, then by time.
        return code * (len(self._moments) + 1) + moment
