"""Writes the exported recommender: the folder that simulation measures and servers serve, whoever's model is inside.

manifest.json        length T and what is read of a longer history (data/events_read.py), dim D, num_items N, vocabulary
                     hash, features read, lineage, the index's recall,
                     the verdict of a gate where there was one, what the log of a pipeline could not carry
user_tower.jax       weights; item, dwell, feedback [b, T] int32 -> queries [b, D]
user_step.jax        the same one event at a time, which goes on after T events, where the tower reads the last T alone:
                     weights; state [b, H], item, dwell, feedback [b] -> state, queries
item_vectors.npy     float32 [N + 1, D]; row 0 is padding
weights/*.npy        what the programs, all `.jax`, read beside it: each takes a dictionary of its weights first, whose
                     keys are the files of this folder that hold them, without `.npy`; it may be empty
item_table.parquet   index, item_id, creator_id, cluster_id, creator, cluster, train_count, and where the log has one
                     title; row 0 is padding. An item's train_count is the events of it that the model could learn from
item_embeddings.npy  float32 [N + 1, E], where the log has any: as it has them, zeros where unknown; E is made of the
                     manifest's `item_embeddings`. What is alike can be judged by them: simulation/counterfactual
item_tower.jax       of items that came later: weights; codes [b, C] int32 and embeddings [b, E], zeros where unknown
                     -> their vectors [b, D]. C is the manifest's `item_features`, of each its `width` columns; a
                     number's code is its `first` and how many of its `edges` are at it or below it
item_codes.parquet   feature, value, code: those of categories
scann/, saved_model/, saved_model_scann/, saved_model_items/    what servers need: tuned_index.py, saved_model.py,
                     saved_items.py
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import feedback
from data.timelines import END, Timelines
from nn import exported
from retrieval import checkpoint
from retrieval.checkpoint import ITEM_VECTORS, Retriever
from retrieval.export import index, user_tower
from retrieval.export.tuned_index import tuned_index, users_queries
from runtime import artifact
from runtime.errors import UsageError
from runtime.exporting import export_once
from runtime.formats import RECOMMENDER
from runtime.progress import progress
from runtime.workdir import METRICS

FOLDER = "recommender"
TABLE_COLUMNS = ("item_id", "creator_id", "cluster_id", "creator", "cluster", "train_count")


def export(
    options: Any,
    *,
    data: str,
    trained: str,
    workdir: str | None,
    with_serving: bool,
    counted_until: str = END,
    verdict: str | None = None,
    left_out: str | None = None,
) -> str:
    """Exports the model of the training run in `trained` into `workdir`; returns the line that says where it is.

    Args: options, `config.export` of configs/retrieval.py; data, the folder of the timelines; counted_until, the moment
    of `Timelines.until` up to which is counted what is popular and what stands beside the towers; verdict, the file of
    one on this model; left_out, the file of what a pipeline has left out.
    Errors: UsageError names the flag or setting at fault; DataError as `write`.
    """
    check(options)
    timelines = Timelines.open(data)
    retriever = checkpoint.load(trained, timelines, until=counted_until)
    lineage = {
        "timelines": artifact.digest(timelines.path / artifact.MANIFEST),
        "checkpoint": artifact.digest(Path(trained) / METRICS),  # of the run; no two runs take the same time
        "config": retriever.config.to_dict(),
        "counted_until": counted_until,
    }
    judged: dict[str, Any] = {"verdict": _verdict(verdict, lineage["checkpoint"])} if verdict else {}
    judged |= {"left_out": artifact.read_json(left_out)} if left_out else {}
    return export_once(
        workdir,
        {"export": options.to_dict(), "serving": with_serving, "lineage": lineage, **judged},
        name=FOLDER,
        **RECOMMENDER._asdict(),
        write=partial(
            write,
            retriever=retriever,
            timelines=timelines,
            options=options,
            lineage=lineage,
            with_serving=with_serving,
            more=judged,
        ),
    )


def _verdict(path: str, checkpoint: str) -> Any:
    verdict = artifact.read_json(path)
    if not isinstance(verdict, dict) or verdict.get("checkpoint") != checkpoint:
        raise UsageError(f"--verdict={path}: not of the model in --checkpoint; judge an export of this one")
    return verdict


def check(options: Any) -> None:
    """Raises UsageError, naming the setting, where `config.export` makes no sense."""
    for name in ("max_k", "num_queries"):
        if options[name] < 1:
            raise UsageError(f"--config.export.{name}={options[name]}: at least 1")
    if any(size < 1 for size in options.warmup_batch_sizes):
        raise UsageError(f"--config.export.warmup_batch_sizes={options.warmup_batch_sizes}: each at least 1")


def write(
    path: Path,
    *,
    retriever: Retriever,
    timelines: Timelines,
    options: Any,
    lineage: dict[str, Any],
    with_serving: bool = True,
    more: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes the artifact at `path`, whole or not at all, and returns its metrics.

    Args:
      with_serving: also write what servers need; simulation does not, and a sweep of models saves the time.
      more: further fields of the manifest.
    Errors: DataError where item vectors or queries are not finite, or the index misses `options.recall_floor`.
    """
    vectors = np.ascontiguousarray(retriever.item_vectors(), np.float32)  # [N + 1, D]
    index.check_finite(vectors, "item_vectors")
    fields = {
        "length": retriever.reading.length,
        "remembered_events": retriever.reading.remembered,
        "remembered_feedback": feedback.names_of(retriever.reading.no_mask),
        "dim": vectors.shape[1],
        "num_items": timelines.num_items,
        "vocabulary_hash": timelines.manifest["vocabulary_hash"],
        "feedback_bits": feedback.BITS,
        "dwell_edges_ms": feedback.DWELL_EDGES_MS,
        "input_features": ["item", "dwell", *retriever.input_feedback],
        "state_size": retriever.state_size,
        "lineage": lineage,
        "item_features": timelines.manifest.get("item_features", []),
        "item_embeddings": timelines.manifest.get("item_embeddings", []),
        "index": None,
        **(more or {}),
    }
    metrics: dict[str, float] = {}
    bar = progress(label="export", total=4 if with_serving else 2, unit="step")
    with bar, artifact.writing(path, **RECOMMENDER._asdict(), fields=fields) as folder:
        np.save(folder / f"{ITEM_VECTORS}.npy", vectors)
        if timelines.embeddings is not None:
            np.save(folder / "item_embeddings.npy", timelines.embeddings)
        learned = timelines.item_counts(retriever.train_on).astype(np.int32)
        columns = [*TABLE_COLUMNS, *({"title"} & {*timelines.items.columns})]
        table = timelines.items.with_columns(train_count=learned).select(columns).with_row_index("index")
        table.write_parquet(folder / "item_table.parquet")
        bar.update()
        exported.save(folder, "user_tower.jax", user_tower.tower(retriever))
        exported.save(folder, "user_step.jax", user_tower.step(retriever))
        content = timelines.item_content()
        if content.owner or content.sizes:
            sizes = {"codes": len(content.owner), "size": sum(content.sizes)}
            exported.save(folder, "item_tower.jax", user_tower.item_tower(retriever, **sizes))
            timelines.item_codes().write_parquet(folder / "item_codes.parquet")
        bar.update()
        if with_serving:
            from retrieval.export import servable  # loads TensorFlow

            built, figures = tuned_index(vectors, users_queries(retriever, timelines, options.num_queries), options)
            built.save(folder / "scann")
            fields["index"] = {**figures, **dataclasses.asdict(built.effort)}
            bar.update()
            latencies = servable.write(folder, retriever, timelines, vectors, effort=built.effort, options=options)
            metrics = {**{f"ann/{name}": value for name, value in figures.items()}, **latencies}
            bar.update()
    return metrics
