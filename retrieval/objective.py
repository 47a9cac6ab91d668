"""The training objective over packed batches: margins of the labels, and the joint loss or an alternative."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data.feedback import NEGATIVE, POSITIVE
from encoders.labels import Asked, asked
from retrieval import alternatives
from retrieval.losses import joint_loss
from retrieval.margins.of_labels import DTYPES, MARGINS, SAMPLERS, Corpus, MarginsFn, drawn
from retrieval.model import TwoTower
from runtime.errors import UsageError
from training.architecture import Architecture

Batch = Mapping[str, jax.Array]
LossFn = Callable[[Any, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def _not_to_recommend(config: ConfigDict, label_counts: np.ndarray) -> alternatives.LabelLosses:
    return lambda asked, margins, **weighted: joint_loss(margins, **weighted)


OBJECTIVES: Mapping[str, Callable[[ConfigDict, np.ndarray], alternatives.LabelLosses]] = {
    "not_to_recommend": _not_to_recommend,
    **alternatives.OBJECTIVES,
}
"""Names of --config.objective: the paper's equation 1, and what it is compared with."""


def check(config: ConfigDict) -> None:
    """Errors: UsageError names the first setting of the objective that makes no sense."""
    if config.softmax not in MARGINS:
        raise UsageError(f"--config.softmax={config.softmax}: one of {', '.join(MARGINS)}")
    dtypes = DTYPES if config.softmax == "exact" else DTYPES[:1]
    if config.softmax_dtype not in dtypes:
        raise UsageError(
            f"--config.softmax_dtype={config.softmax_dtype}: with --config.softmax={config.softmax} one of "
            f"{', '.join(dtypes)}"
        )
    if config.objective not in OBJECTIVES:
        raise UsageError(f"--config.objective={config.objective}: one of {', '.join(OBJECTIVES)}")
    times = {"softmax_negatives": "negative_weight", "label_and_softmax_negatives": "denominator_weight"}
    setting = times.get(config.objective)
    if setting and config[setting] < 1:
        raise UsageError(
            f"--config.{setting}={config[setting]}: how many times a disliked item counts among the negatives, at "
            "least 1"
        )
    if (config.objective == "separate_histories") != bool(config.opposing_feedback):
        raise UsageError(
            f"--config.opposing_feedback={tuple(config.opposing_feedback)}: what the encoder of noes reads, of "
            "--config.objective=separate_histories and of no other"
        )
    if config.opposing_feedback and not config.negative:
        raise UsageError("--config.negative=(): what the encoder of noes, --config.opposing_feedback, is asked for")
    if config.touched_rows and config.softmax not in SAMPLERS:
        raise UsageError(
            f"--config.touched_rows=True: --config.softmax={config.softmax} touches every row; one of "
            f"{', '.join(SAMPLERS)}"
        )
    if config.touched_rows and config.objective == "reinforce":
        raise UsageError("--config.touched_rows=True: not with --config.objective=reinforce, which weighs all items")


def make_loss(
    merge: Callable[[Any], TwoTower],
    config: ConfigDict,
    *,
    num_items: int,
    label_counts: np.ndarray,
    upload_place: np.ndarray | None = None,
    mesh: Mesh | None = None,
    margins_of: MarginsFn | None = None,
) -> LossFn:
    """The loss of a batch, `loss_fn(params, batch, key) -> (loss, metrics)`: Σ_i L_i / number of positive labels.

    L_i is `joint_loss` (Wang et al., RecSys '23, equation 1), or where `config.objective` says so one of
    retrieval/alternatives.py. Dividing by the positives alone keeps their term the same whatever negative labels a
    batch holds.

    Args:
      merge: parameters -> model.
      config: configs/retrieval.py.
      num_items: N; table rows above N are padding.
      label_counts: [rows] training labels of each item, for the sampled softmax.
      upload_place: [rows] of each item as `Timelines` has it, of batches whose labels say how many items were there: a
        label is compared with no item that came later. None compares it with all.
      mesh: where rows and item table are sharded; None on one device.
      margins_of: of the labels; by default as `config.softmax` says.
    Errors: those of `check`.
    """
    check(config)
    if margins_of is None:
        margins_of = MARGINS[config.softmax](config, Corpus(num_items, label_counts, upload_place), mesh)
    losses_of = OBJECTIVES[config.objective](config, label_counts[: num_items + 1])
    weights = {"positive_weights": config.positive_weight, "negative_weights": config.negative_weight}

    def loss_fn(params: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        dropout_key, candidate_key = jax.random.split(key)
        rngs = nnx.Rngs(dropout=dropout_key) if config.dropout else None
        moment = {"moment": batch["label_moment"]} if "label_moment" in batch else {}
        model = merge(params)
        labels = asked(model, batch, dropout_rngs=rngs, **moment)
        if config.opposing_feedback:
            labels = _noes_of_their_own_encoder(model, labels, batch, dropout_rngs=rngs, **moment)
        margins = margins_of(labels, batch, candidate_key)
        is_positive, is_negative = labels.kind == POSITIVE, labels.kind == NEGATIVE
        losses = losses_of(labels, margins, is_positive=is_positive, is_negative=is_negative, **weights)
        positives = jnp.maximum(is_positive.sum(), 1)
        negative_p = jnp.where(is_negative, jax.nn.sigmoid(margins), 0.0).sum() / jnp.maximum(is_negative.sum(), 1)
        metrics = {
            "labels": labels.where.sum(),
            "positive_loss": jnp.where(is_positive, losses, 0.0).sum() / positives,
            "negative_p": negative_p,
        }
        return losses.sum() / positives, metrics

    return loss_fn


def _noes_of_their_own_encoder(model: TwoTower, labels: Asked, batch: Batch, **options: Any) -> Asked:
    # The labels, of which those that say no are asked of the encoder that reads nothing but noes.
    queries = model.opposing_queries(batch, labels.vectors, at=batch["label_position"], **options)
    return labels._replace(queries=jnp.where((labels.kind == NEGATIVE)[:, None], queries, labels.queries))


def make_loss_of_touched_rows(model: Architecture[TwoTower], config: ConfigDict) -> LossFn:
    """The same loss of batches of retrieval/large_corpus/touched_rows.py, whose items are all the model's corpus.

    `params` has the rows that a batch touches in place of its tables.
    Errors: those of `check`.
    """
    check(config)

    def loss_fn(params: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        unknown = np.zeros(0)  # what the whole log says of items, which no objective asks for that `check` lets pass
        of_batch = make_loss(
            lambda params: model.merge_with(params, batch),
            config,
            num_items=0,
            label_counts=unknown,
            margins_of=drawn(config),
        )
        return of_batch(params, batch, key)

    return loss_fn


def gradient_norms(loss_fn: LossFn, params: Any, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
    """Global norms of the gradients of the two terms on one batch: how much each pulls at the parameters."""

    def norm(kind: int) -> jax.Array:
        # The positives stay in as the divisor: their margins' gradients are cut off, not their count.
        def term(params):
            loss, metrics = loss_fn(params, batch, key)
            return metrics["positive_loss"] if kind == POSITIVE else loss - metrics["positive_loss"]

        squares = jax.tree.map(lambda g: jnp.sum(g * g), jax.grad(term)(params))
        return jnp.sqrt(sum(jax.tree.leaves(squares)))

    return {"positive_gradient_norm": norm(POSITIVE), "negative_gradient_norm": norm(NEGATIVE)}
