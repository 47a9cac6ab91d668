"""What an index finds, and the least effort at which it finds enough."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.ann import Search
from retrieval.export.index import recalls
from runtime.errors import FellShortError

Vectors = NDArray[np.float32]


def found(vectors: Vectors, queries: Vectors, threshold: Vectors, items: NDArray[np.int64]) -> float:
    """recall@k: the share of `items` [Q, k] whose inner products are at least `threshold` [Q], the exact k-th best.

    Items are rows of `vectors`, 0 none.
    """
    return float(recalls(items, vectors, queries, threshold).mean())


def least(
    settings: Iterator[tuple[str, Search]],
    vectors: Vectors,
    queries: Vectors,
    threshold: Vectors,
    *,
    k: int,
    recall: float,
) -> tuple[str, Search]:
    """The first of `settings`, by rising effort, that reaches `recall`. Errors: FellShortError where none does."""
    for setting, search in settings:
        if found(vectors, queries, threshold, search(queries, k)) >= recall:
            return setting, search
    raise FellShortError(f"a recall of {recall} is not reached by {setting}")
