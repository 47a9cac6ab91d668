"""Exported recommenders small enough to compute by hand: a query is a signed sum of the vectors of the history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import polars as pl

from data.feedback import BITS, DWELL_EDGES_MS
from runtime.artifact import writing
from runtime.formats import RECOMMENDER


def sign(feedback: jax.Array, *, sees_dislikes: bool) -> jax.Array:
    """+1, or -1 for a dislike where the model sees those."""
    return 1.0 - 2.0 * sees_dislikes * ((feedback >> BITS["dislike"]) & 1)


def sum_tower(vectors: np.ndarray, *, sees_dislikes: bool) -> Callable[..., jax.Array]:
    """query = sum over the history of sign * vector."""

    def tower(item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        return (sign(feedback, sees_dislikes=sees_dislikes)[:, :, None] * jnp.asarray(vectors)[item]).sum(axis=1)

    return tower


def sum_step(vectors: np.ndarray, *, sees_dislikes: bool) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The same one event at a time: the state is the sum."""

    def step(state: jax.Array, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = state + sign(feedback, sees_dislikes=sees_dislikes)[:, None] * jnp.asarray(vectors)[item]
        return state, state

    return step


def last_tower(vectors: np.ndarray) -> Callable[..., jax.Array]:
    """query = sign * vector of the last event alone."""

    def tower(item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        last = (item > 0).sum(axis=1, keepdims=True) - 1  # [b, 1]
        item, feedback = (jnp.take_along_axis(column, last, axis=1)[:, 0] for column in (item, feedback))
        return sign(feedback, sees_dislikes=True)[:, None] * jnp.asarray(vectors)[item]

    return tower


def aversion_tower(vectors: np.ndarray, *, remembers: int) -> Callable[..., jax.Array]:
    """query = 1 + the vectors of all likes − 2 · those of the last dislikes, as many as it `remembers`."""

    def tower(item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        like, no = ((feedback >> BITS[name]) & 1 for name in ("like", "dislike"))  # [b, T]
        later = jnp.cumsum(no[:, ::-1], axis=1)[:, ::-1] - no  # dislikes after this event
        weight = like - 2.0 * no * (later < remembers)
        return 1.0 + (weight[:, :, None] * jnp.asarray(vectors)[item]).sum(axis=1)

    return tower


def aversion_step(vectors: np.ndarray) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The same one event at a time, which never forgets."""

    def step(state: jax.Array, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> tuple[jax.Array, jax.Array]:
        like, no = ((feedback >> BITS[name]) & 1 for name in ("like", "dislike"))
        state = state + (like - 2.0 * no)[:, None] * jnp.asarray(vectors)[item]
        return state, 1.0 + state

    return step


def item_table(creator: np.ndarray, cluster: np.ndarray) -> pl.DataFrame:
    """An item table whose original ids are "item<index>", "by<creator>", "about<cluster>"; popularity = index."""
    index = np.arange(len(creator))
    return pl.DataFrame(
        {
            "index": index,
            "item_id": [f"item{i}" if i else None for i in index],
            "creator_id": [f"by{c}" if c else None for c in creator],
            "cluster_id": [f"about{c}" if c else None for c in cluster],
            "creator": creator.astype(np.int32),
            "cluster": cluster.astype(np.int32),
            "train_count": index.astype(np.int32),
        }
    )


def write(
    path: Path,
    *,
    vectors: np.ndarray,
    items: pl.DataFrame,
    tower: Callable[..., Any],
    step: Callable[..., Any] | None = None,
    history: int = 16,
    kind: str = RECOMMENDER.kind,
    version: int = RECOMMENDER.version,
    **fields: Any,
) -> Path:
    """Writes the folder that `simulation/exported/recommender.py` reads, its tower for that many events of `history`.

    `fields` replace those of the manifest.
    """
    dim = vectors.shape[1]
    manifest = {
        "length": history,
        "dim": dim,
        "num_items": len(vectors) - 1,
        "feedback_bits": BITS,
        "dwell_edges_ms": DWELL_EDGES_MS,
        "state_size": dim if step else None,
    }
    (b,) = jax.export.symbolic_shape("b")

    def save(function: Callable[..., Any], name: str, *shapes: tuple[tuple[Any, ...], Any]) -> None:
        arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
        without_weights = jax.jit(lambda _, *inputs: function(*inputs))
        (folder / name).write_bytes(jax.export.export(without_weights)({}, *arguments).serialize())

    with writing(path, kind=kind, version=version, fields={**manifest, **fields}) as folder:
        save(tower, "user_tower.jax", *[((b, history), jnp.int32)] * 3)
        if step:
            save(step, "user_step.jax", ((b, dim), jnp.float32), *[((b,), jnp.int32)] * 3)
        np.save(folder / "item_vectors.npy", vectors)
        items.write_parquet(folder / "item_table.parquet")
    return path
