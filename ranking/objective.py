"""The training objective: a loss for each task, joined by the tasks' weights (Pan et al., CIKM '23, 2.4.1)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from ranking.losses import bpr, logloss
from ranking.model.ranker import RankingModel

Batch = Mapping[str, jax.Array]
LossFn = Callable[[Any, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]

LOSSES = {"logloss": logloss, "bpr": bpr}


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
