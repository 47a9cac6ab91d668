"""A GRU over clicks: the base recommender, from whose item vectors SAQRec starts, and what SAQRec has to beat."""

from collections.abc import Mapping

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from encoders.gru import GRUEncoder
from encoders.item_tower import ItemTable, ItemTower
from encoders.labels import at_places
from nn.dropout import Dropout
from satisfaction.saqrec.model import Aggregated
from satisfaction.saqrec.popularity import Popularity, click_logits


class GRURecommender(nnx.Module):
    """GRU4Rec (Hidasi et al., ICLR '16): u = W GRU(v_1, …, v_t) + b, and item i scores u · v_i.

    With `counts` the score has the same logit of what everybody clicked lately as SAQRec's,
    satisfaction/saqrec/popularity.py.
    """

    def __init__(
        self,
        items: ItemTower | ItemTable,
        *,
        num_items: int,
        counts: NDArray[np.float32] | None = None,
        popularity_hidden: int = 0,
        hidden: int,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        """Args: item vectors v; items 1..`num_items` may be recommended, later ones are only read; `hidden` H."""
        self.items, self.num_items = items, num_items
        self.popularity = None if counts is None else Popularity(counts, hidden=popularity_hidden, rngs=rngs)
        self.encoder = GRUEncoder(items.dim, hidden, items.dim, rngs=rngs)
        self.dropout = Dropout(dropout)

    def states(
        self,
        batch: Mapping[str, jax.Array],
        vectors: jax.Array,
        *,
        at: jax.Array | None = None,
        dropout_rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """States after each of the clicks `item` [B, T] (0 is none), given all item vectors: [B, T, H].

        Or those `at` some places [S, R], as in encoders.labels.at_places: [S * R, H]. In packed rows a window begins
        where `reset` [B, T] is True.
        """
        inputs = self.dropout(vectors[batch["item"]], dropout_rngs)  # [B, T, D]
        states = self.encoder.states(inputs, where=batch["item"] > 0, reset=batch.get("reset"))
        return states if at is None else at_places(at, states)

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., H] -> queries [..., D]."""
        return self.encoder.queries(states)

    def users(
        self, batch: Mapping[str, jax.Array], items: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> Aggregated:
        """The query at each position of the rows of satisfaction/saqrec/sequences.py, [B, T, D]."""
        return Aggregated(self.queries(self.states(batch, items, dropout_rngs=dropout_rngs)), None)

    def scored(self, users: jax.Array, items: jax.Array, period: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the scores of the n items of the corpus are the product of: popularity.click_logits."""
        return click_logits(self.popularity, users, items[: self.num_items + 1], period)
