"""How often a user, or an item, does or gets something: attributes that no event's own outcome has touched.

A rate that counts an event's own outcome tells a model its label. So training events are dealt into folds, and each
gets the rates of the other folds; all other events and pairs get the rates of all training events.
"""

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def folds(num_events: int, *, seed: int) -> NDArray[np.int8]:
    """The fold of each event, [E]."""
    return np.random.default_rng([seed, FOLDS]).integers(0, FOLDS, num_events).astype(np.int8)


def log_odds_rates(
    keys: NDArray[np.int32],
    outcomes: NDArray[np.bool_],
    observed: NDArray[np.bool_],
    fold: NDArray[np.int8],
    *,
    num_keys: int,
    prior_count: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """log((Σ y + m r) / (Σ (1 − y) + m (1 − r))) of each event and of each key, less log(r / (1 − r)): 0 is the mean.

    r is the rate over all observed events and m = `prior_count`, so that a key seen never has the mean rate.

    Args:
      keys: [E] in [0, num_keys). outcomes: [E]. observed: [E], training events whose outcome is known.
      fold: [E] of `folds`.
    Returns:
      [E] float32 out of fold where observed, over all that is observed elsewhere; [num_keys] float32.
    """
    cell = keys.astype(np.int64) * FOLDS + fold
    counts = np.bincount(cell[observed], minlength=num_keys * FOLDS).reshape(num_keys, FOLDS)
    hits = np.bincount(cell[observed & outcomes], minlength=num_keys * FOLDS).reshape(num_keys, FOLDS)
    total, total_hits = counts.sum(axis=1), hits.sum(axis=1)
    rate = (total_hits.sum() + 0.5) / (total.sum() + 1.0)

    def log_odds(hits, count):
        odds = np.log(hits + prior_count * rate) - np.log(count - hits + prior_count * (1 - rate))
        return (odds - np.log(rate / (1 - rate))).astype(np.float32)

    per_key = log_odds(total_hits, total)
    others = log_odds(total_hits[:, None] - hits, total[:, None] - counts)  # [num_keys, FOLDS]
    return np.where(observed, others[keys, fold], per_key[keys]), per_key
