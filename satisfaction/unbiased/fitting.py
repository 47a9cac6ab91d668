"""Fits a PairModel to labelled, weighted impressions: gathered batches, one jitted step, early stopping."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from numpy.typing import NDArray

from satisfaction.unbiased.estimators import satisfaction_loss
from satisfaction.unbiased.features import PairFeatures
from satisfaction.unbiased.pair_model import PairModel
from training import run
from training.architecture import Architecture, architecture
from training.chunks import by_chunks
from training.distributed.hosts import of_first
from training.loop import Validation
from training.mesh import local_copy, local_parts, make_mesh
from training.optimizer import make_optimizer
from training.saving.checkpoints import CHECKPOINTS, restore_params

_FEW, _CHUNK = 512, 1 << 14  # impressions predicted at a time: two shapes, so two compilations

Rows = Mapping[str, NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Examples:
    """Impressions to fit, all [n]: positions in the timelines, labels (of any sign, estimators.py), weights."""

    position: NDArray[np.int64]
    label: NDArray[np.float32]
    weight: NDArray[np.float32]

    def at(self, index: NDArray[Any]) -> "Examples":
        """Those at `index`."""
        return Examples(self.position[index], self.label[index], self.weight[index])


class ExampleBatches:
    """Random access to batches of examples; each epoch is a shuffle of its own. An element is a whole batch.

    With `shard` it is the rows of these parts of `num_shards` alone, which this host loads. Any number of parts will
    do: a batch is filled up, with examples of weight 0, until they are of one size.
    """

    def __init__(
        self,
        features: PairFeatures,
        examples: Examples,
        *,
        batch_size: int,
        num_batches: int,
        seed: int,
        num_shards: int = 1,
        shard: slice = slice(None),
    ) -> None:
        self._features, self._examples, self._seed, self._num_batches = features, examples, seed, num_batches
        self._batch_size = min(batch_size, len(examples.position))
        rows = -(-self._batch_size // num_shards)  # of a shard
        shards = range(num_shards)[shard]
        self._rows = range(rows * shards.start, rows * shards.stop)  # of the batch
        self._per_epoch = -(-len(examples.position) // self._batch_size)
        self._order = functools.lru_cache(maxsize=1)(self._shuffle)

    def __len__(self) -> int:
        return self._num_batches

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        epoch, batch = divmod(int(index), self._per_epoch)
        chosen = self._order(epoch)[batch * self._batch_size : (batch + 1) * self._batch_size]
        part = self._examples.at(chosen[self._rows.start : self._rows.stop])
        rows = {**self._features.events(part.position), "label": part.label, "weight": part.weight}
        missing = len(self._rows) - len(part.position)  # the last batch of an epoch, filled up with weight 0
        return {name: np.pad(row, [(0, missing)] + [(0, 0)] * (row.ndim - 1)) for name, row in rows.items()}

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._examples.position))


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model's predictions: `logits(rows)` of PairFeatures' rows [B], float64 on the host, compiled for each B."""

    logits: Callable[[Rows], NDArray[np.float64]]

    def events(self, features: PairFeatures, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Logits of the impressions at `positions`."""
        return self.of(features.events, positions)

    def of(self, rows_of: Callable[[NDArray[np.int64]], Rows], asked: NDArray[np.int64]) -> NDArray[np.float64]:
        """Logits of `rows_of(asked)` [n], some at a time."""
        size = _CHUNK if len(asked) > _FEW else _FEW
        return by_chunks(lambda part: self.logits(rows_of(part)), asked, size) if len(asked) else np.zeros(0)


def fit(
    options: ConfigDict,
    features: PairFeatures,
    examples: Examples,
    valid: Examples,
    *,
    prior_logit: float,
    seed: int,
    folder: Path,
    fingerprint: Mapping[str, Any],
) -> tuple[Fitted, dict[str, float]]:
    """Fits to the end, or on from the last checkpoint in `folder`; returns the model of the best validation loss.

    The loss of a batch is `satisfaction_loss`, divided by the number of its examples times their mean weight over all:
    the same constant for every batch, so that each batch's gradient is unbiased for that of equation 4.
    Validation: the same loss on `valid`, divided by its Σ w; lower is better. All devices share a batch.
    """
    # Both are written into the programs of all hosts, and each has computed them from propensities of its own.
    agreed = of_first({"prior_logit": prior_logit, "mean_weight": float(examples.weight.mean())})
    build, mean_weight, mesh = pair_model(options, features, agreed["prior_logit"]), agreed["mean_weight"], make_mesh()

    def loss_fn(params, batch, key):
        model = build.merge(params)
        rngs = nnx.Rngs(dropout=key) if options.dropout else None
        logits = model(batch["user"], batch["item"], batch["attributes"], dropout_rngs=rngs)
        real = (batch["weight"] > 0).sum()
        return satisfaction_loss(logits, batch["label"], batch["weight"], total=real * mean_weight), {"labels": real}

    batches = ExampleBatches(
        features,
        examples,
        batch_size=options.batch_size,
        num_batches=options.num_steps,
        seed=seed,
        num_shards=mesh.size,
        shard=local_parts(mesh),
    )

    def measure(params: Any) -> dict[str, float]:
        logits = _fitted(build.merge, local_copy(params)).events(features, valid.position)
        losses = np.logaddexp(0.0, logits) - valid.label * logits
        return {"loss": float(np.average(losses, weights=valid.weight))}

    result = run.fit(
        build.init,
        loss_fn,
        make_optimizer(options, total_steps=options.num_steps),
        batches,
        num_steps=options.num_steps,
        folder=folder,
        fingerprint=fingerprint,
        seed=seed,
        save_every=options.num_steps,
        mesh=mesh,
        validation=Validation(
            measure, every=options.eval_every, best="loss", higher_is_better=False, patience=options.patience
        ),
    )
    return load(options, features, prior_logit=prior_logit, folder=folder), result.metrics


def load(options: ConfigDict, features: PairFeatures, *, prior_logit: float, folder: Path) -> Fitted:
    """The best checkpoint of `fit` in `folder`."""
    model = pair_model(options, features, prior_logit)
    params, _ = restore_params(folder / CHECKPOINTS, model.shapes)
    return _fitted(model.merge, params)


def mean_of(members: Sequence[Fitted]) -> Fitted:
    """The model whose logits are the mean of the members'."""
    return Fitted(lambda rows: np.mean([member.logits(rows) for member in members], axis=0))


def split(examples: Examples, *, share: float, seed: int) -> tuple[Examples, Examples]:
    """(what is fitted, what validates): a random `share` of the examples validates. Of a label with two examples or
    more at least one is fitted, and at least one validates.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.random(len(examples.position))
    for label in (examples.label <= 0.5, examples.label > 0.5):
        if label.sum() > 1:
            lowest, highest = np.flatnonzero(label)[np.argsort(drawn[label])[[0, -1]]]
            drawn[lowest], drawn[highest] = 0.0, 1.0
    return examples.at(drawn >= share), examples.at(drawn < share)


def pair_model(options: ConfigDict, features: PairFeatures, prior_logit: float) -> Architecture[PairModel]:
    """The model of `options` on impressions as `features` describes them, at first of `prior_logit` everywhere."""

    def make(rngs: nnx.Rngs) -> PairModel:
        return PairModel(
            features.num_attributes,
            hidden=options.hidden,
            dropout=options.dropout,
            prior_logit=prior_logit,
            rngs=rngs,
        )

    return architecture(make)


def _fitted(merge: Callable[[Any], PairModel], params: Any) -> Fitted:
    @jax.jit
    def predict(params, rows):
        return merge(params)(rows["user"], rows["item"], rows["attributes"])

    return Fitted(lambda rows: np.asarray(predict(params, rows), np.float64))
