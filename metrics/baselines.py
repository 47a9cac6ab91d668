"""The simple recommenders that a model has to beat: popularity, item-kNN, and their product.

They read (user, item) pairs and give scores [B, N + 1]; column 0 is padding and never eligible. Item-kNN is the cosine
of Sarwar et al., WWW 2001, on who liked what; measured carefully it is hard to beat (Dacrema et al., RecSys 2019).
"""

import itertools

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

_HELD = 1 << 22  # similarities held at a time


def popularity(items: ArrayLike, *, num_items: int) -> NDArray[np.float32]:
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


def knn_scores(histories: sp.csr_matrix, similarities: sp.csr_matrix) -> NDArray[np.float32]:
    """Σ_{i in the user's history} cos(i, j): [B, N + 1] of histories [B, N + 1] and similarities [N + 1, N + 1]."""
    return (histories @ similarities).toarray().astype(np.float32)


def times_popularity(
    scores: NDArray[np.float32], counts: NDArray[np.float32], *, power: float, floor: float = 1e-3
) -> NDArray[np.float32]:
    """(score_j + floor) · (count_j + 1)^power, [B, N + 1].

    The floor orders by popularity whatever the scores know nothing about; all of a user without history, that is.
    """
    return (scores + np.float32(floor)) * (counts + np.float32(1)) ** np.float32(power)
