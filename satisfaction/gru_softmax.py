"""The plain sequential recommender that SAQRec has to beat: a GRU over clicks, always by the exact softmax."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from nn.gru import GRU
from satisfaction.saqrec import Aggregated


class GRUSoftmax(nnx.Module):
    """GRU4Rec (Hidasi et al., ICLR '16): u = W GRU(v_1, …, v_t) + b, and item i scores u · v_i. Starts from nothing."""

    def __init__(self, config: ConfigDict, *, num_items: int, dim: int, rngs: nnx.Rngs):
        """`num_items` n, `dim` D."""
        init = nnx.initializers.normal(dim**-0.5)
        self.item_embedding = nnx.Param(init(rngs.params(), (num_items + 1, dim), jnp.float32))
        self.gru = GRU(dim, config.gru_hidden, rngs=rngs)
        self.projection = nnx.Linear(config.gru_hidden, dim, rngs=rngs)
        self.dropout = nnx.Dropout(config.gru_dropout)

    def items(self) -> jax.Array:
        """v_i of all items, [n + 1, D]; row 0, the padding, is zero."""
        return self.item_embedding[...].at[0].set(0.0)

    def users(
        self, batch: Mapping[str, jax.Array], items: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> Aggregated:
        """The query at each position of the rows of satisfaction/sequences.py, [B, T, D]."""
        inputs = items[batch["item"]]
        if dropout_rngs is not None:
            inputs = self.dropout(inputs, rngs=dropout_rngs, deterministic=False)
        return Aggregated(self.projection(self.gru(inputs, where=batch["item"] > 0)), None)

    def scored(self, users: jax.Array, items: jax.Array, period: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The query and the item vectors as they are."""
        return users, items
