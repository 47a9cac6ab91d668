"""Ranking quality, all of it from one thing: the rank of each held-out target among the items that may be shown.

Shapes: U queries (users), N columns of scores (one per item), M targets per query, padded, with `where` telling the
real ones. Figures are per query, [U]; a query without targets has none and gets NaN, which no mean can overlook.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def target_ranks(
    scores: ArrayLike, targets: ArrayLike, *, eligible: ArrayLike | None = None, where: ArrayLike | None = None
) -> Floats:
    """rank = 1 + #(eligible items that score higher) + #(other eligible items that score the same) / 2.

    The mean rank over random orders of what ties: a scorer of constants puts every target in the middle, not first.
    Targets count among the items: three targets ahead of everything else have ranks 1, 2, 3. Sorts one row at a time:
    memory O(N) beyond the inputs.

    Args:
      scores: [U, N], NaN only where not eligible. targets: [U, M] column indices into `scores`.
      eligible: [U, N], items that may be shown to this user. where: [U, M], real targets. All by default.
    Returns:
      [U, M]; inf where masked, and where the target itself is not eligible: it is never shown.
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
    ranks = np.full(targets.shape, np.inf)
    for row in np.flatnonzero(where.any(axis=1)):
        ascending = np.sort(scores[row, eligible[row]])
        if np.isnan(ascending[-1:]).any():  # NaN sorts last
            raise ValueError(f"scores of row {row} hold NaN: no ranking")
        real = where[row] & eligible[row, np.where(where[row], targets[row], 0)]
        score = scores[row, targets[row, real]]
        at_or_below = np.searchsorted(ascending, score, side="right")
        ties = at_or_below - np.searchsorted(ascending, score, side="left") - 1
        ranks[row, real] = 1 + len(ascending) - at_or_below + ties / 2
    return ranks


def padded(rows: ArrayLike, values: ArrayLike, *, num_rows: int, fill: int = -1) -> NDArray[np.int64]:
    """The values of each row side by side, in the order given: [num_rows, most of any row], `fill` after the last."""
    rows, values = np.asarray(rows, np.int64), np.asarray(values)
    count = np.bincount(rows, minlength=num_rows)
    order = np.argsort(rows, kind="stable")
    column = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    table = np.full((num_rows, count.max(initial=0)), fill, np.int64)
    table[rows[order], column] = values[order]
    return table


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


def hits(ranks: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """Targets within the first k places: Σ_m [rank_m ≤ k], [U]; 0 for a query without targets."""
    ranks, where = _masked(ranks, where)
    return ((ranks <= k) & where).sum(axis=1).astype(np.float64)


def recall(ranks: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """Recall@k = hits / number of targets, [U] (no cap at k: with more than k targets 1 is out of reach)."""
    ranks, where = _masked(ranks, where)
    return _of_targets(hits(ranks, k, where=where) / np.maximum(where.sum(axis=1), 1), where)


def hit_rate(ranks: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """HR@k = [any target within the first k places], [U]."""
    ranks, where = _masked(ranks, where)
    return _of_targets((hits(ranks, k, where=where) > 0).astype(np.float64), where)


def ndcg(ranks: ArrayLike, k: int, *, where: ArrayLike | None = None) -> Floats:
    """NDCG@k of binary relevance, [U]: Σ_{rank_m ≤ k} 1 / log2(1 + rank_m), over its value with targets at 1, 2, 3, ….

    Järvelin and Kekäläinen, TOIS 2002.
    """
    ranks, where = _masked(ranks, where)
    gains = np.where((ranks <= k) & where, 1 / np.log2(1 + ranks), 0.0)
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))
    best = ideal[np.clip(where.sum(axis=1), 1, k) - 1]
    return _of_targets(gains.sum(axis=1) / best, where)


def reciprocal_rank(ranks: ArrayLike, *, where: ArrayLike | None = None) -> Floats:
    """1 / rank of the first target, [U]; its mean over queries is MRR."""
    ranks, where = _masked(ranks, where)
    return _of_targets(1 / np.where(where, ranks, np.inf).min(axis=1, initial=np.inf), where)


def _masked(ranks: ArrayLike, where: ArrayLike | None) -> tuple[Floats, NDArray[np.bool_]]:
    ranks = np.asarray(ranks, np.float64)
    mask = np.ones(ranks.shape, bool) if where is None else np.asarray(where, bool)
    if ranks.ndim != 2 or mask.shape != ranks.shape:
        raise ValueError(f"ranks {ranks.shape} and where {mask.shape} are both [U, M]")
    return ranks, mask


def _of_targets(values: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.where(where.any(axis=1), values, np.nan)
