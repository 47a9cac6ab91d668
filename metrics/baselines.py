"""The simple recommenders that a model has to beat: popularity, item-kNN, and their product.

They read (user, item) pairs and give scores [B, N + 1]; column 0 is padding and never eligible. Item-kNN is the cosine
of Sarwar et al., WWW 2001, on who liked what; measured carefully it is hard to beat (Dacrema et al., RecSys 2019).
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1 << 22  # similarities held at a time


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
    Time: Σ_u (items of u)² products and N² comparisons.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours = {neighbours}: at least 1")
    norms = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel())  # [N + 1]
    by_item, kept = matrix.T.tocsr(), []
    block = max(1, _BLOCK // matrix.shape[1])
    for start in range(0, matrix.shape[1], block):
        rows = np.arange(start, min(start + block, matrix.shape[1]))
        both = (by_item[rows] @ matrix).toarray()  # [block, N + 1]
        scale = norms[rows, None] * norms
        cosine = np.divide(both, scale, out=np.zeros_like(both), where=both > 0)
        cosine[np.arange(len(rows)), rows] = 0.0
        if neighbours < cosine.shape[1]:
            edge = np.partition(cosine, -neighbours, axis=1)[:, -neighbours, None]
            cosine[cosine < edge] = 0.0
        kept.append(sp.csr_matrix(cosine))
    return sp.vstack(kept, format="csr")


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
