"""The training objective over batches of click sequences: the click loss, one of three, and the satisfaction loss.

D of equations 16 and 17 is here the clicks that are labels: the satisfaction head learns of no item that the user did
not click, sampled or shown, so that where the ranking asks for both, its opinion of the rest rests on what v_i tells.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from encoders.labels import at_places
from nn.softmax import corpus_bias, label_margins, sampled_label_margins
from satisfaction.saqrec.losses import beta_cdf_weight, click_bce, satisfaction_loss, total_loss, weighted_mean
from training.step import LossFn

ClickLoss = Callable[[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(queries [R, D], items [n + 1, D], labels [R], weights [R], key) -> scalar, a weighted mean."""


def bce_click_loss(config: ConfigDict, num_items: int, mesh: Mesh | None = None) -> ClickLoss:
    """Equation 15, the paper's: binary cross-entropy against `num_negatives` uniform items a click."""

    def loss(queries, items, labels, weights, key):
        # Uniform over the other n − 1 items: those at and above the label move up by one.
        drawn = jax.random.randint(key, (len(labels), config.num_negatives), 1, num_items)
        drawn += drawn >= labels[:, None]
        positive = jnp.sum(queries * items[labels], axis=1)
        return click_bce(positive, jnp.einsum("rd,rkd->rk", queries, items[drawn]), weights=weights)

    return loss


def exact_click_loss(config: ConfigDict, num_items: int, mesh: Mesh | None = None) -> ClickLoss:
    """−log softmax over the corpus, exact, on the margins of nn/softmax.py."""
    item_bias = corpus_bias(num_items + 1, num_items)

    def loss(queries, items, labels, weights, key):
        margins = label_margins(queries, items, labels, block_size=config.block_size, item_bias=item_bias, mesh=mesh)
        return weighted_mean(jax.nn.softplus(-margins), weights=weights)

    return loss


def sampled_click_loss(config: ConfigDict, num_items: int, mesh: Mesh | None = None) -> ClickLoss:
    """−log softmax over the label and `num_candidates` uniform items shared by the batch, logQ-corrected."""

    def loss(queries, items, labels, weights, key):
        count = config.num_candidates
        ids = jax.random.randint(key, (count,), 1, num_items + 1)
        log_expected = jnp.full(count, jnp.log(count / num_items))
        margins = sampled_label_margins(queries, items[ids], ids, log_expected, items[labels], labels)
        return weighted_mean(jax.nn.softplus(-margins), weights=weights)

    return loss


CLICK_LOSSES: dict[str, Callable[[ConfigDict, int, Mesh | None], ClickLoss]] = {
    "bce": bce_click_loss,
    "exact": exact_click_loss,
    "sampled": sampled_click_loss,
}


def make_loss(
    merge: Callable[[Any], Any],
    config: ConfigDict,
    *,
    num_items: int,
    has_satisfaction: bool,
    mesh: Mesh | None = None,
) -> LossFn:
    """`loss_fn(params, batch, key) -> (loss, metrics)`: equation 19 on the labels of a batch.

    Args:
      merge: parameters -> model, SAQRec or another with its `items` and `users`. config: config.align.
      has_satisfaction: whether the model has a satisfaction head.
      mesh: where the batch's rows are sharded; None on one device.
    """
    click_loss = CLICK_LOSSES[config.click_loss](config, num_items, mesh)
    weight = beta_cdf_weight(*config.label_correction)
    learns_satisfaction = has_satisfaction and config.satisfaction_weight > 0

    def loss_fn(params, batch, key):
        model = merge(params)
        dropout_key, negative_key = jax.random.split(key)
        rngs = nnx.Rngs(dropout=dropout_key)
        items = model.items()
        users = model.users(batch, items, dropout_rngs=rngs).users  # [B, T, D]
        place, weights = batch["label_place"], batch["label_weight"].reshape(-1)  # [S, R], [S * R]
        where = weights > 0
        queries = at_places(place, users)  # [S * R, D]
        labels = jnp.where(where, at_places(place, batch["label"]), 1)
        scored, vectors = model.scored(queries, items, at_places(place, batch["period"]))
        click = click_loss(scored, vectors, labels, weights, negative_key)
        metrics = {"labels": where.sum(), "click_loss": click}
        satisfaction = jnp.zeros(())
        if learns_satisfaction:
            own = model.satisfaction_vectors(items, dropout_rngs=rngs)[labels]
            satisfaction = satisfaction_loss(
                jnp.sum(queries * own, axis=1),
                at_places(place, batch["label_score"]),
                where=where,
                corrects=batch["corrects"].any(),
                weight=weight,
            )
            metrics["satisfaction_loss"] = satisfaction
        loss = total_loss(
            click,
            satisfaction,
            params,
            satisfaction_weight=config.satisfaction_weight,
            l2_weight=config.l2_weight,
        )
        return loss, metrics

    return loss_fn
