"""The towers as files that run without its code: `jax.export`, for any batch size and every platform at once."""

from collections.abc import Callable

import jax
import numpy as np

from nn.exported import serialized
from retrieval.checkpoint import Retriever


def tower(retriever: Retriever) -> Callable[..., jax.Array]:
    """The user tower as a function of three arrays: item, dwell, feedback [b, T] int32 -> queries [b, D]."""
    return lambda item, dwell, feedback: retriever.encode({"item": item, "dwell": dwell, "feedback": feedback})


def history(length: int) -> list[jax.ShapeDtypeStruct]:
    """What a tower of T = `length` takes: item, dwell, feedback [b, T] int32."""
    return [jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"b, {length}"), np.int32)] * 3


def content(codes: int, size: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """What an item tower takes: codes [b, C] int32 and embeddings [b, E] float32, of C = `codes` and E = `size`."""
    (batch,) = jax.export.symbolic_shape("b")
    return jax.ShapeDtypeStruct((batch, codes), np.int32), jax.ShapeDtypeStruct((batch, size), np.float32)


def exported_tower(retriever: Retriever) -> bytes:
    """`jax.export.deserialize(...).call(item, dwell, feedback)` gives the queries of any batch of histories."""
    return serialized(tower(retriever), *history(retriever.reading.length))


def exported_step(retriever: Retriever) -> bytes:
    """One event at a time: `call(state [b, H], item, dwell, feedback [b])` gives the next state and queries [b, D].

    The zero state is the empty history, and item 0 leaves the state as it is.
    """
    (batch,) = jax.export.symbolic_shape("b")
    state = jax.ShapeDtypeStruct((batch, retriever.initial_state(1).shape[1]), np.float32)
    event = jax.ShapeDtypeStruct((batch,), np.int32)
    return serialized(retriever.step, state, *[event] * 3)


def exported_item_tower(retriever: Retriever, *, codes: int, size: int) -> bytes:
    """Vectors of items that came later: `call(codes [b, C] int32, embeddings [b, E] float32)` gives them, [b, D].

    Args: C and E. What is not known is 0. An item without anything that training knows has the vector 0.
    """
    return serialized(retriever.of_content, *content(codes, size))
