"""The ranker: encoder, context features and the prediction layer, joined (Pan et al., CIKM '23, figure 1)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from nn.dropout import Dropout
from ranking.model.context import ContextLayer
from ranking.model.encoder import FeedbackEncoder
from ranking.model.experts import MMoE
from ranking.model.features import FeatureConstruction, Schema
from ranking.model.history_rates import newest
from ranking.model.task_weights import TaskWeights


class RankingModel(nnx.Module):
    """y_k = σ(s_k(x)), x = [Ẽ; e_h], of every candidate and task. What the config switches off is left out of x."""

    def __init__(self, schema: Schema, config: ConfigDict, *, rngs: nnx.Rngs):
        """Errors: ValueError where sizes do not fit together."""
        self.num_feedback = len(schema.feedback)
        self.features = FeatureConstruction(schema, dim=config.dim, rngs=rngs)
        size = self.features.size
        slots = config.slots or len(self.features.names)
        self.context = ContextLayer(size, config.dim, slots, rngs=rngs) if config.context else None
        self.encoder = (
            FeedbackEncoder(
                config.dim,
                self.num_feedback,
                length=min(config.encoder_length, config.length),
                blocks=config.blocks,
                heads=config.heads,
                dropout=config.dropout,
                rngs=rngs,
            )
            if config.encoder
            else None
        )
        size += self.encoder.size if self.encoder is not None else 0
        tasks = len(config.tasks)
        self.prediction = MMoE(
            size,
            experts=config.experts,
            tasks=tasks,
            hidden=config.hidden,
            tower=config.tower,
            dropout=config.dropout,
            rngs=rngs,
        )
        self.task_weights = TaskWeights(tasks, fixed=config.task_weights)
        self.dropout = Dropout(config.feature_dropout)

    def encode(self, inputs: Mapping[str, jax.Array], *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """e_h [B, d + W] of the histories' last events. Errors: ValueError for a model without encoder."""
        if self.encoder is None:
            raise ValueError("this model has no encoder")
        read = {name: inputs[name] for name in ("item", "feedback", "item_vector") if name in inputs}
        if self.encoder.length < inputs["item"].shape[1]:
            at = newest(inputs["item"] > 0, self.encoder.length)
            read = {
                name: jnp.take_along_axis(x, at.reshape(*at.shape, *[1] * (x.ndim - 2)), 1) for name, x in read.items()
            }
        feedback, _ = self.features.outcomes(read["feedback"])
        items = read.get("item_vector")  # servers have them at hand, and need not make those of all items
        if items is None:
            items = self.features.item_vectors()[read["item"]]  # [B, T, d]
        return self.encoder(items, feedback, where=read["item"] > 0, dropout_rngs=dropout_rngs)

    def representation(self, inputs: Mapping[str, jax.Array], *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """x [B, C, ...] of candidates [B, C]; `inputs` as ranking/inputs.py describes them."""
        features, context = self.features(inputs)  # [B, C, D], [B, C, 3 d]
        features = self.dropout(features, dropout_rngs)
        x = [self.context(features, context) if self.context is not None else features]
        if self.encoder is not None:
            e_h = self.encode(inputs, dropout_rngs=dropout_rngs)[:, None]  # [B, 1, d + W]
            x.append(jnp.broadcast_to(e_h, (*features.shape[:-1], e_h.shape[-1])))
        return jnp.concatenate(x, axis=-1)

    def __call__(self, inputs: Mapping[str, jax.Array], *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """Logits s [B, C, K]."""
        return self.prediction(self.representation(inputs, dropout_rngs=dropout_rngs), dropout_rngs=dropout_rngs)
