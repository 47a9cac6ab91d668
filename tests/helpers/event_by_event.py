"""A retriever asked as a server that keeps a state asks it."""

from collections.abc import Mapping

import jax
import numpy as np
from numpy.typing import ArrayLike

from retrieval.checkpoint import Retriever


def last_queries(retriever: Retriever, inputs: Mapping[str, ArrayLike]) -> jax.Array:
    """Item, dwell, feedback [B, T], one event after the other -> queries [B, D] after the last."""
    step, columns = jax.jit(retriever.step_with), [np.asarray(inputs[n]) for n in ("item", "dwell", "feedback")]
    state = np.zeros((len(columns[0]), retriever.state_size), np.float32)
    for t in range(columns[0].shape[1]):
        state, queries = step(retriever.weights, state, *(column[:, t] for column in columns))
    return queries
