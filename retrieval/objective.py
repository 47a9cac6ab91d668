"""The training objective over packed batches: towers, margins (exact or sampled), joint loss or an alternative."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data.feedback import NEGATIVE, POSITIVE
from retrieval import alternatives, negatives
from retrieval.losses import joint_loss, label_margins, sampled_label_margins
from retrieval.model import TwoTower
from runtime.errors import UsageError

SOFTMAXES = ("exact", "uniform", "log_uniform", "in_batch", "mixed")
OBJECTIVES = ("not_to_recommend", "negative_weight", "reinforce", "softmax_negatives")

Batch = Mapping[str, jax.Array]
LossFn = Callable[[Any, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def check(config: ConfigDict) -> None:
    """Errors: UsageError names the first setting of the objective that makes no sense."""
    if config.softmax not in SOFTMAXES:
        raise UsageError(f"--config.softmax={config.softmax}: one of {', '.join(SOFTMAXES)}")
    if config.objective not in OBJECTIVES:
        raise UsageError(f"--config.objective={config.objective}: one of {', '.join(OBJECTIVES)}")
    if config.objective == "softmax_negatives" and config.negative_weight < 1:
        raise UsageError(
            f"--config.negative_weight={config.negative_weight}: how many times a disliked item counts among the "
            "negatives, at least 1"
        )


def make_loss(
    merge: Callable[[Any], TwoTower],
    config: ConfigDict,
    *,
    num_items: int,
    label_counts: np.ndarray,
    mesh: Mesh | None = None,
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
      mesh: where rows and item table are sharded; None on one device.
    Errors: those of `check`.
    """
    check(config)
    rows = np.arange(len(label_counts))
    item_bias = jnp.where((rows > 0) & (rows <= num_items), 0.0, -jnp.inf)  # padding rows are no items
    by_popularity = jnp.asarray(1 + np.argsort(-label_counts[1 : num_items + 1], kind="stable"), jnp.int32)
    label_frequency = jnp.asarray(label_counts[: num_items + 1] / max(label_counts.sum(), 1), jnp.float32)
    # The policy that wrote the log, without its context: how often it led to each item, one more so that none is 0.
    behaviour = (label_counts[: num_items + 1] + 1) / (label_counts.sum() + num_items)
    log_behaviour = jnp.asarray(np.log(behaviour), jnp.float32)

    def candidates(key, labels, where):
        count = config.num_candidates
        match config.softmax:
            case "uniform":
                return negatives.uniform(key, num_candidates=count, num_items=num_items)
            case "log_uniform":
                return negatives.log_uniform(key, num_candidates=count, by_popularity=by_popularity)
            case "in_batch":
                return negatives.in_batch(labels, where=where, label_frequency=label_frequency)
            case _:
                return negatives.mixed(key, labels, where=where, label_frequency=label_frequency, num_candidates=count)

    def with_disliked(margins, queries, vectors, labels, batch):
        marked = batch["label_kind"] == NEGATIVE  # [S, R]
        starts = batch["reset"].reshape(marked.shape[0], -1).cumsum(axis=1)
        window = jnp.take_along_axis(starts, batch["label_position"], axis=1)  # [S, R]
        places, there = alternatives.beside(marked, window)  # [S, R, 2]
        disliked = jnp.take_along_axis(batch["label"][..., None], places, axis=1).reshape(-1, 2)  # [S * R, 2]
        return alternatives.upweighted_margins(
            margins,
            jnp.sum(queries * vectors[labels], axis=1),
            jnp.einsum("rd,rad->ra", queries, vectors[disliked]),
            weight=config.negative_weight,
            where=there.reshape(-1, 2) & (disliked != labels[:, None]),
        )

    def loss_fn(params: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        model = merge(params)
        dropout_key, candidate_key = jax.random.split(key)
        vectors = model.items()  # [rows, D]
        rngs = nnx.Rngs(dropout=dropout_key) if config.dropout else None
        states = model.states(batch, vectors, dropout_rngs=rngs)  # [B, T, H]
        shards = batch["label"].shape[0]
        states = states.reshape(shards, -1, states.shape[-1])  # [S, B / S * T, H]
        states = jnp.take_along_axis(states, batch["label_position"][..., None], axis=1)  # [S, R, H]
        queries = model.queries(states).reshape(-1, vectors.shape[1])  # [S * R, D]
        labels, kind = batch["label"].reshape(-1), batch["label_kind"].reshape(-1)
        where = kind > 0
        labels = jnp.where(where, labels, 1)
        if config.softmax == "exact":
            margins = label_margins(
                queries, vectors, labels, block_size=config.block_size, item_bias=item_bias, where=where, mesh=mesh
            )
        else:
            ids, log_expected = candidates(candidate_key, labels, where)
            margins = sampled_label_margins(
                queries, vectors[ids], ids, log_expected, vectors[labels], labels, where=where
            )
        is_positive, is_negative = kind == POSITIVE, kind == NEGATIVE
        weighted = {
            "is_positive": is_positive,
            "is_negative": is_negative,
            "positive_weights": config.positive_weight,
            "negative_weights": config.negative_weight,
        }
        match config.objective:
            case "negative_weight":
                losses = alternatives.negative_weight_loss(margins, **weighted)
            case "reinforce":
                losses = alternatives.reinforce_loss(
                    margins,
                    log_behaviour[labels],
                    **weighted,
                    top_k=config.reinforce_top_k,
                    weight_cap=config.reinforce_weight_cap,
                )
            case "softmax_negatives":
                margins_beside = with_disliked(margins, queries, vectors, labels, batch)
                losses = joint_loss(margins_beside, **{**weighted, "is_negative": jnp.zeros_like(is_negative)})
            case _:
                losses = joint_loss(margins, **weighted)
        positives = jnp.maximum(is_positive.sum(), 1)
        negative_p = jnp.where(is_negative, jax.nn.sigmoid(margins), 0.0).sum() / jnp.maximum(is_negative.sum(), 1)
        metrics = {
            "labels": where.sum(),
            "positive_loss": jnp.where(is_positive, losses, 0.0).sum() / positives,
            "negative_p": negative_p,
        }
        return losses.sum() / positives, metrics

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
