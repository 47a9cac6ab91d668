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
    from retrieval.run import RULES, planned
    from retrieval.updates import all_rows
    from training.mesh import mesh_of

    mesh = mesh_of(config)
    config = ConfigDict(config.to_dict())
    config.positive = tuple(config.positive) or timelines.positive_feedback
    batches, trends = planned(config, timelines, mesh)
    parts = all_rows(config, timelines, batches, mesh, trends)
    rules = RULES if mesh.shape["model"] > 1 else ()
    return Training(parts.init, parts.loss_fn, parts.optimizer, batches, mesh, rules)
