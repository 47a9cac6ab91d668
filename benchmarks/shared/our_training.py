"""What retrieval.train runs, in parts, for whoever times one of them."""

import dataclasses
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

if TYPE_CHECKING:
    from data.loader import PackedBatches
    from data.timelines import Timelines


@dataclasses.dataclass(frozen=True)
class Training:
    """`init(key) -> params` and `loss_fn(params, batch, key)` of the model, its optimizer and loader; its mesh, and the
    rules of what is split over `model`."""

    init: Any
    loss_fn: Any
    optimizer: Any
    batches: "PackedBatches"
    mesh: Any
    rules: Any


def training(config: ConfigDict, timelines: "Timelines") -> Training:
    """Of `config` on `timelines`, on all devices."""
    import numpy as np

    from retrieval.checkpoint import build
    from retrieval.objective import make_loss
    from retrieval.run import RULES, planned
    from training.mesh import mesh_of
    from training.optimizer import from_config

    mesh = mesh_of(config)
    config = ConfigDict(config.to_dict())
    config.positive = tuple(config.positive) or timelines.positive_feedback
    batches, trends = planned(config, timelines, mesh)
    shards = mesh.shape["model"]
    model = build(config, timelines, trends=trends, model_shards=shards)
    loss_fn = make_loss(
        model.merge,
        config,
        num_items=timelines.num_items,
        label_counts=np.pad(batches.label_counts(), (0, -(timelines.num_items + 1) % shards)),
        mesh=mesh if mesh.size > 1 else None,
    )
    optimizer = from_config(config, total_steps=len(batches))
    return Training(model.init, loss_fn, optimizer, batches, mesh, RULES if shards > 1 else ())
