"""Step "align": trains SAQRec's main model, and the two GRUs that it has to beat.

All three have the same clicks, whole histories, recent popularity, weights of labels, validation and refit:

    saqrec       starts from the base recommender's item vectors, which hold content
    base         the base recommender's GRU, from the same vectors
    gru_softmax  a GRU over ids, from nothing
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from encoders.item_tower import ItemTable
from runtime.artifact import checksum, write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS
from satisfaction.saqrec.batch_loss import CLICK_LOSSES, make_loss
from satisfaction.saqrec.clicks import clicks_of
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.gru_recommender import GRURecommender
from satisfaction.saqrec.model import SAQRec
from satisfaction.saqrec.sequences import Histories, SequenceBatches
from satisfaction.saqrec.validation import among_sampled
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.imputed import Scores
from training.architecture import Architecture, architecture
from training.distributed.hosts import by_first, open_shared_workdir
from training.loop import Result, Validation
from training.mesh import local_parts, make_mesh
from training.optimizer import make_optimizer
from training.run import fit
from training.settings import COUNT, DROPOUT, NOT_NEGATIVE, POSITIVE, TRAINING, WHOLE, WINDOW, Kind, one_of
from training.settings import check as check_settings

SAQREC, BASE, GRU = MODELS = "saqrec", "base", "gru_softmax"  # and their folders
TRAIN, ALL = ("train",), ("train", "valid")  # splits that may be learned from

_COUNTS = (
    "satisfied_length",
    "dissatisfied_length",
    "blocks",
    "heads",
    "hidden",
    "num_levels",
    "popularity_hidden",
    "num_negatives",
    "num_candidates",
    "eval_users",
    "base_hidden",
    "gru_hidden",
)
_KINDS = {
    **TRAINING,
    **dict.fromkeys(_COUNTS, COUNT),
    **dict.fromkeys(("satisfaction_weight", "l2_weight", "dated_weight"), NOT_NEGATIVE),
    **dict.fromkeys(("base_dropout", "gru_dropout"), DROPOUT),
    **dict.fromkeys(("base_learning_rate", "gru_learning_rate"), POSITIVE),
    **dict.fromkeys(("correct_from", "block_size"), WHOLE),
    "length": WINDOW,
    "click_loss": one_of(CLICK_LOSSES),
    "label_correction": Kind(
        lambda x: len(x) == 2 and min(x) > 0, "the two parameters of a beta distribution, both above 0"
    ),
}


def train_alignment(
    config: ConfigDict, timelines: Timelines, base: BaseEmbeddings, scores: Scores, folder: Path
) -> str:
    """Trains to the end, or from the last checkpoint, and returns a line that says where the result is.

    With `align.refit` each model is trained once more, on the validation clicks too and for as many epochs as were best
    on them.

    Args:
      config: the whole of configs/satisfaction.py; `align` is this step's. base, scores: of the steps before.
    Errors: UsageError and DataError of the parts, each one line.
    """
    check(config.align, dim=base.dim)
    identity = {
        "config": config.align.to_dict(),
        "seed": config.seed,
        "protocol": config.protocol,
        "answers": config.answers,
        "dim": base.dim,
        "timelines": timelines.manifest["vocabulary_hash"],
        "log": timelines.fingerprint,
        "base": checksum(base.item.tobytes()),
        "scores": checksum(scores.satisfaction.tobytes()),
    }
    folder, complete = open_shared_workdir(folder, identity)
    if complete:
        return f"already complete: {folder}"
    metrics: dict[str, float] = {}
    best: dict[str, int] = {}
    for train_on in (TRAIN, ALL) if config.align.refit else (TRAIN,):
        histories = histories_of(config, timelines, scores, train_on=train_on)
        for name, model in architectures(config, histories, base).items():
            where = model_folder(folder, name, train_on)
            result, per_epoch = _fit(
                config, histories, model, where, name=name, identity=identity, epochs=best.get(name)
            )
            best.setdefault(name, max(1, round(result.best_step / per_epoch)))
            prefix = name if train_on == TRAIN else f"{name}/refit"
            metrics |= {f"{prefix}/{metric}": value for metric, value in result.metrics.items()}
            metrics[f"{name}/best_epochs"] = best[name]
    by_first(lambda: write_json(folder / METRICS, metrics))
    reached = ", ".join(f"{name} {metrics[f'{name}/valid/mrr']:.4f}" for name in best)
    return f"aligned, MRR on the validation clicks: {reached}: {folder}"


def model_folder(folder: Path, name: str, train_on: Sequence[str]) -> Path:
    """Where in the step's `folder` a model lies that learned from `train_on`."""
    return folder / (name if tuple(train_on) == TRAIN else f"{name}_refit")


def histories_of(
    config: ConfigDict, timelines: Timelines, scores: Scores, *, train_on: Sequence[str] = TRAIN
) -> Histories:
    """What the model may know at each click of `timelines`, under `config.protocol` and `config.answers`."""
    return Histories(
        clicks_of(timelines, config.protocol),
        timelines,
        answers=answers(timelines, config.answers),
        satisfaction=scores.satisfaction,
        length=config.align.length,
        satisfied_length=config.align.satisfied_length,
        dissatisfied_length=config.align.dissatisfied_length,
        train_on=train_on,
    )


def architectures(config: ConfigDict, histories: Histories, base: BaseEmbeddings) -> dict[str, Architecture]:
    """The models `align.models` of this step, by name."""
    align, clicks = config.align, histories.clicks
    item = np.asarray(base.item)[clicks.corpus]
    # Items that the base recommender knew by their clicks or their content, or that are clicked here.
    trained = (item != 0).any(axis=1) | histories.seen
    options = ConfigDict(align.to_dict())
    options.num_levels = num_levels(align, histories)

    def saqrec(rngs: nnx.Rngs) -> SAQRec:
        counts, users = histories.counts, clicks.num_users
        return SAQRec(options, item=item, known=trained, counts=counts, num_users=users, rngs=rngs)

    def gru(rngs: nnx.Rngs, name: str, item: Any, known: NDArray[np.bool_]) -> GRURecommender:
        return GRURecommender(
            ItemTable(item, known),
            num_items=clicks.num_items,
            counts=histories.counts if align.popularity else None,
            popularity_hidden=align.popularity_hidden,
            hidden=align[f"{name}_hidden"],
            dropout=align[f"{name}_dropout"],
            rngs=rngs,
        )

    def from_nothing(rngs: nnx.Rngs) -> GRURecommender:
        init = nnx.initializers.normal(base.dim**-0.5)
        return gru(rngs, "gru", init(rngs.params(), item.shape, jnp.float32), histories.seen)

    made: dict[str, Callable[[Any], Any]] = {
        SAQREC: saqrec,
        BASE: lambda rngs: gru(rngs, "base", item, trained),
        GRU: from_nothing,
    }
    return {name: architecture(made[name]) for name in align.models}


def num_levels(align: ConfigDict, histories: Histories) -> int:
    """N_I, or as many levels as the longest training history fills: what weighs more was never trained."""
    return min(align.num_levels, max(1, histories.most_read))


def check(align: ConfigDict, *, dim: int | None = None) -> None:
    """Raises UsageError, naming the setting, where it makes no sense; `dim` D is that of the item vectors, if known."""
    check_settings(align, _KINDS, flag="--config.align")
    if dim is not None and dim % align.heads:
        raise UsageError(f"--config.align.heads={align.heads}: does not divide the item vectors' {dim} dimensions")
    if not set(align.models) <= set(MODELS) or not align.models:
        raise UsageError(f"--config.align.models={tuple(align.models)}: of {', '.join(MODELS)}")


def _fit(
    config: ConfigDict,
    histories: Histories,
    model: Architecture,
    folder: Path,
    *,
    name: str,
    identity: dict[str, Any],
    epochs: int | None,
) -> tuple[Result, int]:
    # The result and the steps of an epoch. With `epochs` it is a refit: it ends after these, and validates nothing; the
    # learning rate is at each step what it was in the training that found them.
    align, mesh = config.align, make_mesh()
    batches = SequenceBatches(
        histories,
        batch_size=align.batch_size,
        num_epochs=align.num_epochs,
        correct_from=align.correct_from,
        seed=config.seed,
        dated_weight=align.dated_weight,
        num_shards=mesh.size,
        shard=local_parts(mesh),
    )
    # A GRU's is the exact softmax, whatever the main model's click loss: it is what there is to beat.
    options, has_satisfaction = align.copy_and_resolve_references(), name == SAQREC
    if not has_satisfaction:
        own = align.base_learning_rate if name == BASE else align.gru_learning_rate
        options.click_loss, options.learning_rate = "exact", own
    loss_fn = make_loss(
        model.merge,
        options,
        num_items=histories.clicks.num_items,
        has_satisfaction=has_satisfaction,
        mesh=mesh if mesh.size > 1 else None,
    )
    validation = None
    if epochs is None:
        measure = among_sampled(histories, model.merge, num_users=align.eval_users, seed=config.seed)
        validation = Validation(measure, every=batches.batches_per_epoch, best="mrr", patience=align.patience)
    result = fit(
        model.init,
        loss_fn,
        make_optimizer(options, total_steps=len(batches)),
        batches,
        num_steps=batches.batches_per_epoch * (epochs or align.num_epochs),
        folder=folder,
        fingerprint=identity,
        seed=config.seed,
        save_every=config.save_every,
        mesh=mesh,
        validation=validation,
    )
    result.metrics["labels_per_epoch"] = batches.labels_per_epoch
    return result, batches.batches_per_epoch
