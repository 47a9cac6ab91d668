"""Rates of users and items as log-odds, out of fold: no event's own outcome counts into the rates that describe it.

A rate that counts an event's own outcome tells a model its label. So training events are dealt into folds, and each
gets the rates of the other folds, and the v_u of their clicks (satisfaction/unbiased/features.py); all other events and
pairs get those of all training events. (The rates of data/rates.py take an event's past instead. Here the models have
no order of time: they complete a table of users and items, and a user's first answer is to have as much to go by as the
last.)
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
    trained: NDArray[np.bool_],
    fold: NDArray[np.int8],
    *,
    num_keys: int,
    prior_count: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """log((Σ y + m r) / (Σ (1 − y) + m (1 − r))) of each event and of each key, less log(r / (1 − r)): 0 is the mean.

    r is the rate over all observed events and m = `prior_count`, so that a key seen never has the mean rate.

    Args:
      keys: [E] in [0, num_keys). outcomes: [E]. observed: [E], training events whose outcome is known.
      trained: [E], all training events: whether an outcome is known must not show in where an event's rates come from.
      fold: [E] of `folds`.
    Returns:
      [E, 2] float32, the log-odds and log(1 + observed events), out of fold where trained (its count scaled up by
      FOLDS / (FOLDS − 1), or training events would look rarer), over all observed elsewhere; the same of each key,
      [num_keys, 2].
    """
    cell = keys.astype(np.int64) * FOLDS + fold
    counts = np.bincount(cell[observed], minlength=num_keys * FOLDS).reshape(num_keys, FOLDS)
    hits = np.bincount(cell[observed & outcomes], minlength=num_keys * FOLDS).reshape(num_keys, FOLDS)
    total, total_hits = counts.sum(axis=1), hits.sum(axis=1)
    rate = (total_hits.sum() + 0.5) / (total.sum() + 1.0)

    def columns(hits, count, scale=1.0):
        odds = np.log(hits + prior_count * rate) - np.log(count - hits + prior_count * (1 - rate))
        return np.stack([odds - np.log(rate / (1 - rate)), np.log1p(count * scale)], axis=-1).astype(np.float32)

    per_key = columns(total_hits, total)  # [num_keys, 2]
    others = columns(total_hits[:, None] - hits, total[:, None] - counts, FOLDS / (FOLDS - 1))  # [num_keys, FOLDS, 2]
    return np.where(trained[:, None], others[keys, fold], per_key[keys]), per_key
