"""One training run of ranking: labels, batches, model, objective and validation, joined by `training.loop`."""

from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.feedback import MAX_PACKED
from data.impressions import ImpressionBatches, ranked_positions
from data.timelines import Timelines
from ranking import log_statistics, tasks
from ranking.checkpoint import build, identity
from ranking.inputs import Impressions, TrainingInputs
from ranking.objective import LOSSES, make_loss
from ranking.optimizer import optimizer_of
from ranking.tasks import Labels
from ranking.validation import make_validation
from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS
from training.compilation import narrow_row_options
from training.distributed.hosts import is_first, open_shared_workdir, together
from training.loop import Validation
from training.mesh import local_parts, mesh_of
from training.run import fit
from training.settings import COUNT, DROPOUT, NOT_NEGATIVE, TRAINING, WHOLE, check

# Rows of the id tables over the mesh's `model` axis; everything else is copied.
RULES = ((r"(user|item)_embedding", P("model", None)),)

_NUMBERS = {
    **TRAINING,
    **dict.fromkeys(("length", "encoder_length", "dim", "heads", "experts"), COUNT),
    **dict.fromkeys(("blocks", "slots", "negatives", "later"), WHOLE),
    **dict.fromkeys(("embedding_decay", "user_decay"), NOT_NEGATIVE),
    "feature_dropout": DROPOUT,
}


def train(config: ConfigDict, *, data: str, workdir: str, satisfaction: str | None = None) -> str:
    """Trains to the end, or from the last checkpoint, and returns a line that says where the result is.

    On several hosts (training/distributed/hosts.py) all of them call it alike.
    Args: satisfaction: folder of satisfaction scores, for the task of that name.
    Errors: UsageError and DataError of the parts, each one line.
    """
    timelines, config, scores = together(lambda: _opened(config, data, satisfaction))
    mesh = mesh_of(config)
    run_of = identity(config, timelines, satisfaction, model_shards=mesh.shape["model"])
    folder, complete = open_shared_workdir(workdir, run_of)
    if complete:
        return f"already complete: {folder}"
    statistics = log_statistics.build(timelines, config.history_feedback, train_on=config.train_on)
    labels = tasks.labels(config.tasks, timelines, statistics.thresholds, scores)
    positions = ranked_positions(timelines, *config.train_on)
    tasks.check_classes(config.tasks, labels, positions, " and ".join(config.train_on))
    impressions = Impressions(timelines, statistics, length=config.length)
    batches = training_batches(
        config,
        positions,
        timelines,
        impressions,
        labels,
        num_shards=mesh.shape["data"],
        shard=local_parts(mesh),
    )
    model = build(config, timelines, statistics, model_shards=mesh.shape["model"])
    loss_fn = make_loss(model.merge, config, config.tasks)
    validate = None
    if "valid" not in config.train_on:
        held_out = ranked_positions(timelines, "valid")
        tasks.check_classes(config.tasks, labels, held_out, "valid")
        validate = make_validation(model.merge, impressions, held_out, labels, config.tasks, mesh)

    def measure(params: Any) -> dict[str, float]:
        return validate(params) if validate else {}

    print(
        f"{len(positions)} impressions of {timelines.num_items} items, tasks {', '.join(config.tasks)}; "
        f"{len(batches)} steps on {mesh.size} device(s) {jax.devices()[0].platform}"
    )
    if is_first():
        statistics.write(folder / log_statistics.FOLDER)
    result = fit(
        model.init,
        loss_fn,
        optimizer_of(config, total_steps=len(batches)),
        batches,
        num_steps=len(batches),
        folder=folder,
        fingerprint=run_of,
        seed=config.seed,
        save_every=config.save_every,
        mesh=mesh,
        rules=RULES if mesh.shape["model"] > 1 else (),
        compiler_options=narrow_row_options(),
        validation=Validation(
            measure,
            every=batches.batches_per_epoch,
            best="auc" if validate else None,
            patience=config.patience if validate else None,
        ),
    )
    metrics = {**result.metrics, "best_step": result.best_step, "impressions_per_epoch": len(positions)}
    if is_first():
        write_json(folder / METRICS, metrics)
    return f"trained {result.step} steps, best at {result.best_step}: {folder}"


def training_batches(
    config: ConfigDict,
    positions: NDArray[np.int64],
    timelines: Timelines,
    impressions: Impressions,
    labels: Labels,
    *,
    num_shards: int = 1,
    shard: slice = slice(None),
) -> ImpressionBatches:
    """The batches to learn from: impressions at these positions [n], each with the other items that the loss asks for.

    `shard`: the parts, of `num_shards`, that this host loads, all by default. Errors: UsageError for a batch size that
    the shards do not divide.
    """
    gather = TrainingInputs(
        impressions,
        timelines,
        labels,
        negatives=config.negatives,
        later=config.later,
        train_on=config.train_on,
    )
    return ImpressionBatches(
        positions,
        gather,
        batch_size=config.batch_size,
        num_epochs=config.num_epochs,
        seed=config.seed,
        num_shards=num_shards,
        shard=shard,
    )


def _opened(
    config: ConfigDict, data: str, satisfaction: str | None
) -> tuple[Timelines, ConfigDict, NDArray[np.float32] | None]:
    """The timelines, the config with what it leaves to them filled in, and the satisfaction scores, if any."""
    timelines = Timelines.open(data)
    _check(config)
    config = ConfigDict(config.to_dict())
    config.tasks = tuple(config.tasks) or tasks.default(timelines)
    scores = tasks.read_satisfaction(satisfaction, timelines)
    tasks.check(config.tasks, timelines, has_satisfaction=scores is not None)
    return timelines, config, scores


def _check(config: ConfigDict) -> None:
    check(config, _NUMBERS)
    for name, least in (("hidden", 1), ("tower", 0)):
        if len(config[name]) < least or any(size < 1 for size in config[name]):
            raise UsageError(f"--config.{name}={tuple(config[name])}: {least} layers or more, each of at least 1 unit")
    shown = tuple(config.history_feedback)
    if not 1 <= len(shown) <= MAX_PACKED or len(set(shown)) < len(shown):
        raise UsageError(
            f"--config.history_feedback={shown}: what a past event shows, from 1 to {MAX_PACKED} kinds, each once"
        )
    if config.loss not in LOSSES:
        raise UsageError(f"--config.loss={config.loss}: one of {', '.join(LOSSES)}")
    if config.loss == "bpr" and not config.negatives + config.later:
        raise UsageError(
            "--config.loss=bpr orders pairs of items: it needs --config.later (observed) or --config.negatives "
            "(unobserved) of at least 1"
        )
