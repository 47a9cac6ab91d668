"""The two towers: a masked GRU over what a user met and how they reacted, and item vectors from id and content."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from data.feedback import NUM_DWELL_BUCKETS
from nn.gru import GRU


class Constant(nnx.Variable):
    """An array of the model that is not trained and not saved: it comes from the timelines."""


class ItemTower(nnx.Module):
    """Item vectors v_j = id_j · [j seen in training] + Σ_f feature_f(j), one row per item of the catalogue.

    The content features (creator, cluster, …) are shared between items, so an item that no training event touched
    still has a vector: that of its content.
    """

    def __init__(
        self, features: np.ndarray, cardinalities: Sequence[int], seen: np.ndarray, *, dim: int, rngs: nnx.Rngs
    ):
        """Builds the tables.

        Args:
          features: [rows, F] int32, 0 unknown; row 0 is padding, and so may the last rows be.
          cardinalities: [F], one more than the largest value of each feature.
          seen: [rows] bool, items with training events.
          dim: D.
          rngs: initial values.
        """
        init = nnx.initializers.normal(dim**-0.5)
        self.features = Constant(jnp.asarray(features, jnp.int32))
        self.seen = Constant(jnp.asarray(seen, jnp.float32)[:, None])
        self.id_embedding = nnx.Param(init(rngs.params(), (len(features), dim), jnp.float32))
        self.feature_embeddings = nnx.List(
            [nnx.Param(init(rngs.params(), (size, dim), jnp.float32)) for size in cardinalities]
        )

    def __call__(self) -> jax.Array:
        """All item vectors, [rows, D]; what stands in padding rows means nothing."""
        vectors = self.id_embedding[...] * self.seen[...]
        for column, table in enumerate(self.feature_embeddings):
            index = self.features[...][:, column]
            vectors += jnp.where((index > 0)[:, None], table[...][index], 0.0)
        return vectors


class TwoTower(nnx.Module):
    """User tower (GRU) and item tower of Wang et al., RecSys '23, sections 2 and 3.

    An event enters as item vector ⊕ (dwell bucket + feedback flags); the GRU's state h after it gives the query
    q = W h + b, and item j scores q · v_j. Which feedback the input shows is `input_feedback`; what the labels are is
    the business of the loss.
    """

    def __init__(
        self,
        features: np.ndarray,
        cardinalities: Sequence[int],
        seen: np.ndarray,
        *,
        dim: int,
        hidden: int,
        input_bits: Sequence[int],
        dropout: float,
        rngs: nnx.Rngs,
    ):
        """Args as ItemTower; `hidden` H; `input_bits`, places in the feedback bitmask that the model reads."""
        init = nnx.initializers.normal(dim**-0.5)
        self.items = ItemTower(features, cardinalities, seen, dim=dim, rngs=rngs)
        self.input_bits = tuple(input_bits)
        self.event_embedding = nnx.Param(init(rngs.params(), (len(features), dim), jnp.float32))
        self.dwell_embedding = nnx.Param(init(rngs.params(), (NUM_DWELL_BUCKETS, dim), jnp.float32))
        self.flag_embedding = nnx.Param(init(rngs.params(), (len(self.input_bits), dim), jnp.float32))
        self.dropout = nnx.Dropout(dropout)
        self.gru = GRU(2 * dim, hidden, rngs=rngs)
        self.projection = nnx.Linear(hidden, dim, rngs=rngs)

    def events(self, item_vectors: jax.Array, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        """What the GRU reads of events of any shape [...]: [..., 2 D]."""
        shifts = jnp.asarray(self.input_bits, feedback.dtype)
        flags = ((feedback[..., None] >> shifts) & 1).astype(jnp.float32)  # [..., bits]
        reaction = self.dwell_embedding[...][dwell] + flags @ self.flag_embedding[...]
        content = item_vectors[item] + self.event_embedding[...][item]
        return jnp.concatenate([content, reaction], axis=-1)

    def states(
        self, inputs: Mapping[str, jax.Array], item_vectors: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """GRU states after each position of item, dwell, feedback (and, in packed rows, reset) [B, T]: [B, T, H]."""
        events = self.events(item_vectors, inputs["item"], inputs["dwell"], inputs["feedback"])  # [B, T, 2 D]
        if dropout_rngs is not None:
            events = self.dropout(events, rngs=dropout_rngs, deterministic=False)
        return self.gru(events, where=inputs["item"] > 0, reset=inputs.get("reset"))

    def step(self, state: jax.Array, item_vectors: jax.Array, item, dwell, feedback) -> jax.Array:
        """One event each [B] onto states [B, H]: [B, H]. Item 0 is no event and leaves the state as it is."""
        updated = self.gru.step(state, self.events(item_vectors, item, dwell, feedback))
        return jnp.where((item > 0)[:, None], updated, state)

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., H] -> queries [..., D]."""
        return self.projection(states)
