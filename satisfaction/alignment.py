"""Step "align": trains the main model on base embeddings and imputed satisfactions, and the plain GRU beside it."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from data.loader import iterate
from data.timelines import Timelines
from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS, is_complete, open_workdir
from satisfaction.answers import answers
from satisfaction.clicks import clicks_of
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.gru_softmax import GRUSoftmax
from satisfaction.objective import make_loss
from satisfaction.ranking_validation import make_validation
from satisfaction.saqrec import SAQRec
from satisfaction.scores import Scores
from satisfaction.sequences import Histories, SequenceBatches
from training.architecture import Architecture, architecture
from training.optimizer import from_config
from training.run import fit
from training.step import TrainState

SAQREC, GRU = "saqrec", "gru_softmax"  # folders of the two models

_SIZES = (
    "length",
    "satisfied_length",
    "dissatisfied_length",
    "num_levels",
    "num_negatives",
    "num_candidates",
    "batch_size",
    "num_epochs",
)


def train_alignment(
    config: ConfigDict, timelines: Timelines, base: BaseEmbeddings, scores: Scores, folder: Path
) -> str:
    """Trains to the end, or from the last checkpoint, and returns a line that says where the result is.

    Args:
      config: the whole of configs/satisfaction.py; `align` is this step's. base, scores: of the steps before.
    Errors: UsageError and DataError of the parts, each one line.
    """
    check(config.align)
    identity = {
        "config": config.align.to_dict(),
        "seed": config.seed,
        "protocol": config.protocol,
        "answers": config.answers,
        "dim": base.dim,
        "timelines": timelines.manifest["vocabulary_hash"],
        "events": timelines.manifest["num_events"],
        "base": f"{zlib.crc32(np.asarray(base.item).tobytes()):08x}",
        "scores": f"{zlib.crc32(np.asarray(scores.satisfaction).tobytes()):08x}",
    }
    folder = open_workdir(folder, identity)
    if is_complete(folder):
        return f"already complete: {folder}"
    histories = histories_of(config, timelines, scores)
    metrics: dict[str, float] = {}
    for name, model in architectures(config, histories, base).items():
        found = _fit(config, histories, model, folder / name, has_satisfaction=name == SAQREC, identity=identity)
        metrics |= {f"{name}/{metric}": value for metric, value in found.items()}
    write_json(folder / METRICS, metrics)
    return f"aligned, MRR {metrics[f'{SAQREC}/valid/mrr']:.4f} on the validation clicks: {folder}"


def histories_of(config: ConfigDict, timelines: Timelines, scores: Scores) -> Histories:
    """What the model may know at each click of `timelines`, under `config.protocol` and `config.answers`."""
    return Histories(
        clicks_of(timelines, config.protocol),
        timelines,
        answers=answers(timelines, config.answers),
        satisfaction=scores.satisfaction,
        length=config.align.length,
        satisfied_length=config.align.satisfied_length,
        dissatisfied_length=config.align.dissatisfied_length,
    )


def architectures(config: ConfigDict, histories: Histories, base: BaseEmbeddings) -> dict[str, Architecture]:
    """The models of this step by name: SAQRec and, with `align.gru`, the GRU that it has to beat."""
    clicks = histories.clicks
    item, sizes = np.asarray(base.item)[clicks.corpus], {"num_users": clicks.num_users}
    sizes["num_periods"] = histories.num_periods
    made: dict[str, Callable[[Any], Any]] = {SAQREC: lambda rngs: SAQRec(config.align, item=item, rngs=rngs, **sizes)}
    if config.align.gru:
        made[GRU] = lambda rngs: GRUSoftmax(config.align, num_items=clicks.num_items, dim=base.dim, rngs=rngs)
    return {name: architecture(make) for name, make in made.items()}


def check(align: ConfigDict) -> None:
    """Raises UsageError, naming the setting, where it makes no sense."""
    for name in _SIZES:
        if align[name] < 1:
            raise UsageError(f"--config.align.{name}={align[name]}: must be at least 1")
    if align.length < 2:
        raise UsageError(f"--config.align.length={align.length}: a window needs at least 2 positions")
    for name in ("satisfaction_weight", "l2_weight"):
        if not 0 <= align[name] < float("inf"):
            raise UsageError(f"--config.align.{name}={align[name]}: must be finite and not negative")
    if not set(align.train_on) <= {"train", "valid"} or "train" not in align.train_on:
        raise UsageError(f"--config.align.train_on={align.train_on}: ('train',) or ('train', 'valid')")
    if len(align.label_correction) != 2 or min(align.label_correction) <= 0:
        raise UsageError(
            f"--config.align.label_correction={align.label_correction}: the two parameters of a beta distribution, "
            "both above 0"
        )


def _fit(
    config: ConfigDict,
    histories: Histories,
    model: Architecture,
    folder: Path,
    *,
    has_satisfaction: bool,
    identity: dict[str, Any],
) -> dict[str, float]:
    align = config.align
    batches = SequenceBatches(
        histories,
        batch_size=align.batch_size,
        num_epochs=align.num_epochs,
        correct_from=align.correct_from,
        seed=config.seed,
        train_on=align.train_on,
    )
    # The GRU's is the exact softmax, whatever the main model's click loss: it is the baseline to beat.
    options = align.copy_and_resolve_references()
    if not has_satisfaction:
        options.click_loss, options.learning_rate = "exact", align.gru_learning_rate
    loss_fn = make_loss(
        model.merge,
        options,
        num_items=histories.clicks.num_items,
        label_capacity=batches.label_capacity,
        has_satisfaction=has_satisfaction,
    )
    validate = make_validation(histories, model.merge, num_users=align.eval_users, seed=config.seed)

    early_stopping = "valid" not in align.train_on

    def evaluate(state: TrainState) -> dict[str, float]:
        return validate(state.params)

    result = fit(
        model.init,
        loss_fn,
        from_config(options, total_steps=len(batches)),
        iterate(batches),
        num_steps=len(batches),
        folder=folder,
        fingerprint=identity,
        seed=config.seed,
        save_every=config.save_every,
        evaluate=evaluate,
        eval_every=batches.batches_per_epoch,
        # Clicks that were learned from validate nothing: then the last step counts, after a fixed number of epochs.
        best_metric="mrr" if early_stopping else None,
        patience=align.patience if early_stopping else None,
    )
    return {**result.metrics, "best_step": result.best_step, "labels_per_epoch": batches.labels_per_epoch}
