"""One training run of retrieval: batches, model, objective and validation, joined by `training.loop`."""

from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from data.loader import OfEvents, PackedBatches
from data.timelines import Timelines
from retrieval import checkpoint, objective
from retrieval.checkpoint import identity, towers_reading
from retrieval.counted import files
from retrieval.counted.parts import KINDS, NOES
from retrieval.counted.weights import ONLY_COUNTS, only_counts
from retrieval.counted.weights import fit as fit_weights
from retrieval.large_corpus.table_memory import check_fits
from retrieval.margins.of_labels import DRAWING
from retrieval.objective import gradient_norms
from retrieval.trends import Trends, learned
from retrieval.updates import all_rows, touched_rows
from retrieval.validation import metric
from runtime.artifact import read_json, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, METRICS, is_complete
from training.distributed.hosts import is_first, open_shared_workdir, together
from training.loop import DivergedError, Validation
from training.mesh import local_parts, mesh_of, shard_batch
from training.run import fit
from training.settings import COUNT, NOT_NEGATIVE, POSITIVE, RATE, TRAINING, WHOLE, WINDOW, all_of, check, optional

# Rows of the table of ids over the mesh's `model` axis; everything else is copied.
RULES = (("id_embedding", P("model", None)),)

DIVERGED = "diverged.json"  # of a run that came to an end at a loss or gradient that is not finite

_NUMBERS = {
    **TRAINING,
    **dict.fromkeys(("dim", "hidden", "num_candidates", "eval_users", "reinforce_top_k", "id_hashes"), COUNT),
    **dict.fromkeys(("positive_weight", "denominator_weight", "reinforce_weight_cap", "table_learning_rate"), POSITIVE),
    **dict.fromkeys(("negative_weight", "opposing_weight"), NOT_NEGATIVE),
    "covisitation_noes_weight": optional(NOT_NEGATIVE),
    "counted_weights": all_of(NOT_NEGATIVE),
    "trend_days": all_of(POSITIVE),
    **dict.fromkeys(("counted_length", "covisitation_dim"), COUNT),
    **dict.fromkeys(("block_size", "id_rows"), WHOLE),
    **dict.fromkeys(("covisitation_decay", "category_decay"), RATE),
    **dict.fromkeys(("covisitation_prior", "category_prior"), POSITIVE),
    "length": WINDOW,
}


def train(config: ConfigDict, *, data: str, workdir: str) -> str:
    """Trains to the end, or from the last checkpoint, and returns a line that says where the result is.

    On several hosts (training/distributed/hosts.py) all of them call it alike.
    Errors: UsageError and DataError of the parts, each one line; a run that diverges leaves diverged.json too.
    """
    timelines = together(lambda: Timelines.open(data))
    config = together(lambda: filled_in(config, timelines))
    mesh = mesh_of(config)
    together(lambda: check_fits(config, timelines.num_items, mesh))
    run_of = identity(config, timelines, model_shards=mesh.shape["model"])
    folder, complete = open_shared_workdir(workdir, run_of)
    if complete:
        return f"already complete: {folder}"
    batches, trends = planned(config, timelines, mesh)
    parts = (touched_rows if config.touched_rows else all_rows)(config, timelines, batches, mesh, trends)
    validate = parts.make_validate() if "valid" not in config.train_on else None
    probe = shard_batch(parts.batches[0], mesh)

    @jax.jit
    def norms(params: Any, probe: Any) -> dict[str, jax.Array]:
        params = parts.rows.take(params, probe) if parts.rows else params
        return gradient_norms(parts.loss_fn, params, probe, jax.random.key(0))

    def measure(params: Any) -> dict[str, float]:
        measured = dict(validate(params)) if validate else {}
        if config.negative:
            measured.update(norms(params, probe))
        return {name: float(value) for name, value in measured.items()}

    print(
        f"{timelines.num_items} items, {batches.labels_per_epoch} labels in {batches.num_rows} rows of "
        f"{config.length}; {len(batches)} steps on {mesh.size} device(s) {jax.devices()[0].platform}"
    )
    try:
        result = fit(
            parts.init,
            parts.loss_fn,
            parts.optimizer,
            parts.batches,
            num_steps=len(batches),
            folder=folder,
            fingerprint=run_of,
            seed=config.seed,
            save_every=config.save_every,
            mesh=mesh,
            rules=RULES if mesh.shape["model"] > 1 else (),
            rows=parts.rows,
            validation=Validation(
                measure,
                every=batches.batches_per_epoch,
                best=metric(timelines.num_items) if validate else None,
                patience=config.patience if validate else None,
            ),
        )
    except DivergedError as error:
        if is_first():
            write_json(folder / DIVERGED, {"step": error.step, **error.metrics})  # for whoever compares objectives
        raise
    metrics = {**result.metrics, "best_step": result.best_step, "steps_per_epoch": batches.batches_per_epoch}
    metrics["labels_per_epoch"] = batches.labels_per_epoch
    said = f"trained {result.step} steps, best at {result.best_step}"
    if config.counted:
        weights = together(lambda: _count(folder, config, timelines, model_shards=mesh.shape["model"]))
        metrics |= {f"weight/{name}": weight for name, weight in weights.items()}
        said += f"; {ONLY_COUNTS}" if only_counts(weights) else ""
    if is_first():
        write_json(folder / METRICS, metrics)
    return f"{said}: {folder}"


def planned(config: ConfigDict, timelines: Timelines, mesh: Mesh) -> tuple[PackedBatches, Trends | None]:
    """The batches of a run, as this host loads them, and what was popular when their labels are asked, if it has that.

    Errors: those of `PackedBatches`.
    """
    trends: Trends | None = None
    of_labels: dict[str, OfEvents] = {"there": timelines.num_there_at}
    if config.trend_days:
        trends, of_labels["moment"] = learned(timelines, config)
    batches = PackedBatches(
        timelines,
        length=config.length,
        batch_size=config.batch_size,
        num_epochs=config.num_epochs,
        positive=config.positive,
        negative=config.negative,
        seed=config.seed,
        train_on=config.train_on,
        reading=towers_reading(config),
        num_shards=mesh.shape["data"],
        # To number the rows that a batch touches a host has to know all of it.
        shard=slice(None) if config.touched_rows else local_parts(mesh),
        of_labels=of_labels,
    )
    return batches, trends


def _count(folder: Path, config: ConfigDict, timelines: Timelines, *, model_shards: int) -> dict[str, float]:
    """Counts what is beside the towers and fits how much of it; returns the weights."""
    counted = {
        moment: {name: KINDS[name].counted(timelines, moment, config) for name in config.counted}
        for moment in files.MOMENTS
    }
    # On every host: a checkpoint of several is read by all of them.
    towers = checkpoint.towers_of(folder, config, timelines, until="valid", model_shards=model_shards)
    weights = fit_weights(towers, counted["valid"], timelines)
    if is_first():
        files.write(folder, counted, weights=weights)
    return weights


def refit_config(trained: str, defaults: ConfigDict, timelines: Timelines) -> ConfigDict:
    """The config that repeats the run in `trained` on the training and the validation days, for its best epochs.

    What is counted beside its towers weighs what it did, as no day is left to fit that by.

    `defaults` gives what a run does not remember, as it changes no model.
    Errors: UsageError where that run is not complete, or is of another log.
    """
    folder = Path(trained)
    if not is_complete(folder):
        raise UsageError(f"--refit={trained}: no complete training run here; run retrieval.train on it first")
    saved = read_json(folder / CONFIG)
    if saved["log"] != timelines.fingerprint:
        raise UsageError(f"--refit={trained}: trained on another log than --data={timelines.path}; give its own")
    config = ConfigDict({**defaults.to_dict(), **saved["config"]})
    metrics = read_json(folder / METRICS)
    config.num_epochs = max(1, round(metrics["best_step"] / metrics["steps_per_epoch"]))
    config.train_on = ("train", "valid")
    if config.counted:
        _, weights = files.read(folder, "test")
        config.counted_weights = tuple(weights[name] for name in (checkpoint.TOWERS, *config.counted))
        config.covisitation_noes_weight = weights.get(NOES)
    return config


def filled_in(config: ConfigDict, timelines: Timelines) -> ConfigDict:
    """`config` with what it leaves to the log: the positives, and what the model reads of each event.

    Errors: UsageError, DataError for one that makes no sense, by itself or on this log.
    """
    config = ConfigDict(config.to_dict())
    config.positive = tuple(config.positive) or timelines.positive_feedback
    if "long_view" not in timelines.traits.feedback:  # then its servers cannot tell it either
        for name in ("input_feedback", "forgiving_feedback"):
            config[name] = tuple(feedback for feedback in config[name] if feedback != "long_view")
    config.input_feedback = _told_apart(config, timelines)
    _check(config, timelines)
    return config


def _told_apart(config: ConfigDict, timelines: Timelines) -> tuple[str, ...]:
    """What the model reads of each event: what the config says, and in a log without likes its other positives.

    In a log of impressions, 1 where somebody clicked, those that were clicked and those that were not would be the same
    to it. A long view is told by the play time, where there is one.
    """
    asked, happened = tuple(config.input_feedback), timelines.traits.feedback
    if "like" in happened or "like" not in asked:
        return asked
    told = {*asked, *(("long_view",) if timelines.traits.play_times else ())}
    return (*asked, *(name for name in config.positive if name not in told))


def _check(config: ConfigDict, timelines: Timelines) -> None:
    checkpoint.check_feedback(config, "positive", "negative")
    if set(config.positive) <= set(config.negative):
        raise UsageError(
            f"--config.negative={tuple(config.negative)}: a negative wins over a positive, and every feedback of "
            f"--config.positive={tuple(config.positive)} is one: nothing is left to recommend"
        )
    check(config, _NUMBERS)
    checkpoint.check(config)
    objective.check(config)
    if timelines.num_items < 2:
        raise DataError(f"{timelines.path}: {timelines.num_items} item(s); a recommender needs at least 2")
    if config.softmax in DRAWING and config.num_candidates > timelines.num_items:
        raise UsageError(
            f"--config.num_candidates={config.num_candidates}: more than the {timelines.num_items:,} items of "
            f"{timelines.path}; --config.softmax=exact compares with all of them"
        )
