"""A model without its values, for training, for checkpoints and for whoever loads one."""

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jax
from flax import nnx

Model = TypeVar("Model", bound=nnx.Module)


@dataclasses.dataclass(frozen=True)
class Architecture(Generic[Model]):
    """`init(key) -> params`, `merge(params) -> model`, and the params' shapes."""

    init: Callable[[jax.Array], Any]
    merge: Callable[[Any], Model]
    shapes: Any


def architecture(make: Callable[[nnx.Rngs], Model]) -> Architecture[Model]:
    """Of the model that `make(rngs)` builds. What of it is no nnx.Param is a constant, which no random number moves."""
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph = nnx.graphdef(model)
    constants = jax.jit(lambda: nnx.state(make(nnx.Rngs(0)), nnx.Not(nnx.Param)))()
    return Architecture(
        init=lambda key: nnx.state(make(nnx.Rngs(key)), nnx.Param),
        merge=lambda params: nnx.merge(graph, params, constants),
        shapes=nnx.state(model, nnx.Param),
    )
