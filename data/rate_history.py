"""The rates of data/running_rates.py at any key and moment, not only at the events that they are made of.

What an item's rates were when somebody might have seen it: for candidates that were never shown, and for serving,
where the moment is now.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.running_rates import NO_KEY


class RateHistory:
    """(Σ y_j + m·p) / (n + m) over the events j of a key before a moment, and log(1 + their number).

    As `running_rates`, whose values `at` gives where it is asked for the events' own keys and times.
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
        """Args as `running_rates`: keys [E], outcomes [E, K] with NaN where unknown, timestamp_ms [E]."""
        kept = np.asarray(keys, np.int64) != NO_KEY
        key, times = np.asarray(keys, np.int64)[kept], np.asarray(timestamp_ms, np.int64)[kept]
        values = np.asarray(outcomes, np.float32)[kept]
        self._moments = np.unique(times)
        place = self._place(key, np.searchsorted(self._moments, times))
        order = np.argsort(place, kind="stable")
        self._sorted = place[order]
        ordered = values[order]
        observed = ~np.isnan(ordered)
        self._sums, self._counts = (_sums_before(part) for part in (np.where(observed, ordered, 0.0), observed))
        self._prior = np.broadcast_to(np.asarray(prior_rate, np.float64), ordered.shape[1:])
        self._prior_count = prior_count

    def at(self, keys: ArrayLike, timestamp_ms: ArrayLike | None = None) -> NDArray[np.float32]:
        """The rates of keys [...] strictly before times [...], or after every event: [..., K + 1]. -1: the prior."""
        keys = np.asarray(keys, np.int64)
        moment: Any = len(self._moments)
        if timestamp_ms is not None:
            moment = np.searchsorted(self._moments, np.asarray(timestamp_ms, np.int64))
        start = np.searchsorted(self._sorted, self._place(keys, 0))
        end = np.searchsorted(self._sorted, self._place(keys, moment))
        end = np.where(keys == NO_KEY, start, end)
        total, count = self._sums[end] - self._sums[start], self._counts[end] - self._counts[start]
        rates = (total + self._prior_count * self._prior) / (count + self._prior_count)
        return np.concatenate([rates, np.log1p(end - start)[..., None]], axis=-1).astype(np.float32)

    def _place(self, keys: NDArray[np.int64], moment: Any) -> NDArray[np.int64]:
        # Keys and moments in one number that sorts by key, then by time.
        return keys * (len(self._moments) + 1) + moment


def _sums_before(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
