"""The recurrent encoders by name: what --config.encoder of retrieval may say. A new one is a file and a line here."""

from collections.abc import Mapping
from typing import Protocol

import jax
from flax import nnx

from encoders.gru import GRUEncoder


class Encoder(Protocol):
    """What an encoder offers: states of whole histories, of one event at a time, and queries made of states.

    `step` from zeros, event by event, gives what `states` gives. Where `where` is False the state stays as it is, and
    where `reset` is True it begins from zeros.
    """

    @property
    def state_size(self) -> int:
        """Numbers that a user's state has."""

    def states(self, events: jax.Array, *, where: jax.Array, reset: jax.Array | None = None) -> jax.Array:
        """Events [B, T, I], where and reset [B, T] bool -> states [B, T, state_size]."""

    def step(self, states: jax.Array, events: jax.Array) -> jax.Array:
        """States [B, state_size] and one event each [B, I] -> states."""

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., state_size] -> queries [..., D]."""


class MakeEncoder(Protocol):
    """A class of encoders: features of an event I, the width of its layers, D of queries."""

    def __call__(self, in_features: int, hidden: int, dim: int, *, rngs: nnx.Rngs) -> Encoder: ...


ENCODERS: Mapping[str, MakeEncoder] = {"gru": GRUEncoder}
