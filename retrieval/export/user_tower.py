"""The towers as files that run without its code: `jax.export`, for any batch size and every platform at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from data.reading import Reading
from nn.exported import serialized


class Retriever(Protocol):
    """What a trained model has to offer to be exported; row 0 of the item vectors is padding."""

    @property
    def reading(self) -> Reading:
        """Which events of a history the model reads, T of them."""

    @property
    def input_feedback(self) -> Sequence[str]:
        """Names, of data/feedback.py's BITS, of the feedback that the model reads."""

    @property
    def train_on(self) -> Sequence[str]:
        """The splits that the model has learned from: train, or train and valid."""

    def encode(self, inputs: Mapping[str, Any], /) -> jax.Array:
        """Item, dwell, feedback [b, T] int32 -> queries [b, D]; can be traced."""

    def initial_state(self, batch_size: int, /) -> jax.Array:
        """Zeros [b, H]."""

    def step(self, state: Any, item: Any, dwell: Any, feedback: Any, /) -> tuple[jax.Array, jax.Array]:
        """State [b, H] and one event each [b] -> the next state and queries [b, D]; can be traced."""

    def of_content(self, codes: Any, embeddings: Any, /) -> jax.Array:
        """Codes [b, C] int32 and embeddings [b, E] of items of no catalogue -> their vectors [b, D]; can be traced."""

    def item_vectors(self) -> NDArray[np.float32]:
        """[N + 1, D]; a query's scores are its inner products with them."""


def tower(retriever: Retriever) -> Callable[..., jax.Array]:
    """The user tower as a function of three arrays: item, dwell, feedback [b, T] int32 -> queries [b, D]."""
    return lambda item, dwell, feedback: retriever.encode({"item": item, "dwell": dwell, "feedback": feedback})


def history(length: int) -> list[jax.ShapeDtypeStruct]:
    """What a tower of T = `length` takes: item, dwell, feedback [b, T] int32."""
    return [jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"b, {length}"), np.int32)] * 3


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
    (batch,) = jax.export.symbolic_shape("b")
    shapes = jax.ShapeDtypeStruct((batch, codes), np.int32), jax.ShapeDtypeStruct((batch, size), np.float32)
    return serialized(retriever.of_content, *shapes)
