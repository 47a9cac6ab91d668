"""The base recommender: a GRU over clicks, whose item embeddings every other model of this stage starts from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from nn.gru import GRU
from nn.softmax import label_margins


class BaseModel(nnx.Module):
    """Next-click recommender, GRU4Rec (Hidasi et al., ICLR '16) with an exact softmax over the corpus.

    v_i = id_i + Σ_f feature_f(i) (Zhang et al., section 4.3.1, with sums for concatenation: one width D whatever the
    attributes); the query after clicks i_1 … i_t is W GRU(v_{i_1}, …, v_{i_t}) + b, and item i scores query · v_i.
    """

    def __init__(
        self, num_rows: int, cardinalities: Sequence[int], *, dim: int, hidden: int, dropout: float, rngs: nnx.Rngs
    ):
        """`num_rows`: N + 1, row 0 is padding. `cardinalities` of the features: one more than the largest code."""
        init = nnx.initializers.normal(dim**-0.5)
        self.id_embedding = nnx.Param(init(rngs.params(), (num_rows, dim), jnp.float32))
        self.feature_embeddings = nnx.List(
            [nnx.Param(init(rngs.params(), (size, dim), jnp.float32)) for size in cardinalities]
        )
        self.dropout = nnx.Dropout(dropout)
        self.gru = GRU(dim, hidden, rngs=rngs)
        self.projection = nnx.Linear(hidden, dim, rngs=rngs)

    def items(self, features: jax.Array, seen: jax.Array) -> jax.Array:
        """All v_i, [N + 1, D], of feature codes [N + 1, F] (0 unknown); an item not `seen` [N + 1] has no id vector.

        Row 0 is zero.
        """
        vectors = self.id_embedding[...] * seen[:, None]
        for column, table in enumerate(self.feature_embeddings):
            index = features[:, column]
            vectors += jnp.where((index > 0)[:, None], table[...][index], 0.0)
        return vectors.at[0].set(0.0)

    def states(
        self, vectors: jax.Array, item: jax.Array, *, reset: jax.Array, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """States after each of the clicks [B, T] (0 is none), given all item vectors: [B, T, H]."""
        inputs = vectors[item]  # [B, T, D]
        if dropout_rngs is not None:
            inputs = self.dropout(inputs, rngs=dropout_rngs, deterministic=False)
        return self.gru(inputs, where=item > 0, reset=reset)

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., H] -> queries [..., D]."""
        return self.projection(states)


def make_loss(
    merge: Callable[[Any], BaseModel],
    *,
    features: np.ndarray,
    seen: np.ndarray,
    dropout: float,
    block_size: int,
    mesh: Mesh | None = None,
) -> Callable[[Any, Mapping[str, jax.Array], jax.Array], tuple[jax.Array, dict[str, jax.Array]]]:
    """Mean over the labels of a packed batch (data/loader.py) of −log p(next click), p a softmax over all items.

    mesh: where the batch's rows are sharded; None on one device.
    """
    codes, is_seen = jnp.asarray(features), jnp.asarray(seen, jnp.float32)
    item_bias = jnp.where(jnp.arange(len(features)) > 0, 0.0, -jnp.inf)

    def loss_fn(params, batch, key):
        model = merge(params)
        vectors = model.items(codes, is_seen)
        rngs = nnx.Rngs(dropout=key) if dropout else None
        states = model.states(vectors, batch["item"], reset=batch["reset"], dropout_rngs=rngs)  # [B, T, H]
        states = states.reshape(batch["label"].shape[0], -1, states.shape[-1])  # [S, B / S * T, H]
        states = jnp.take_along_axis(states, batch["label_position"][..., None], axis=1)  # [S, R, H]
        queries = model.queries(states).reshape(-1, vectors.shape[1])  # [S * R, D]
        where = batch["label_kind"].reshape(-1) > 0
        labels = jnp.where(where, batch["label"].reshape(-1), 1)
        margins = label_margins(
            queries, vectors, labels, block_size=block_size, item_bias=item_bias, where=where, mesh=mesh
        )
        count = jnp.maximum(where.sum(), 1)
        return jnp.where(where, jax.nn.softplus(-margins), 0.0).sum() / count, {"labels": where.sum()}

    return loss_fn
