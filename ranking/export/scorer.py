"""The trained ranker as one function of arrays, the form in which it is exported to JAX and to TensorFlow."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metrics.calibration import Calibrator
from ranking.model.ranker import RankingModel

INPUTS = ("item", "feedback", "surface", "user", "platform", "hour", "gap", "candidate", "rates")


def shapes(*, length: int, num_rates: int) -> list[jax.ShapeDtypeStruct]:
    """Of INPUTS, which ranking/inputs.py describes: b users, c candidates, T = `length` events, R = `num_rates`."""
    history, user, candidates, rates = "b, t", "b", "b, c", "b, c, r"
    of_input = [history] * 3 + [user] * 4 + [candidates, rates]
    scope = jax.export.SymbolicScope()

    def shape(text: str) -> tuple[Any, ...]:  # symbols and numbers
        sized = text.replace("t", str(length)).replace("r", str(num_rates))
        return tuple(jax.export.symbolic_shape(sized, scope=scope))

    floats = ("gap", "rates")
    return [
        jax.ShapeDtypeStruct(shape(text), np.float32 if name in floats else np.int32)
        for name, text in zip(INPUTS, of_input, strict=True)
    ]


def scorer(model: RankingModel, calibrators: Sequence[Calibrator]) -> Callable[..., jax.Array]:
    """The arrays of INPUTS, in order -> calibrated probabilities [b, c, K], σ(slope_k s_k + bias_k)."""
    slope, bias = jnp.asarray(calibrators, jnp.float32).T  # [K] each
    vectors = jax.jit(model.features.item_vectors)() if model.encoder is not None else None  # [rows, d]
    with_embeddings = model.features.content_projection is not None
    projected = jax.jit(model.features.projected)() if with_embeddings else None  # [rows, d]

    def probabilities(*columns: jax.Array) -> jax.Array:
        inputs = dict(zip(INPUTS, columns, strict=True))
        if vectors is not None:
            inputs["item_vector"] = vectors[inputs["item"]]
        if projected is not None:
            inputs["projected"] = projected[inputs["candidate"]]
        return jax.nn.sigmoid(slope * model(inputs) + bias)

    return probabilities
