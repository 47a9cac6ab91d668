"""Ranking quality, all of it from one thing: where each held-out target stands among the items that may be shown.

Ties, in one rule for every figure here, in metrics/lists.py and in the validations of the stages: equal scores are in
random order, and a figure is its mean over those orders. A target that h items beat and that is one of t of the same
score takes each of the places h + 1 … h + t equally often, so it is found within k with probability (k − h) / t. A
scorer of constants therefore has the figures of chance: Recall@k is k / N. Counting ties as hits would give it 1; as
misses, it would charge simple rules, whose counts tie often, for what any order of a real list would settle; and the
mean place alone would count a whole tie as found, or none of it: with N < 2 k items constants would have Recall@k 1.
An AUC that counts ties half (metrics/binary.py) is the same rule.

NaN is no score: `target_places` refuses it, and where a compiled function cannot refuse (`place_of`), a NaN stands
ahead of every other item, and a target that has one comes last. It is never a hit.

Shapes: U queries (users), N columns of scores (one per item), M targets per query, padded, with `where` telling the
real ones. `places` [U, M, 2] holds h + 1 and t. Figures are per query, [U]; a query without targets has none and gets
NaN, which no mean can overlook.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from metrics import counting

Floats = NDArray[np.float64]

Pairs = tuple[NDArray[Any], NDArray[Any]]

_FEW_OUT = 1 << 12  # columns that are left out of the highest; of more, the others are copied first


def target_places(
    scores: ArrayLike, targets: ArrayLike, *, excluded: Pairs | None = None, where: ArrayLike | None = None
) -> Floats:
    """[1 + #(items that score higher), #(items that score the same, itself included)] of each target.

    Targets count among the items, and what is excluded does not: three targets ahead of everything else have places 1,
    2, 3. Counted, not sorted, one row at a time: memory O(N) beyond the inputs.

    Args:
      scores: [U, N], NaN only where excluded. targets: [U, M] column indices into `scores`.
      excluded: (rows, columns), flat: the items that may not be shown to a user. where: [U, M], real targets, by
        default all.
    Returns:
      [U, M, 2]; (inf, 1) where masked, and where the target itself is excluded: it is never shown.
    Errors: ValueError where a score that counts is NaN, a target is no column, or shapes differ.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    where = np.ones(targets.shape, bool) if where is None else np.asarray(where, bool)
    if scores.ndim != 2 or len(targets) != len(scores) or where.shape != targets.shape:
        raise ValueError(
            f"scores {scores.shape} are [U, N], targets {targets.shape} and where {where.shape} are [U, M]"
        )
    if where.any() and not 0 <= targets[where].min() <= targets[where].max() < scores.shape[1]:
        raise ValueError(f"targets {targets[where].min()}..{targets[where].max()} outside 0..{scores.shape[1] - 1}")
    left_out, gone = _left_out(scores.shape, excluded), np.zeros(scores.shape[1], bool)
    places = np.empty((*targets.shape, 2))
    places[:] = np.inf, 1
    for row in np.flatnonzero(where.any(axis=1)).tolist():
        of_row, out = scores[row], left_out(row)
        if np.isnan(of_row.min(initial=np.inf)) and np.isnan(of_row).sum() > np.isnan(of_row[out]).sum():
            raise ValueError(f"scores of row {row} hold NaN: no ranking")
        gone[out] = True
        real = where[row] & ~gone[np.where(where[row], targets[row], 0)]
        gone[out] = False
        own = of_row[targets[row, real]]
        everywhere, elsewhere = counting.above(of_row, own), counting.above(of_row[out], own)
        places[row, real, 0] = 1 + everywhere[0] - elsewhere[0]
        places[row, real, 1] = everywhere[1] - elsewhere[1]
    return places


def _left_out(shape: tuple[int, ...], excluded: Pairs | None) -> Callable[[int], NDArray[np.int64]]:
    # row -> the columns that may not be shown, each once.
    rows, columns = (np.zeros(0, np.int64),) * 2 if excluded is None else excluded
    pairs = np.unique(rows.astype(np.int64) * shape[1] + columns)
    begin = np.searchsorted(pairs, np.arange(shape[0] + 1) * shape[1])
    return lambda row: pairs[begin[row] : begin[row + 1]] - row * shape[1]


def place_of(own: Any, scores: Any) -> tuple[Any, Any]:
    """The two numbers of `target_places`, [...] each, of a target that scores `own` [...] among `scores` [..., N].

    `scores` hold the target's own. Written in operators alone, so that it runs on NumPy and in compiled functions.
    """
    ahead = ~(scores <= own[..., None])  # NaN among them; all of them where `own` is NaN
    same = (scores == own[..., None]).sum(axis=-1)
    return 1 + ahead.sum(axis=-1) - (own != own), same + (own != own)


def share_within(first: Any, tied: Any, k: int) -> Any:
    """P(place ≤ k) of a target at any of the `tied` places from `first` on: (k − first + 1) / tied, within 0..1."""
    return ((k + 1 - first) / tied).clip(0.0, 1.0)


def mean_reciprocal(first: ArrayLike, tied: ArrayLike) -> Floats:
    """E[1 / place] = (ψ(first + tied) − ψ(first)) / tied, ψ the digamma function; 0 where `first` is inf."""
    first, tied = np.asarray(first, np.float64), np.asarray(tied, np.float64)
    shown = np.isfinite(first)
    begin = np.where(shown, first, 1.0)
    mean = np.where(tied == 1, 1 / begin, (digamma(begin + tied) - digamma(begin)) / tied)
    return np.where(shown, mean, 0.0)


def mean_discount(first: ArrayLike, tied: ArrayLike, k: int) -> Floats:
    """E[1 / log2(1 + place)], places beyond k counting 0: what a target adds to DCG@k."""
    first, tied = np.asarray(first, np.float64), np.asarray(tied, np.float64)
    total = np.concatenate([[0.0], np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))])  # [k + 1]
    up_to, before = (np.minimum(place, k).astype(np.int64) for place in (first + tied - 1, first - 1))
    return np.where(tied == 1, (first <= k) / np.log2(1 + first), (total[up_to] - total[before]) / tied)


def top_k(scores: ArrayLike, k: int, *, excluded: Pairs | None = None) -> NDArray[np.int64]:
    """The k columns of highest score, best first, the lower column first among equals: [U, k].

    -1 fills the places of a row that has fewer than k. `excluded` as in `target_places`; nor is shown what scores −inf.
    """
    scores = np.asarray(scores)
    if k < 1 or scores.ndim != 2:
        raise ValueError(f"k = {k} items of scores {scores.shape}: k is at least 1, scores are [U, N]")
    left_out, gone = _left_out(scores.shape, excluded), np.zeros(scores.shape[1], bool)
    best = np.full((len(scores), k), -1, np.int64)
    for row, of_row in enumerate(scores):
        out = left_out(row)
        size = min(k, len(of_row) - len(out))
        if len(out) <= _FEW_OUT:
            if np.isnan(of_row[out]).any():
                of_row = of_row.copy()
                of_row[out] = -np.inf
            # Whatever is left out is among the highest size + len(out), at worst.
            places = counting.highest(of_row, size + len(out))
            gone[out] = True
            best[row, :size] = places[~gone[places]][:size]
            gone[out] = False
        else:
            shown = np.delete(np.arange(len(of_row)), out)
            best[row, :size] = shown[counting.highest(of_row[shown], size)]
    best[np.isneginf(np.take_along_axis(scores, np.maximum(best, 0), axis=1))] = -1
    return best


def hits(places: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """Targets within the first k places: Σ_m P(place_m ≤ k), [U]; 0 for a query without targets."""
    places, where = _masked(places, where)
    return np.where(where, share_within(places[..., 0], places[..., 1], k), 0.0).sum(axis=1)


def recall(places: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """Recall@k = hits / number of targets, [U] (no cap at k: with more than k targets 1 is out of reach)."""
    places, where = _masked(places, where)
    return _of_targets(hits(places, k, where=where) / np.maximum(where.sum(axis=1), 1), where)


def hit_rate(places: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """HR@k = max_m P(place_m ≤ k), [U]: whether any target is within the first k places.

    Exact where no two targets of a query tie; where they do it is below the mean over orders, and never above it.
    """
    places, where = _masked(places, where)
    hits = np.where(where, share_within(places[..., 0], places[..., 1], k), 0.0)
    return _of_targets(hits.max(axis=1, initial=0.0), where)


def ndcg(places: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """NDCG@k of binary relevance, [U]: Σ_m E[1 / log2(1 + place_m); place_m ≤ k] over its value at places 1, 2, 3, ….

    Järvelin and Kekäläinen, TOIS 2002.
    """
    places, where = _masked(places, where)
    gains = np.where(where, mean_discount(places[..., 0], places[..., 1], k), 0.0)
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))
    best = ideal[np.clip(where.sum(axis=1), 1, k) - 1]
    return _of_targets(gains.sum(axis=1) / best, where)


def reciprocal_rank(places: ArrayLike, *, where: ArrayLike | None = None) -> Floats:
    """1 / place of the first target, [U]: max_m E[1 / place_m]; its mean over queries is MRR.

    Exact where no two targets of a query tie; where they do it is below the mean over orders, and never above it.
    """
    places, where = _masked(places, where)
    reciprocals = np.where(where, mean_reciprocal(places[..., 0], places[..., 1]), 0.0)
    return _of_targets(reciprocals.max(axis=1, initial=0.0), where)


def _masked(places: ArrayLike, where: ArrayLike | None) -> tuple[Floats, NDArray[np.bool_]]:
    places = np.asarray(places, np.float64)
    if places.ndim != 3 or places.shape[2] != 2:
        raise ValueError(f"places {places.shape} are [U, M, 2]")
    mask = np.ones(places.shape[:2], bool) if where is None else np.asarray(where, bool)
    if mask.shape != places.shape[:2]:
        raise ValueError(f"places {places.shape} are [U, M, 2], where {mask.shape} is [U, M]")
    return places, mask


def _of_targets(values: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.where(where.any(axis=1), values, np.nan)
