"""What a packed batch asks a recommender: the query at each label, beside the label."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

THERE = "label_there"  # name of a batch's array of `Asked.there`


class Asked(NamedTuple):
    """Labels of a packed batch (data/loader.py), R of each of S shards, as flat rows S · R, and what answers them."""

    queries: jax.Array  # [S * R, D]
    vectors: jax.Array  # [rows, D] of all items
    item: jax.Array  # [S * R] int, the label; 1 in rows that only fill the arrays
    kind: jax.Array  # [S * R] int8: 1 positive, 2 negative, 0 fills the arrays
    window: jax.Array  # [S, R] int: which stretch of a timeline each label is of, rising
    there: jax.Array | None = None  # [S * R] int: how many items there are by then, where that is known

    @property
    def where(self) -> jax.Array:
        """[S * R] bool, rows that are labels."""
        return self.kind > 0


def at_places(place: jax.Array, rows: jax.Array) -> jax.Array:
    """What stands at places [S, R], row · T + column, of the S shards of `rows` [B, T, ...]: [S * R, ...]."""
    flat = rows.reshape(place.shape[0], -1, *rows.shape[2:])  # [S, B / S * T, ...]
    index = place.reshape(*place.shape, *[1] * (rows.ndim - 2))
    return jnp.take_along_axis(flat, index, axis=1).reshape(-1, *rows.shape[2:])


def put_at_places(place: jax.Array, values: jax.Array, size: int) -> jax.Array:
    """Values [S * R, ...] at their places [S, R] of the S shards, zeros elsewhere: [S, size, ...].

    No two may have one place; at `size` and past it they are left out.
    """

    def put(place: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.zeros((size, *values.shape[1:]), values.dtype).at[place].set(values, mode="drop")

    return jax.vmap(put)(place, values.reshape(*place.shape, *values.shape[1:]))


def last_places(rows: jax.Array) -> jax.Array:
    """The places of the last column of rows [B, T], of one shard: [1, B]."""
    return jnp.arange(1, rows.shape[0] + 1)[None] * rows.shape[1] - 1


def asked(
    model: Any, batch: Mapping[str, jax.Array], *, dropout_rngs: nnx.Rngs | None = None, **of_labels: jax.Array
) -> Asked:
    """The labels of `batch`, asked of a model with `items`, `states(batch, vectors, at=…)` and `queries(states, …)`.

    `of_labels` [S, R]: what else its queries depend on.
    """
    vectors = model.items()  # [rows, D]
    place, kind = batch["label_position"], batch["label_kind"].reshape(-1)
    states = model.states(batch, vectors, at=place, dropout_rngs=dropout_rngs)  # [S * R, state]
    started = batch["reset"].reshape(place.shape[0], -1).cumsum(axis=1)  # windows so far
    return Asked(
        queries=model.queries(states, **{name: values.reshape(-1) for name, values in of_labels.items()}),
        vectors=vectors,
        item=jnp.where(kind > 0, batch["label"].reshape(-1), 1),
        kind=kind,
        window=jnp.take_along_axis(started, place, axis=1),
        there=batch[THERE].reshape(-1) if THERE in batch else None,
    )
