"""The index as it is exported: tuned on the queries of some users, measured on those of others."""

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from data.events_read import Reader
from data.timelines import Timelines
from retrieval.checkpoint import Retriever
from retrieval.export import index
from runtime.errors import DataError
from training.chunks import by_chunks

K = 100
_BATCH = 256  # users encoded at a time


def users_queries(retriever: Retriever, timelines: Timelines, count: int) -> NDArray[np.float32]:
    """Queries of up to `count` users at the end of the log, the moment at which serving begins, [Q, D]."""
    users = np.random.default_rng(0).permutation(timelines.num_users)[:count]
    reader = Reader(timelines.feedback, retriever.reading)

    def queries(users: NDArray[np.int64]) -> jax.Array:
        return retriever.encode(timelines.histories(users, timelines.offsets[users + 1], reader))

    return by_chunks(queries, users, _BATCH)


def tuned_index(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], options: Any
) -> tuple[index.Index, dict[str, float]]:
    """The index of items 1..N, and its `recall@100` and `qps` on the half of the queries that it was not tuned on.

    Args: vectors [N + 1, D], queries [Q, D]; options, `config.export`.
    Errors: DataError where vectors or queries are not finite or the recall is under `options.recall_floor`.
    """
    tune, held_out = (queries[0::2], queries[1::2]) if len(queries) > 1 else (queries, queries)
    k = min(K, len(vectors) - 1)
    built = index.build(vectors, tune, k=k, recall_target=options.recall_target)
    recall = index.recall(built, vectors, held_out, index.kth_best_score(vectors, held_out, k), k)
    if recall < options.recall_floor:
        raise DataError(
            f"index: recall@{K} is {recall:.4f} on {len(held_out)} users, under --config.export.recall_floor="
            f"{options.recall_floor}; lower it, or raise --config.export.recall_target (above 1: exact search)"
        )
    return built, {f"recall@{K}": recall, "qps": index.queries_per_second(built, held_out, k)}
