"""Quality of ranked lists whose every item was shown: each user's impressions, in the order that scores give them.

Flat shapes: E items of G lists, `groups` [E] saying which list each is of, 0..G − 1. Lists whose figure no order could
change have none and get NaN: of one class for NDCG, no longer than k for what stands in the first k. Equal scores are
in random order and a figure is its mean over those orders, as metrics/ranking.py says: scores that are all the same
have the figures of chance.
"""

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from metrics.ranking import mean_discount, share_within

Floats = NDArray[np.float64]


def ranks_within(scores: ArrayLike, groups: ArrayLike) -> Floats:
    """Place of each item in its list, from 1, highest score first; equal scores share their mean place. [E]."""
    scores, groups = np.asarray(scores, np.float64), np.asarray(groups, np.int64)
    if scores.ndim != 1 or groups.shape != scores.shape:
        raise ValueError(f"scores {scores.shape} and groups {groups.shape} are both [E]")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN: no ranking")
    items = pl.DataFrame({"score": scores, "group": groups})
    return items.select(pl.col("score").rank("average", descending=True).over("group")).to_series().to_numpy()


def ndcg(ranks: ArrayLike, relevant: ArrayLike, groups: ArrayLike, *, num_groups: int, k: int) -> Floats:
    """NDCG@k of binary relevance, [G]: Σ_relevant E[1 / log2(1 + place); place ≤ k] over its value in the best order.

    Järvelin and Kekäläinen, TOIS 2002. `ranks` [E] of `ranks_within`. NaN where all or none of a list's items are
    relevant.
    """
    relevant, groups = np.asarray(relevant, bool), np.asarray(groups, np.int64)
    gains = np.where(relevant, mean_discount(*_places(ranks, groups), k), 0.0)
    gained = np.bincount(groups, gains, num_groups)
    size, targets = np.bincount(groups, minlength=num_groups), np.bincount(groups, relevant, num_groups).astype(int)
    ideal = np.concatenate([[1.0], np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))])  # [k + 1], 1 where nothing is
    return np.where((targets > 0) & (targets < size), gained / ideal[np.minimum(targets, k)], np.nan)


def share_of_top(ranks: ArrayLike, marked: ArrayLike, groups: ArrayLike, *, num_groups: int, k: int) -> Floats:
    """Marked items among the first k, over k: Σ_marked P(place ≤ k) / k, [G]; marks between 0 and 1 are means.

    `ranks` [E] of `ranks_within`. NaN where a list has k items or fewer: they are all in its first k, whatever their
    order.
    """
    marked, groups = np.asarray(marked, np.float64), np.asarray(groups, np.int64)
    taken = np.bincount(groups, marked * share_within(*_places(ranks, groups), k), num_groups)
    return np.where(np.bincount(groups, minlength=num_groups) > k, taken / k, np.nan)


def _places(ranks: ArrayLike, groups: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    # Items of one list with one rank are tied: t of them at mean place r hold the places from r − (t − 1)/2 on.
    ranks = np.asarray(ranks, np.float64)
    place = groups * (2 * len(ranks) + 2) + np.rint(2 * ranks).astype(np.int64)  # mean places are halves
    _, tie, count = np.unique(place, return_inverse=True, return_counts=True)
    tied = count[tie]
    return ranks - (tied - 1) / 2, tied
