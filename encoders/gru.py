"""A GRU over events: the encoder of GRU4Rec and of the paper's user tower."""

import jax
from flax import nnx

from nn.gru import GRU


class GRUEncoder(nnx.Module):
    """h_t = GRU(x_1, …, x_t), and the query q_t = W h_t + b (Hidasi et al., ICLR '16; Wang et al., RecSys '23, 3)."""

    def __init__(self, in_features: int, hidden: int, dim: int, *, rngs: nnx.Rngs):
        """Args: features of an event x; H, of a state; D, of a query."""
        self.gru = GRU(in_features, hidden, rngs=rngs)
        self.projection = nnx.Linear(hidden, dim, rngs=rngs)

    @property
    def state_size(self) -> int:
        """H, numbers that a user's state has."""
        return self.gru.hidden

    def states(self, events: jax.Array, *, where: jax.Array, reset: jax.Array | None = None) -> jax.Array:
        """States after each position of events [B, T, I]: [B, T, H]. `where` and `reset` as in nn/gru.py."""
        return self.gru(events, where=where, reset=reset)

    def step(self, states: jax.Array, events: jax.Array) -> jax.Array:
        """One event each [B, I] onto states [B, H]."""
        return self.gru.step(states, events)

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., H] -> queries [..., D]."""
        return self.projection(states)
