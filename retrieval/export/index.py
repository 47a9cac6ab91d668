"""The approximate index over the item vectors: ScaNN, tuned on real queries until it finds what exact search finds.

A corpus is cut into leaves of some 300 items by k-means; a query looks into the nearest few, scores their items from
4-bit codes (anisotropic quantization, Guo et al., ICML '20) and scores the best of those again exactly. How many leaves
and how many again is chosen by measurement. Where that comes to as much work as scoring every item, as in small
corpora, every item is scored.
"""

import contextlib
import dataclasses
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError

# Queries answered at a time by exact search: bounds its memory to 4 bytes x this x items.
_QUERIES_PER_BLOCK = 64

# At a million items of 64 numbers, recall@100 of .99, on one core: leaves of 250 to 330 answer 30,000 queries a second,
# those of 500 half as many.
_ITEMS_PER_LEAF = 300
# What k-means sees. ScaNN's default, 100,000 items whatever the number of leaves, leaves 25 for each of 4,000: then not
# 4 but hundreds of leaves have to be searched for the same recall.
_ITEMS_PER_CENTRE, _LEAST_SAMPLE = 150, 100_000
# A code for each number, not for two: half as many items have to be scored again, 15% more queries a second. With more
# codes than this ScaNN no longer takes the best of all leaves at once.
_MOST_CODES = 256
# An item scored again, from anywhere in memory, costs as much as this many scored from codes or in one sweep over all:
# 6.5 of 100,000 items and 14 of a million.
_AGAIN = 10


@dataclasses.dataclass(frozen=True)
class Effort:
    """How hard the index looks for the best `k`: leaves searched of those there are, items scored again exactly.

    `leaves` is 0 where every item is scored.
    """

    k: int
    leaves: int = 0
    leaves_to_search: int = 0
    reorder: int = 0

    def at(self, k: Any, *, minimum: Any, maximum: Any) -> tuple[Any, Any]:
        """(items scored again, leaves searched) for another k: in proportion, so that a wider request keeps its recall.

        `minimum` and `maximum` are those of Python, or of TensorFlow where k is a tensor.
        """
        if not self.leaves:
            return -1, -1
        times = maximum(1, (k + self.k - 1) // self.k)
        # Never fewer than k: ScaNN returns no more than it scores again.
        return maximum(self.reorder * times, k), minimum(self.leaves_to_search * times, self.leaves)


@dataclasses.dataclass(frozen=True)
class Index:
    """A ScaNN searcher over items 1..N and the effort it was tuned to."""

    searcher: Any
    num_items: int
    effort: Effort

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best items by inner product: item [Q, k] (0: none), score [Q, k] (-inf), best first; one thread."""
        count = min(k, self.num_items)
        reorder, leaves = self.effort.at(count, minimum=min, maximum=max)
        item, score = self.searcher.search_batched(queries, count, reorder, leaves)
        # ScaNN fills up with NaN where the leaves searched hold fewer than k.
        item, score = np.where(np.isnan(score), 0, item.astype(np.int64) + 1), np.where(np.isnan(score), -np.inf, score)
        missing = ((0, 0), (0, k - count))
        return np.pad(item, missing), np.pad(score, missing, constant_values=-np.inf)

    def save(self, folder: Path) -> None:
        """Writes the searcher into `folder`, movable, with the tuned effort as its defaults."""
        with _without_tensorflow():
            from scann.proto import scann_pb2

        folder.mkdir()
        self.searcher.serialize(str(folder), relative_path=True)
        if self.effort.leaves:
            path = folder / "scann_config.pb"
            config = scann_pb2.ScannConfig.FromString(path.read_bytes())
            config.partitioning.query_spilling.max_spill_centers = self.effort.leaves_to_search
            config.exact_reordering.approx_num_neighbors = self.effort.reorder
            path.write_bytes(config.SerializeToString())


def build(
    item_vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    *,
    k: int = 100,
    recall_target: float = 0.97,
) -> Index:
    """Builds the index and takes the cheapest effort whose recall@k on `queries` reaches `recall_target`.

    Reaches: the mean over queries less its standard error does, so that it is reached on other queries too. Where none
    does that is cheaper than scoring every item, every item is scored: a target above 1 asks for that.

    Args:
      item_vectors: [N+1, D]; row 0 is padding and not indexed.
      queries: [Q, D], of the users it will serve: inner products of random vectors say nothing about them.
    Errors: DataError names the first row that is not finite; ScaNN would abort the process.
    """
    check_finite(item_vectors, "item_vectors")
    check_finite(queries, "queries")
    with _without_tensorflow():
        from scann.scann_ops.py import scann_ops_pybind

    vectors = np.ascontiguousarray(item_vectors[1:], np.float32)  # [N, D]
    num_items, dim = vectors.shape
    k = min(k, num_items)
    efforts = _efforts(num_items, k)
    if efforts:
        leaves = efforts[0].leaves
        builder = scann_ops_pybind.builder(vectors, k, "dot_product").reorder(k)
        builder = builder.tree(leaves, 1, training_sample_size=max(_LEAST_SAMPLE, _ITEMS_PER_CENTRE * leaves))
        per_code = 1 if dim <= _MOST_CODES else 2
        searcher = builder.score_ah(per_code, anisotropic_quantization_threshold=0.2).build()
        threshold = kth_best_score(item_vectors, queries, k)  # [Q]
        for effort in efforts:
            index = Index(searcher, num_items, effort)
            items, _ = index.search(queries, k)
            if _surely(recalls(items, item_vectors, queries, threshold)) >= recall_target:
                return index
    exact = scann_ops_pybind.builder(vectors, k, "dot_product").score_brute_force().build()
    return Index(exact, num_items, Effort(k))


def _leaves(num_items: int) -> int:
    # Every leaf's centre is compared with each query, so a large corpus has larger leaves.
    root = math.sqrt(num_items)
    return round(min(max(root, num_items / _ITEMS_PER_LEAF), 4 * root))


def _efforts(num_items: int, k: int) -> list[Effort]:
    # Those that are less work than scoring every item, least first.
    leaves = _leaves(num_items)
    search = sorted({min(leaves, count) for i in range(leaves.bit_length() + 1) for count in (1 << i, 3 << i)})
    again = [min(num_items, round(factor * k)) for factor in (1.3, 1.5, 2, 2.5, 3, 4, 6, 8)]
    efforts = [Effort(k, leaves, count, items) for count in search for items in again]
    work = {effort: num_items * effort.leaves_to_search / leaves + _AGAIN * effort.reorder for effort in efforts}
    return sorted((effort for effort in efforts if work[effort] < num_items), key=work.__getitem__)


def kth_best_score(item_vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """The k-th highest inner product over items 1..N for each query, by exact search in blocks, [Q]."""
    blocks = []
    for start in range(0, len(queries), _QUERIES_PER_BLOCK):
        scores = queries[start : start + _QUERIES_PER_BLOCK] @ item_vectors[1:].T  # [block, N]
        blocks.append(np.partition(scores, -k, axis=1)[:, -k])
    return np.concatenate(blocks)


def _surely(recalls: NDArray[np.float64]) -> float:
    return float(recalls.mean() - recalls.std() / math.sqrt(len(recalls)))


def recall(
    index: Index,
    item_vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    threshold: NDArray[np.float32],
    k: int,
) -> float:
    """recall@k: the mean over queries of `recalls` of what the index returns."""
    return float(recalls(index.search(queries, k)[0], item_vectors, queries, threshold).mean())


def recalls(
    items: NDArray[np.int64],
    item_vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    threshold: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Each query's share [Q] of `items` [Q, k], 0 none, that score at least `threshold`, the exact k-th best, [Q].

    Scores rather than ids are compared, as ANN benchmarks do: among items of equal score any choice is right. They are
    computed again from the vectors, so an index cannot improve its recall by misreporting them.
    """
    score = np.einsum("qd,qkd->qk", queries, item_vectors[items])  # [Q, k]
    rounding = 1e-5 * np.maximum(1.0, np.abs(threshold))
    return np.mean((score >= (threshold - rounding)[:, None]) & (items > 0), axis=1)


def queries_per_second(index: Index, queries: NDArray[np.float32], k: int) -> float:
    """Queries answered per second on one thread, in one batch: the median of three times, after a warm-up."""
    index.search(queries, k)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        index.search(queries, k)
        seconds.append(time.perf_counter() - start)
    return len(queries) / float(np.median(seconds))


def check_finite(rows: NDArray[np.floating], name: str) -> None:
    """DataError naming the first row of `rows` [R, D] that holds NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(
            f"{name}: row {bad[0]} is not finite, {len(bad)} of {len(rows)} rows: the model has diverged; "
            "train it again with a lower learning rate or export an earlier checkpoint"
        )


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    # The searcher needs no TensorFlow, but the package imports it where it is installed: 3.6 s against 0.1 s.
    if "tensorflow" in sys.modules:
        yield
        return
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]
