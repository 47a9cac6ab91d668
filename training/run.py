"""A training run in its folder: state, checkpoints and metric log around the loop."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from data.loader import Planned, iterate
from training.distributed.watch import rest, sign_of_life
from training.loop import Result, Validation, train
from training.mesh import Rules, shard_batch
from training.metric_log import MetricLog
from training.row_tables import RowTables
from training.saving.checkpoints import CHECKPOINTS, Checkpoints
from training.step import LossFn, create_state, make_train_step


def fit(
    init_fn: Callable[[jax.Array], Any],
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    batches: Planned,
    *,
    num_steps: int,
    folder: Path,
    fingerprint: Mapping[str, Any],
    seed: int,
    save_every: int,
    mesh: Mesh,
    rules: Rules = (),
    rows: RowTables | None = None,
    compiler_options: dict[str, Any] | None = None,
    validation: Validation | None = None,
) -> Result:
    """Trains `init_fn(key) -> params` in `folder`, or goes on there; called again it ends in the same parameters.

    Args:
      batches: of this host, by number; a thread reads them ahead, and splits them over several devices.
      fingerprint: what the run is of; a checkpoint of another is refused.
      seed: of the first parameters and of every step's key.
      mesh: the devices. rules: which parameters it splits, as training.mesh has them.
      rows: the tables of which a batch touches some rows alone; None where it touches everything.
      compiler_options: of the step, of training/compilation.py.
      The rest: as `training.loop.train` has them.
    Errors: those of `training.loop.train`.
    """
    key = jax.random.key(seed)
    state = create_state(init_fn, optimizer, key=key, mesh=mesh, rules=rules)
    sign_of_life()  # from here on hosts wait for one another
    with Checkpoints(folder / CHECKPOINTS, fingerprint=fingerprint) as checkpoints, MetricLog(folder) as metric_log:
        result = train(
            state,
            make_train_step(loss_fn, optimizer, state, rows=rows, compiler_options=compiler_options),
            iterate(batches, lambda batch: shard_batch(batch, mesh)),
            num_steps=num_steps,
            key=key,
            checkpoints=checkpoints,
            metric_log=metric_log,
            save_every=save_every,
            validation=validation,
        )
    rest()
    return result
