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

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

Floats = NDArray[np.float64]

_FEW = 8  # targets that are counted for one by one; more are looked up in the sorted scores of their query


def target_places(
    scores: ArrayLike, targets: ArrayLike, *, eligible: ArrayLike | None = None, where: ArrayLike | None = None
) -> Floats:
    """[1 + #(eligible items that score higher), #(eligible items that score the same, itself included)] of each target.

    Targets count among the items: three targets ahead of everything else have places 1, 2, 3. Takes one row at a time:
    memory O(N) beyond the inputs.

    Args:
      scores: [U, N], NaN only where not eligible. targets: [U, M] column indices into `scores`.
      eligible: [U, N], items that may be shown to this user. where: [U, M], real targets. All by default.
    Returns:
      [U, M, 2]; (inf, 1) where masked, and where the target itself is not eligible: it is never shown.
    Errors: ValueError where an eligible score is NaN, a target is no column, or shapes differ.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    eligible = np.ones(scores.shape, bool) if eligible is None else np.asarray(eligible, bool)
    where = np.ones(targets.shape, bool) if where is None else np.asarray(where, bool)
    if (
        scores.ndim != 2
        or eligible.shape != scores.shape
        or len(targets) != len(scores)
        or where.shape != targets.shape
    ):
        raise ValueError(
            f"scores {scores.shape} and eligible {eligible.shape} are [U, N], "
            f"targets {targets.shape} and where {where.shape} are [U, M]"
        )
    if where.any() and not 0 <= targets[where].min() <= targets[where].max() < scores.shape[1]:
        raise ValueError(f"targets {targets[where].min()}..{targets[where].max()} outside 0..{scores.shape[1] - 1}")
    places = np.empty((*targets.shape, 2))
    places[:] = np.inf, 1
    for row in np.flatnonzero(where.any(axis=1)):
        shown = scores[row, eligible[row]]
        if np.isnan(shown.min(initial=np.inf)):
            raise ValueError(f"scores of row {row} hold NaN: no ranking")
        real = where[row] & eligible[row, np.where(where[row], targets[row], 0)]
        higher, same = _counts(shown, scores[row, targets[row, real]])
        places[row, real] = np.stack([1 + higher, same], axis=-1)
    return places


def _counts(scores: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # How many of the scores are above each of the values, and how many equal it.
    if len(values) <= _FEW:
        counted = [(np.count_nonzero(scores > value), np.count_nonzero(scores == value)) for value in values]
        counts = np.array(counted, np.int64).reshape(-1, 2)
        return counts[:, 0], counts[:, 1]
    ascending = np.sort(scores)
    up_to = np.searchsorted(ascending, values, side="right")
    return len(ascending) - up_to, up_to - np.searchsorted(ascending, values, side="left")


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


def top_k(scores: ArrayLike, k: int, *, eligible: ArrayLike | None = None) -> NDArray[np.int64]:
    """The k eligible columns of highest score, best first, the lower column first among equals: [U, k].

    -1 fills the places of a row that has fewer than k eligible items.
    """
    scores = np.asarray(scores)
    if k < 1 or scores.ndim != 2:
        raise ValueError(f"k = {k} items of scores {scores.shape}: k is at least 1, scores are [U, N]")
    best = np.full((len(scores), k), -1, np.int64)
    for row, values in enumerate(scores):
        columns = np.arange(len(values)) if eligible is None else np.flatnonzero(np.asarray(eligible)[row])
        loss = -values[columns]
        size = min(k, len(columns))
        if size < len(columns):
            # Partition finds the k-th value; ties at it go to the lowest columns, which argpartition would not promise.
            edge = np.partition(loss, size - 1)[size - 1]
            inside, tied = np.flatnonzero(loss < edge), np.flatnonzero(loss == edge)
            kept = np.sort(np.concatenate([inside, tied[: size - len(inside)]]))
            columns, loss = columns[kept], loss[kept]
        best[row, :size] = columns[np.argsort(loss, kind="stable")]
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
