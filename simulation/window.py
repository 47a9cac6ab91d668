"""Which events of a history a model is given, where the history is longer than what the model reads."""

from typing import Protocol

import jax
import jax.numpy as jnp


class Choose(Protocol):
    """Item, dwell, feedback of histories [b, n], n >= T, filled from the left -> the T to be read, [b, T] each."""

    def __call__(
        self, item: jax.Array, dwell: jax.Array, feedback: jax.Array, /, *, length: int
    ) -> tuple[jax.Array, jax.Array, jax.Array]: ...


def newest(
    item: jax.Array, dwell: jax.Array, feedback: jax.Array, /, *, length: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The last T = `length` events of histories [b, n], n >= T, that are filled from the left: [b, T] each.

    From the left again, in the order of time, zeros after the last.
    """
    count = (item > 0).sum(axis=1, keepdims=True)  # [b, 1]
    place = jnp.maximum(count - length, 0) + jnp.arange(length)  # [b, T]
    item, dwell, feedback = (jnp.take_along_axis(column, place, axis=1) for column in (item, dwell, feedback))
    return item, dwell, feedback
