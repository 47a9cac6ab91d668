"""A model without its values, for training, for checkpoints and for whoever loads one."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import jax
from flax import nnx

from training.names import named_leaves

Model = TypeVar("Model", bound=nnx.Module)


@dataclasses.dataclass(frozen=True)
class Architecture(Generic[Model]):
    """`init(key) -> params`, `merge(params) -> model`, and the params' shapes.

    `merge_with(params, values)` is a model with other constants, `values[name]` in place of each, of whatever shape.
    """

    init: Callable[[jax.Array], Any]
    merge: Callable[[Any], Model]
    shapes: Any
    merge_with: Callable[[Any, Mapping[str, Any]], Model]


def architecture(make: Callable[[nnx.Rngs], Model]) -> Architecture[Model]:
    """Of the model that `make(rngs)` builds. What of it is no nnx.Param is a constant, which no random number moves."""
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph = nnx.graphdef(model)
    constants = jax.jit(lambda: nnx.state(make(nnx.Rngs(0)), nnx.Not(nnx.Param)))()
    structure, names = jax.tree.structure(constants), tuple(named_leaves(constants))

    def merge_with(params: Any, values: Mapping[str, Any]) -> Model:
        return nnx.merge(graph, params, jax.tree.unflatten(structure, [values[name] for name in names]))

    return Architecture(
        init=lambda key: nnx.state(make(nnx.Rngs(key)), nnx.Param),
        merge=lambda params: nnx.merge(graph, params, constants),
        shapes=nnx.state(model, nnx.Param),
        merge_with=merge_with,
    )
