"""What the steps of a run change: everything, or of the item tables the rows that a batch touches. One is chosen."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data.loader import PackedBatches, Planned
from data.timelines import Timelines
from retrieval.checkpoint import build, build_by_rows
from retrieval.large_corpus.item_rows import ITEM_TABLES
from retrieval.large_corpus.touched_rows import TouchedRows
from retrieval.large_corpus.validation_in_blocks import make_validation_in_blocks
from retrieval.objective import LossFn, make_loss, make_loss_of_touched_rows
from retrieval.trends import Trends
from retrieval.validation import make_validation
from training.mesh import local_parts
from training.optimizer import make_optimizer
from training.row_tables import RowTables

Validate = Callable[[Any], dict[str, jax.Array]]


class Updates(NamedTuple):
    """What `training.run.fit` is given, and `make_validate`, which reads the validation days when it is called."""

    init: Callable[[jax.Array], Any]
    loss_fn: LossFn
    optimizer: optax.GradientTransformation
    batches: Planned
    rows: RowTables | None
    make_validate: Callable[[], Validate]


def all_rows(
    config: ConfigDict, timelines: Timelines, batches: PackedBatches, mesh: Mesh, trends: Trends | None
) -> Updates:
    """Every step has gradients and updates of the whole tables, and any softmax."""
    model = build(config, timelines, trends=trends, model_shards=mesh.shape["model"])
    added = -(timelines.num_items + 1) % mesh.shape["model"]
    loss_fn = make_loss(
        model.merge,
        config,
        num_items=timelines.num_items,
        label_counts=np.pad(batches.label_counts(), (0, added)),
        upload_place=np.pad(timelines.upload_place, (0, added)),
        mesh=mesh if mesh.size > 1 else None,
    )
    optimizer = make_optimizer(config, total_steps=len(batches))
    return Updates(
        model.init, loss_fn, optimizer, batches, None, lambda: make_validation(config, timelines, model.merge, mesh)
    )


def touched_rows(
    config: ConfigDict, timelines: Timelines, batches: PackedBatches, mesh: Mesh, trends: Trends | None
) -> Updates:
    """A step has gradients and updates of the rows that its batch touches, for a sampled softmax.

    Weight decay is of these rows too: a row decays when it is touched. `batches` have all parts on every host.
    """
    model, items = build_by_rows(config, timelines, trends=trends, model_shards=mesh.shape["model"])
    touched = TouchedRows(
        batches,
        config,
        items,
        upload_place=timelines.upload_place,
        num_shards=mesh.shape["data"],
        shard=local_parts(mesh),
    )
    rows = RowTables(items.tables(), mesh)
    optimizer = make_optimizer(config, total_steps=len(batches), rowwise=(ITEM_TABLES, config.table_learning_rate))
    return Updates(
        model.init,
        make_loss_of_touched_rows(model, config),
        optimizer,
        touched,
        rows,
        lambda: make_validation_in_blocks(config, timelines, model, items, rows, mesh),
    )
