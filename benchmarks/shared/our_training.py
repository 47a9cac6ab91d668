"""A training of ours in parts, for whoever times some of them: what retrieval.train runs, and how any begins."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from runtime.errors import UsageError

if TYPE_CHECKING:
    from data.timelines import Timelines

Count = Callable[[Mapping[str, Any]], int]  # of what is counted, those of a batch


@dataclasses.dataclass(frozen=True)
class Training:
    """`init(key) -> params` and `loss_fn(params, batch, key)` of the model, its optimizer and loader; its mesh, and the
    rules of what is split over `model`."""

    init: Any
    loss_fn: Any
    optimizer: Any
    batches: Any  # data.loader.Planned
    mesh: Any
    rules: Any


def training(config: ConfigDict, timelines: "Timelines") -> Training:
    """Of `config` on `timelines`, on all devices.

    Errors: UsageError where it is to train touched rows alone; those of `retrieval.run.filled_in`.
    """
    from retrieval.run import RULES, filled_in, planned
    from retrieval.updates import all_rows
    from training.mesh import mesh_of

    if config.touched_rows:
        raise UsageError("--config.touched_rows=True: not timed here; see benchmarks.large_corpus, or leave it out")
    config, mesh = filled_in(config, timelines), mesh_of(config)
    batches, trends = planned(config, timelines, mesh)
    parts = all_rows(config, timelines, batches, mesh, trends)
    rules = RULES if mesh.shape["model"] > 1 else ()
    return Training(parts.init, parts.loss_fn, parts.optimizer, batches, mesh, rules)


def labels(batch: Mapping[str, Any]) -> int:
    """How many a batch of retrieval.train has."""
    return int((batch["label"] > 0).sum())


def started(
    parts: Training, *, seed: int, compiler_options: dict[str, Any] | None = None
) -> tuple[Any, Callable[[Any, Any], tuple[Any, Any]]]:
    """The state before the first step, and the step: (state, batch of `shard_batch`) -> (state, metrics)."""
    import jax

    from training.step import create_state, make_train_step

    key = jax.random.key(seed)
    state = create_state(parts.init, parts.optimizer, key=key, mesh=parts.mesh, rules=parts.rules)
    step = make_train_step(parts.loss_fn, parts.optimizer, state, compiler_options=compiler_options)
    return state, lambda state, batch: step(state, batch, key)


def endless(parts: Training, count: Count) -> Iterator[tuple[int, Any]]:
    """What `count` says of each batch, and the batch as the loader hands it to a step; all over and over."""
    from data.loader import iterate
    from training.mesh import shard_batch

    while True:
        yield from iterate(parts.batches, lambda batch: (count(batch), shard_batch(batch, parts.mesh)))
