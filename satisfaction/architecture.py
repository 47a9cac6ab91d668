"""From timelines and config to a model of this stage without its values."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Architecture:
    """`init(key) -> params`, `merge(params) -> model`, and the params' shapes."""

    init: Callable[[jax.Array], Any]
    merge: Callable[[Any], Any]
    shapes: Any


def architecture(make: Callable[[nnx.Rngs], nnx.Module]) -> Architecture:
    """Of the model that `make(rngs)` builds, all of whose variables are parameters."""
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph = nnx.graphdef(model)
    return Architecture(
        init=lambda key: nnx.state(make(nnx.Rngs(key)), nnx.Param),
        merge=lambda params: nnx.merge(graph, params),
        shapes=nnx.state(model, nnx.Param),
    )
