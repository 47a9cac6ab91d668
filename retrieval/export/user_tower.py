"""The towers as files that run without its code: `jax.export`, for any batch size and every platform at once.

Each program takes its weights first: a dictionary of arrays whose keys are the files that hold them, without `.npy`.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from nn import exported
from nn.exported import Apart, apart
from retrieval.checkpoint import Retriever


def tower(retriever: Retriever) -> Apart:
    """The user tower as a function of weights and item, dwell, feedback [b, T] int32 -> queries [b, D]."""

    def queries(weights: Mapping[str, jax.Array], item, dwell, feedback) -> jax.Array:
        return retriever.encode_with(weights, {"item": item, "dwell": dwell, "feedback": feedback})

    return apart(queries, retriever.weights, *history(retriever.reading.length), name="weights/user_tower")


def item_tower(retriever: Retriever, *, codes: int, size: int) -> Apart:
    """The item tower as a function of weights, codes [b, C] int32 and embeddings [b, E] float32 -> vectors [b, D]."""
    return apart(retriever.of_content_with, retriever.weights, *content(codes, size), name="weights/item_tower")


def history(length: int) -> list[jax.ShapeDtypeStruct]:
    """What a tower of T = `length` takes: item, dwell, feedback [b, T] int32."""
    return [jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"b, {length}"), np.int32)] * 3


def content(codes: int, size: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """What an item tower takes: codes [b, C] int32 and embeddings [b, E] float32, of C = `codes` and E = `size`."""
    (batch,) = jax.export.symbolic_shape("b")
    return jax.ShapeDtypeStruct((batch, codes), np.int32), jax.ShapeDtypeStruct((batch, size), np.float32)


def write_tower(folder: Path, retriever: Retriever) -> None:
    """`user_tower.jax`: `call(weights, item, dwell, feedback)` gives the queries of any batch of histories."""
    exported.save(folder, "user_tower.jax", tower(retriever))


def write_step(folder: Path, retriever: Retriever) -> None:
    """`user_step.jax`, one event at a time: `call(weights, state [b, H], item, dwell, feedback [b])` gives the next
    state and queries [b, D].

    The zero state is the empty history, and item 0 leaves the state as it is.
    """
    (batch,) = jax.export.symbolic_shape("b")
    state = jax.ShapeDtypeStruct((batch, retriever.state_size), np.float32)
    inputs = (state, *[jax.ShapeDtypeStruct((batch,), np.int32)] * 3)
    step = apart(retriever.step_with, retriever.weights, *inputs, name="weights/user_step")
    exported.save(folder, "user_step.jax", step)


def write_item_tower(folder: Path, retriever: Retriever, *, codes: int, size: int) -> None:
    """`item_tower.jax`, vectors of items that came later: `call(weights, codes [b, C] int32, embeddings [b, E])` gives
    them, [b, D].

    Args: C and E. What is not known is 0. An item without anything that training knows has the vector 0.
    """
    exported.save(folder, "item_tower.jax", item_tower(retriever, codes=codes, size=size))
