"""Writes the exported recommender: the folder that simulation measures and servers serve, whoever's model is inside.

manifest.json        length T, dim D, num_items N, vocabulary hash, features read, lineage, the index's recall
user_tower.jax       item, dwell, feedback [b, T] int32 -> queries [b, D]
user_step.jax        the same one event at a time: state [b, H], item, dwell, feedback [b] -> state, queries
item_vectors.npy     float32 [N + 1, D]; row 0 is padding
item_table.parquet   index, item_id, creator_id, cluster_id, creator, cluster, train_count; row 0 is padding
scann/, saved_model/, saved_model_scann/    what servers need: index.py, saved_model.py
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import feedback
from data.timelines import Timelines
from retrieval import index, towers
from retrieval.towers import Retriever
from runtime import artifact
from runtime.errors import DataError
from runtime.progress import progress

KIND = "recommender"
VERSION = 1
TABLE_COLUMNS = ("item_id", "creator_id", "cluster_id", "creator", "cluster", "train_count")
RECALL_AT = 100


def write(
    path: Path,
    *,
    retriever: Retriever,
    timelines: Timelines,
    options: Any,
    lineage: dict[str, Any],
    with_serving: bool = True,
) -> dict[str, float]:
    """Writes the artifact at `path`, whole or not at all, and returns its metrics.

    Args:
      options: `config.export` of configs/retrieval.py, which says what each is.
      with_serving: also write what servers need; simulation does not, and a sweep of models saves the time.
    Errors: DataError where item vectors or queries are not finite, or the index misses `options.recall_floor`.
    """
    vectors = np.ascontiguousarray(retriever.item_vectors(), np.float32)  # [N + 1, D]
    index.check_finite(vectors, "item_vectors")
    fields = {
        "length": retriever.length,
        "dim": vectors.shape[1],
        "num_items": timelines.num_items,
        "vocabulary_hash": timelines.manifest["vocabulary_hash"],
        "feedback_bits": feedback.BITS,
        "dwell_edges_ms": feedback.DWELL_EDGES_MS,
        "input_features": ["item", "dwell", *retriever.input_feedback],
        "state_size": retriever.initial_state(1).shape[1],
        "lineage": lineage,
        "index": None,
    }
    metrics: dict[str, float] = {}
    bar = progress(label="export", total=4 if with_serving else 2, unit="step")
    with bar, artifact.writing(path, kind=KIND, version=VERSION, fields=fields) as folder:
        np.save(folder / "item_vectors.npy", vectors)
        timelines.items.select(TABLE_COLUMNS).with_row_index("index").write_parquet(folder / "item_table.parquet")
        bar.update()
        (folder / "user_tower.jax").write_bytes(towers.exported_tower(retriever))
        (folder / "user_step.jax").write_bytes(towers.exported_step(retriever))
        bar.update()
        if with_serving:
            from retrieval import serving  # loads TensorFlow

            built, figures = measured_index(
                vectors, sampled_queries(retriever, timelines, options.num_queries), options
            )
            built.save(folder / "scann")
            fields["index"] = {**figures, **dataclasses.asdict(built.effort)}
            bar.update()
            latencies = serving.write(folder, retriever, timelines, vectors, effort=built.effort, options=options)
            metrics = {**{f"ann/{name}": value for name, value in figures.items()}, **latencies}
            bar.update()
    return metrics


def sampled_queries(retriever: Retriever, timelines: Timelines, count: int, batch: int = 256) -> NDArray[np.float32]:
    """Queries of up to `count` users at the end of the log, the moment at which serving begins, [Q, D]."""
    users = np.random.default_rng(0).permutation(timelines.num_users)[:count]
    queries = []
    for start in range(0, len(users), batch):
        block = np.resize(users[start : start + batch], batch)  # full batches: compiled once
        histories = timelines.histories(block, timelines.offsets[block + 1], retriever.length)
        queries.append(np.asarray(retriever.encode(histories), np.float32))
    return np.concatenate(queries)[: len(users)]


def measured_index(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], options: Any
) -> tuple[index.Index, dict[str, float]]:
    """The index, tuned on half of the queries, with its recall and speed on the other half.

    Errors: DataError where that recall is under `options.recall_floor`.
    """
    tune, held_out = (queries[0::2], queries[1::2]) if len(queries) > 1 else (queries, queries)
    k = min(RECALL_AT, len(vectors) - 1)
    built = index.build(vectors, tune, k=k, recall_target=options.recall_target)
    recall = index.recall(built, vectors, held_out, index.kth_best_score(vectors, held_out, k), k)
    if recall < options.recall_floor:
        raise DataError(
            f"index: recall@{RECALL_AT} is {recall:.4f} on {len(held_out)} users, under --config.export.recall_floor="
            f"{options.recall_floor}; lower it, or raise --config.export.recall_target (above 1: exact search)"
        )
    return built, {f"recall@{RECALL_AT}": recall, "qps": index.queries_per_second(built, held_out, k)}
