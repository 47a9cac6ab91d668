"""SAQRec, the main model: from a user's histories to what they will click and how satisfied they will be."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from numpy.typing import ArrayLike, NDArray

from encoders.item_tower import ItemTable
from nn.dropout import Dropout
from nn.mlp import MLP
from satisfaction.saqrec.disentanglement import Disentanglement, weight_mlp, weighted_sum
from satisfaction.saqrec.histories import HistoryEncoder
from satisfaction.saqrec.levels import LevelEnhancement
from satisfaction.saqrec.popularity import Popularity, click_logits


class Aggregated(NamedTuple):
    """u_f [B, T, D], and the weights that the paper calls satisfaction levels' [B, T, N_I]; None without MLSE."""

    users: jax.Array
    level_weights: jax.Array | None


class Asked(NamedTuple):
    """What is thought of all items at one position a row, [B]; the scores of clicks are `scored` · `vectors`."""

    query: jax.Array  # [B, D]
    scored: jax.Array  # [B, D']
    vectors: jax.Array  # [n + 1, D']
    level_weights: jax.Array | None  # [B, N_I]


def asked(model: Any, batch: Mapping[str, jax.Array], items: jax.Array) -> Asked:
    """The rows of `Histories.before`, asked of a model with `users` and `scored`, such as SAQRec."""

    def at(rows: jax.Array) -> jax.Array:
        place = batch["at"].reshape(-1, *[1] * (rows.ndim - 1))
        return jnp.take_along_axis(rows, place, axis=1)[:, 0]

    aggregated = model.users(batch, items)
    query, weights = at(aggregated.users), aggregated.level_weights
    scored, vectors = model.scored(query, items, at(batch["period"]))
    return Asked(query, scored, vectors, None if weights is None else at(weights))


def mean_so_far(vectors: jax.Array, *, where: jax.Array) -> jax.Array:
    """Σ_{j ≤ t} v_j / #{j ≤ t} over True places, [B, T, D]; zero before the first."""
    total = jnp.cumsum(jnp.where(where[..., None], vectors, 0.0), axis=1)
    return total / jnp.maximum(jnp.cumsum(where, axis=1), 1)[..., None]


class SAQRec(nnx.Module):
    """Zhang et al., CIKM '24, section 4.3: three histories, SID, MLSE and their sum u_f (equations 7 to 14).

    Row t of what it gives stands for the user after the clicks up to position t. v_u is the mean vector of the clicks
    so far, as the base recommender has it of all of them, and with `user_table` a learned vector of the user on top: a
    row of a table that is fitted to a user's clicks knows the very labels that it is there to predict.

    Beyond the paper, with `popularity`, ŷ has a logit of what everybody clicked lately on top (popularity.py).

    Without `disentanglement` u_s+ and u_s− are left out of equation 13, without `levels` u_MLSE is: the ablations of
    Table 3.
    """

    def __init__(
        self,
        config: ConfigDict,
        *,
        item: ArrayLike,
        known: NDArray[np.bool_],
        counts: NDArray[np.float32],
        num_users: int,
        rngs: nnx.Rngs,
    ):
        """Starts from a base recommender's vectors (Algorithm 1).

        Args:
          item: v_i [n + m + 1, D], the m last only read.
          known: [n + m + 1]; all else has a zero vector, and keeps it, as nothing was ever trained on it.
          counts: of popularity.py, [P, n + 1, F].
        """
        self.items = ItemTable(item, known)
        self.num_items, dim = counts.shape[1] - 1, self.items.dim
        self.user_embedding = nnx.Param(jnp.zeros((num_users, dim))) if config.user_table else None
        sizes = {"hidden": config.hidden, "dropout": config.dropout, "rngs": rngs}
        trm = {"blocks": config.blocks, "heads": config.heads, **sizes}
        self.dropout = Dropout(config.dropout)
        self.popularity = Popularity(counts, hidden=config.popularity_hidden, rngs=rngs) if config.popularity else None
        self.clicked = HistoryEncoder(config.length, dim, **trm)
        sid, num_levels = config.disentanglement, config.num_levels
        self.satisfied = HistoryEncoder(config.satisfied_length, dim, **trm) if sid else None
        self.dissatisfied = HistoryEncoder(config.dissatisfied_length, dim, **trm) if sid else None
        self.positive = Disentanglement(dim, **sizes) if sid else None
        self.negative = Disentanglement(dim, **sizes) if sid else None
        self.levels = LevelEnhancement(dim, num_levels=num_levels, **sizes) if config.levels else None
        parts = 2 + 2 * bool(sid) + bool(config.levels)
        self.final = weight_mlp(parts, dim, **sizes)
        self.satisfaction = MLP((dim, config.hidden, dim), dropout=config.dropout, rngs=rngs)

    def users(
        self, batch: Mapping[str, jax.Array], items: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> Aggregated:
        """u_f of each position of the rows of satisfaction/saqrec/sequences.py (equation 13)."""
        where = batch["item"] > 0  # [B, T]
        visible = where[:, None, :] & jnp.tri(where.shape[1], dtype=bool)  # [B, T, T]
        clicks = self.clicked(items[batch["item"]], where=where, dropout_rngs=dropout_rngs)
        position = jnp.where(where, jnp.arange(1, where.shape[1] + 1), 0)  # the first position may read nothing
        parts = [self.clicked.last(clicks, position)]
        user = mean_so_far(items[batch["item"]], where=where)
        if self.user_embedding is not None:
            user += self.user_embedding[...][batch["user"]][:, None]
        parts.append(self.dropout(user, dropout_rngs))
        for name, encoder, sid in (
            ("satisfied", self.satisfied, self.positive),
            ("dissatisfied", self.dissatisfied, self.negative),
        ):
            if encoder is None or sid is None:
                continue
            history = encoder(items[batch[name]], where=batch[name] > 0, dropout_rngs=dropout_rngs)  # [B, S, D]
            query = encoder.last(history, batch[f"{name}_count"])  # [B, T, D]
            parts.append(sid(clicks, query, visible=visible, dropout_rngs=dropout_rngs))
        level_weights = None
        if self.levels is not None:
            part, level_weights = self.levels(clicks, batch["score"], visible=visible, dropout_rngs=dropout_rngs)
            parts.append(part)
        users, _ = weighted_sum(jnp.stack(parts, axis=-2), self.final, dropout_rngs=dropout_rngs)
        return Aggregated(users, level_weights)

    def scored(self, users: jax.Array, items: jax.Array, period: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What ŷ of equation 14 is the product of, for the n items of the corpus: popularity.click_logits."""
        return click_logits(self.popularity, users, items[: self.num_items + 1], period)

    def satisfaction_vectors(self, items: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """MLP_s(v_i) [..., D] of v_i [..., D]: ŝ_f = u_f · MLP_s(v_i) is the logit of equation 14."""
        return self.satisfaction(items, dropout_rngs=dropout_rngs)
