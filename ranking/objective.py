"""The training objective: logloss or BPR of each task, joined by the tasks' weights (Pan et al., CIKM '23, 2.4.1)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from ranking.model.ranker import RankingModel

Batch = Mapping[str, jax.Array]
LossFn = Callable[[Any, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def logloss(logits: jax.Array, labels: jax.Array, *, where: jax.Array) -> jax.Array:
    """−y log σ(s) − (1 − y) log(1 − σ(s)), the mean where `where`: equation 9.

    Equation 9 as printed has (1 − Y⁻) at its second term; with Y⁻ = 0 the label of a negative that is this.

    Args:
      logits: s [...]. labels: y in [0, 1], [...]; between the two it is a soft label. where: [...] bool.
    Returns:
      A scalar; 0 where nothing is.
    """
    losses = jax.nn.softplus(logits) - labels * logits
    return jnp.where(where, losses, 0.0).sum() / jnp.maximum(where.sum(), 1)


def bpr(logits: jax.Array, labels: jax.Array, *, where: jax.Array) -> jax.Array:
    """−log σ(s_i − s_j) over the pairs of one row's candidates with y_i > y_j, the mean where both are `where`.

    Bayesian personalised ranking (Rendle et al., UAI '09). It orders; σ(s) is then no probability until calibrated.

    Args:
      logits, labels, where: [B, C], a row of candidates for each user.
    Returns:
      A scalar; 0 where there is no pair.
    """
    pairs = where[:, :, None] & where[:, None, :] & (labels[:, :, None] > labels[:, None, :])  # [B, C, C]
    losses = jax.nn.softplus(logits[:, None, :] - logits[:, :, None])
    return jnp.where(pairs, losses, 0.0).sum() / jnp.maximum(pairs.sum(), 1)


LOSSES = {"logloss": logloss, "bpr": bpr}  # of one task


def make_loss(merge: Callable[[Any], RankingModel], config: ConfigDict, tasks: Sequence[str]) -> LossFn:
    """L = Σ_k λ_k L_k of a batch: `loss_fn(params, batch, key) -> (loss, metrics)`.

    The batch holds, beside the model's inputs, `label` [B, C, K] and `where` [B, C, K].
    """
    loss_of_task = LOSSES[config.loss]

    def loss_fn(params: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        model = merge(params)
        rngs = nnx.Rngs(dropout=key) if config.dropout or config.feature_dropout else None
        logits = model(batch, dropout_rngs=rngs)  # [B, C, K]
        losses = jnp.stack(
            [
                loss_of_task(logits[..., k], batch["label"][..., k], where=batch["where"][..., k])
                for k in range(len(tasks))
            ]
        )
        weights = model.task_weights()
        metrics = {f"{task}_loss": losses[k] for k, task in enumerate(tasks)}
        metrics |= {f"{task}_weight": weights[k] for k, task in enumerate(tasks)}
        return model.task_weights.combine(losses), {**metrics, "labels": batch["where"].sum()}

    return loss_fn
