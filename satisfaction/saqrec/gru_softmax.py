"""The sequential recommender that SAQRec has to beat: a GRU over clicks, always by the exact softmax."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import ArrayLike, NDArray

from nn.gru import GRU
from satisfaction.saqrec.model import Aggregated
from satisfaction.saqrec.popularity import Constant, Popularity, click_logits


class GRUSoftmax(nnx.Module):
    """GRU4Rec (Hidasi et al., ICLR '16): u = W GRU(v_1, …, v_t) + b, and item i scores u · v_i.

    With `counts` the score has the same logit of what everybody clicked lately as SAQRec's,
    satisfaction/saqrec/popularity.py.
    """

    def __init__(
        self,
        *,
        item: ArrayLike,
        known: NDArray[np.bool_],
        num_items: int,
        counts: NDArray[np.float32] | None,
        popularity_hidden: int,
        hidden: int,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        """Starts from vectors `item` v_i [n + m + 1, D], n = `num_items`, the m last only read.

        An item that is not `known` [n + m + 1], as nothing was ever trained on it, has a zero vector, and keeps it.
        """
        self.item_embedding = nnx.Param(jnp.asarray(item, jnp.float32))
        self.known = Constant(jnp.asarray(known)[:, None])
        self.num_items, dim = num_items, self.item_embedding[...].shape[1]
        self.popularity = None if counts is None else Popularity(counts, hidden=popularity_hidden, rngs=rngs)
        self.gru = GRU(dim, hidden, rngs=rngs)
        self.projection = nnx.Linear(hidden, dim, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def items(self) -> jax.Array:
        """v_i of all items, [n + m + 1, D]; row 0, the padding, is zero."""
        return jnp.where(self.known[...], self.item_embedding[...], 0.0).at[0].set(0.0)

    def users(
        self, batch: Mapping[str, jax.Array], items: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> Aggregated:
        """The query at each position of the rows of satisfaction/saqrec/sequences.py, [B, T, D]."""
        inputs = items[batch["item"]]
        if dropout_rngs is not None:
            inputs = self.dropout(inputs, rngs=dropout_rngs, deterministic=False)
        return Aggregated(self.projection(self.gru(inputs, where=batch["item"] > 0)), None)

    def scored(self, users: jax.Array, items: jax.Array, period: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the scores of the n items of the corpus are the product of: popularity.click_logits."""
        return click_logits(self.popularity, users, items[: self.num_items + 1], period)
