"""What was known of a user, an item or any pair of them when an event began: rates over the events strictly before it.

A rate of the whole log would tell a model the very label that it is to predict. Here an event sees only what has the
same key and an earlier time; events of one moment, such as a page of items logged at once, do not see each other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_KEY = -1


def running_rates(
    keys: ArrayLike,
    outcomes: ArrayLike,
    timestamp_ms: ArrayLike,
    *,
    prior_rate: ArrayLike,
    prior_count: float,
) -> NDArray[np.float32]:
    """(Σ y_j + m·p) / (n + m) over the earlier events j of the same key, and log(1 + their number).

    Additive smoothing towards p with the weight of m observations: without any, the rate is p. NaN outcomes are not
    observed: they count neither in Σ y nor in n, while the event itself still counts as one of the key's.

    Args:
      keys: [E] integers, any numbering; -1: the event has no key, sees nothing and is seen by none.
      outcomes: [E, K], usually 0/1, NaN where unknown. timestamp_ms: [E], in any order.
      prior_rate: p, [K] or one for all; of training days, or the future leaks in. prior_count: m > 0.
    Returns:
      [E, K + 1]: K rates, then log(1 + number of earlier events). O(E log E) time.
    Errors: ValueError where shapes differ, a key is below -1, an outcome is infinite, or m is not positive.
    """
    keys, times = np.asarray(keys, np.int64), np.asarray(timestamp_ms, np.int64)
    values = np.asarray(outcomes, np.float64)
    if values.ndim != 2 or keys.shape != (len(values),) or times.shape != keys.shape:
        raise ValueError(f"keys {keys.shape} and timestamp_ms {times.shape} are [E], outcomes {values.shape} [E, K]")
    if len(keys) and keys.min() < NO_KEY:
        raise ValueError(f"key {keys.min()}: keys are 0 or more, {NO_KEY} for none")
    if np.isinf(values).any():
        raise ValueError("an outcome is infinite: give NaN where it is unknown")
    if not prior_count > 0:
        raise ValueError(f"prior_count = {prior_count}: above 0, or a rate without events is undefined")
    prior = np.broadcast_to(np.asarray(prior_rate, np.float64), values.shape[1:])  # [K]

    order = np.lexsort((times, keys))
    sorted_keys, sorted_times = keys[order], times[order]
    new_key = np.diff(sorted_keys, prepend=NO_KEY - 1) != 0
    new_moment = new_key | (np.diff(sorted_times, prepend=0) != 0)
    of_key, of_moment = _last_start(new_key), _last_start(new_moment)  # [E] positions in sorted order
    of_moment = np.where(sorted_keys == NO_KEY, of_key, of_moment)

    rates = np.empty((len(keys), values.shape[1] + 1), np.float32)
    for k in range(values.shape[1]):
        column = values[order, k]
        known = ~np.isnan(column)
        total, count = (
            sums[of_moment] - sums[of_key] for sums in (_sums_before(np.where(known, column, 0.0)), _sums_before(known))
        )
        rates[order, k] = (total + prior_count * prior[k]) / (count + prior_count)
    rates[order, -1] = np.log1p(of_moment - of_key)
    return rates


def _last_start(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    # The position of the last True at or before each position.
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))


def _sums_before(column: NDArray) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(column, dtype=np.float64)])
