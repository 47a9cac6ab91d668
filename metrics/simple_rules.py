"""The simple recommenders that a model has to beat, and the choice of their settings on validation queries.

    popularity           n_j, how often item j was taken
    item_knn             Σ_i cos(i, j) over the different items i that the user took last
    item_knn_popularity  (that + 0.001) · (n_j + 1)^power

Item-kNN is the cosine of Sarwar et al., WWW 2001, on who took what; measured carefully it is hard to beat (Dacrema et
al., RecSys 2019). Which events count as taken, over which days, and when the rules are asked is up to a stage:
retrieval/simple_rules.py and satisfaction/simple_rules.py say it. Scores are [B, N + 1]; column 0 is padding and never
eligible.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

_HELD = 1 << 22  # similarities held at a time
_FLOOR = 1e-3

Scores = NDArray[np.float32]
Settings = Mapping[str, float]


class Parts:
    """What the rules are made of at some moments [B]: each part is counted once, however many settings share it."""

    def __init__(self, near: Callable[[float], Scores], popularity: Callable[[float], Scores]):
        """Args: near(read), Σ_i cos(i, j) over the last `read` events; popularity(days), n of so many days: [B, N + 1].

        Of both 0 means all there are.
        """
        self.near, self.popularity = functools.cache(near), functools.cache(popularity)


class Rule(NamedTuple):
    """`scores(parts, **settings)` gives [B, N + 1] for each settings of the `grid`."""

    scores: Callable[..., Scores]
    grid: Sequence[Settings]


def grid(**values: Sequence[float]) -> tuple[Settings, ...]:
    """Every combination of the values."""
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def popularity(parts: Parts, *, days: float) -> Scores:
    """n_j."""
    return parts.popularity(days)


def item_knn(parts: Parts, *, read: float) -> Scores:
    """Σ_i cos(i, j)."""
    return parts.near(read)


def item_knn_popularity(parts: Parts, *, read: float, days: float, power: float) -> Scores:
    """(Σ_i cos(i, j) + 0.001) · (n_j + 1)^power.

    The floor orders by popularity whatever nearness knows nothing about; all of a user without history, that is.
    """
    return (parts.near(read) + np.float32(_FLOOR)) * (parts.popularity(days) + np.float32(1)) ** np.float32(power)


def choose(
    rules: Mapping[str, Rule], queries: Iterable[tuple[Any, Callable[[Scores], ArrayLike]]]
) -> dict[str, Settings]:
    """Rule -> the settings of its grid with the highest sum of qualities over the queries; the first of several.

    Args: queries, some at a time: (the parts of the rules at their moments, scores [B, N + 1] -> qualities [B]).
    """
    totals = {name: np.zeros(len(rule.grid)) for name, rule in rules.items()}
    for parts, quality in queries:
        for name, rule in rules.items():
            for n, settings in enumerate(rule.grid) if len(rule.grid) > 1 else ():
                totals[name][n] += np.sum(quality(rule.scores(parts, **settings)))
    return {name: rules[name].grid[int(total.argmax())] for name, total in totals.items()}


def counts(items: ArrayLike, *, num_items: int) -> Scores:
    """How often each item occurs among `items` [E], indices 1..num_items: [N + 1], 0 at padding."""
    return np.bincount(np.asarray(items), minlength=num_items + 1).astype(np.float32)


def interactions(users: ArrayLike, items: ArrayLike, *, num_users: int, num_items: int) -> sp.csr_matrix:
    """The pairs as a 0/1 matrix [U, N + 1], a repeated pair once."""
    ones = np.ones(len(np.asarray(users)), np.float32)
    matrix = sp.csr_matrix((ones, (users, items)), shape=(num_users, num_items + 1))
    matrix.data[:] = 1  # building adds repeated pairs up
    return matrix


def item_neighbours(matrix: sp.csr_matrix, *, neighbours: int) -> sp.csr_matrix:
    """cos(i, j) = |users of both| / √(|users of i| |users of j|), for the `neighbours` nearest j of each i.

    Takes the 0/1 matrix [U, N + 1]; gives [N + 1, N + 1] with a zero diagonal. Ties at the last neighbour all stay.
    Time: Σ_u (items of u)², whatever N. Memory: the result, and some rows before their farthest are dropped.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours = {neighbours}: at least 1")
    lengths = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel())  # [N + 1]
    by_item = matrix.T.tocsr()
    # Pairs that each item takes part in: what a row can have at most, and so how many rows are held at a time.
    pairs = by_item @ np.asarray(matrix.sum(axis=1)).ravel()
    block_of = (np.cumsum(np.minimum(pairs, matrix.shape[1])) // _HELD).astype(np.int64)
    edges = [*np.flatnonzero(np.diff(block_of, prepend=-1)), matrix.shape[1]]
    kept = [
        _nearest(by_item[start:end] @ matrix, lengths, first=int(start), neighbours=neighbours)
        for start, end in itertools.pairwise(edges)
    ]
    return sp.vstack(kept, format="csr")


def _nearest(both: sp.csr_matrix, lengths: NDArray[np.float64], *, first: int, neighbours: int) -> sp.csr_matrix:
    # Users that the items first, first + 1, … share with each other item, as cosines with the nearest.
    row = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    value = (both.data / (lengths[first + row] * lengths[both.indices])).astype(np.float32)
    value[both.indices == first + row] = 0.0
    for n in np.flatnonzero(np.diff(both.indptr) > neighbours):
        of_row = value[both.indptr[n] : both.indptr[n + 1]]
        of_row[of_row < np.partition(of_row, -neighbours)[-neighbours]] = 0.0
    nearest = sp.csr_matrix((value, both.indices, both.indptr), shape=both.shape)
    nearest.eliminate_zeros()
    return nearest


def nearness(rows: ArrayLike, items: ArrayLike, similarities: sp.csr_matrix, *, num_rows: int) -> Scores:
    """Σ_i cos(i, j) over the different `items` [E] of each of the rows that own them [E]: [num_rows, N + 1]."""
    histories = interactions(rows, items, num_users=num_rows, num_items=similarities.shape[0] - 1)
    return (histories @ similarities).toarray().astype(np.float32)
