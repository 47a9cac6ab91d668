"""Indexes of other libraries over the same item vectors, each with its settings by rising effort."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.export.index import recalls
from runtime.errors import FellShortError

Vectors = NDArray[np.float32]
Search = Callable[[Vectors, int], NDArray[np.int64]]  # (queries, k) -> item numbers from 1 [Q, k], 0 none


def faiss_ivf(vectors: Vectors, *, leaves: int, threads: int) -> Iterator[tuple[str, Search]]:
    """IVFFlat by inner product with `leaves` lists, over vectors [N, D]; (setting, search) by rising effort.

    Built by `threads` threads, searched by one.
    """
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], leaves, faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors)
    index.add(vectors)
    faiss.omp_set_num_threads(1)

    def search(queries: Vectors, k: int) -> NDArray[np.int64]:
        return index.search(queries, k)[1] + 1

    for probes in _rising(1, leaves):
        index.nprobe = probes
        yield f"nlist {leaves}, nprobe {probes}", search


def hnsw(vectors: Vectors, *, k: int, threads: int) -> Iterator[tuple[str, Search]]:
    """hnswlib with M = 16, 200 neighbours looked at while building; as `faiss_ivf`.

    By Euclidean distance, with a number more a vector that makes all of one length: then the nearest item is that of
    the highest inner product. By inner products as they are its graph leads to some items by no path.
    """
    import hnswlib

    square = np.einsum("nd,nd->n", vectors, vectors)
    longer = np.concatenate([vectors, np.sqrt(square.max() - square)[:, None]], axis=1)  # [N, D + 1]
    index: Any = hnswlib.Index(space="l2", dim=longer.shape[1])
    index.init_index(max_elements=len(vectors), ef_construction=200, M=16, random_seed=0)
    index.add_items(longer, num_threads=threads)
    index.set_num_threads(1)

    def search(queries: Vectors, k: int) -> NDArray[np.int64]:
        return index.knn_query(np.pad(queries, ((0, 0), (0, 1))), k)[0].astype(np.int64) + 1

    for ef in _rising(k, len(vectors)):
        index.set_ef(ef)
        yield f"M 16, ef {ef}", search


def exact(vectors: Vectors) -> Iterator[tuple[str, Search]]:
    """All inner products, 64 queries at a time, and the best of them by np.argpartition."""

    def search(queries: Vectors, k: int) -> NDArray[np.int64]:
        found = []
        for start in range(0, len(queries), 64):
            scores = queries[start : start + 64] @ vectors.T  # [64, N]
            found.append(np.argpartition(scores, -k, axis=1)[:, -k:] + 1)
        return np.concatenate(found)

    yield "NumPy", search


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


def _rising(first: int, last: int) -> Iterator[int]:
    # By a fifth each time, so that none is searched much harder than it has to be.
    effort = first
    while effort < last:
        yield effort
        effort += max(1, effort // 5)
    yield last
