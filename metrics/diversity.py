"""How much of the catalogue a recommender shows, and how varied one slate is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.intervals import Interval, jackknife


def coverage(slates: ArrayLike, *, num_items: int) -> Interval:
    """Coverage@k = share of the catalogue that stands in at least one user's slate.

    The interval is a jackknife over users: without user u, exactly the items that only u was shown are gone.

    Args:
      slates: [U, k] item indices 1..num_items, each at most once a row; below 1 is an empty place.
      num_items: N, the size of the catalogue.
    """
    slates = np.asarray(slates)
    if num_items < 1 or slates.max(initial=0) > num_items:
        raise ValueError(f"items up to {slates.max(initial=0)} in slates of a catalogue of {num_items}")
    shown = slates >= 1
    users_of = np.bincount(slates[shown], minlength=num_items + 1)  # [N + 1]
    covered = np.count_nonzero(users_of)
    alone = (shown & (users_of[np.where(shown, slates, 0)] == 1)).sum(axis=1)  # [U]
    value, low, high = jackknife(covered / num_items, (covered - alone) / num_items)
    return Interval(value, *np.clip([low, high], 0.0, 1.0).tolist())


def distinct(groups: ArrayLike, *, where: ArrayLike | None = None) -> NDArray[np.float64]:
    """Number of different groups (clusters, creators) in each slate, [U] of [U, k]; 0 for an empty slate."""
    return (_group_sizes(groups, where) > 0).sum(axis=1).astype(np.float64)


def entropy(groups: ArrayLike, *, where: ArrayLike | None = None) -> NDArray[np.float64]:
    """−Σ_g p_g ln p_g in nats, p_g the share of group g among the slate's items, [U] of [U, k].

    0 where all are of one group, ln k where all differ; NaN for an empty slate.
    """
    sizes = _group_sizes(groups, where)
    total = sizes.sum(axis=1, keepdims=True)
    shares = sizes / np.maximum(total, 1)
    terms = -shares * np.log(np.where(shares > 0, shares, 1.0))
    return np.where(total[:, 0] > 0, terms.sum(axis=1), np.nan)


def _group_sizes(groups: ArrayLike, where: ArrayLike | None) -> NDArray[np.int64]:
    # Items of each group in each slate, [U, G]: G groups occur in any of them.
    groups = np.asarray(groups)
    where = np.ones(groups.shape, bool) if where is None else np.asarray(where, bool)
    if groups.ndim != 2 or where.shape != groups.shape:
        raise ValueError(f"groups {groups.shape} and where {where.shape} are both [U, k]")
    names, index = np.unique(groups, return_inverse=True)
    cell = index.reshape(groups.shape) + len(names) * np.arange(len(groups))[:, None]  # [U, k]
    return np.bincount(cell[where], minlength=len(groups) * len(names)).reshape(len(groups), len(names))
