"""The towers as functions apart from their weights: what is saved by `jax.export`, for any batch size and platform.

Each program takes its weights first: a dictionary of arrays whose keys are the files that hold them, without `.npy`.
"""

from collections.abc import Mapping

import jax
import numpy as np

from nn.exported import Apart, apart
from retrieval.checkpoint import Retriever


def tower(retriever: Retriever) -> Apart:
    """The user tower as a function of weights and item, dwell, feedback [b, T] int32 -> queries [b, D]."""

    def queries(weights: Mapping[str, jax.Array], item, dwell, feedback) -> jax.Array:
        return retriever.encode_with(weights, {"item": item, "dwell": dwell, "feedback": feedback})

    return apart(queries, retriever.weights, *history(retriever.reading.length), name="weights/user_tower")


def step(retriever: Retriever) -> Apart:
    """The user tower one event at a time: weights, state [b, H], item, dwell, feedback [b] -> the next state, queries.

    The zero state is the empty history, and item 0 leaves the state as it is.
    """
    (batch,) = jax.export.symbolic_shape("b")
    state = jax.ShapeDtypeStruct((batch, retriever.state_size), np.float32)
    event = [jax.ShapeDtypeStruct((batch,), np.int32)] * 3
    return apart(retriever.step_with, retriever.weights, state, *event, name="weights/user_step")


def item_tower(retriever: Retriever, *, codes: int, size: int) -> Apart:
    """The item tower as a function of weights, codes [b, C] int32 and embeddings [b, E] float32 -> vectors [b, D].

    Args: C and E. What is not known is 0. An item without anything that training knows has the vector 0.
    """
    (batch,) = jax.export.symbolic_shape("b")
    content = jax.ShapeDtypeStruct((batch, codes), np.int32), jax.ShapeDtypeStruct((batch, size), np.float32)
    return apart(retriever.of_content_with, retriever.weights, *content, name="weights/item_tower")


def history(length: int) -> list[jax.ShapeDtypeStruct]:
    """What a tower of T = `length` takes: item, dwell, feedback [b, T] int32."""
    return [jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"b, {length}"), np.int32)] * 3
