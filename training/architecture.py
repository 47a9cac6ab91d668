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

    `merge_with(params, values)` is a model with other constants, `values[name]` in place of those that it names, of
    whatever shape.
    """

    init: Callable[[jax.Array], Any]
    merge: Callable[[Any], Model]
    shapes: Any
    merge_with: Callable[[Any, Mapping[str, Any]], Model]


def architecture(make: Callable[[nnx.Rngs], Model]) -> Architecture[Model]:
    """Of the model that `make(rngs)` builds. What of it is no nnx.Param is a constant, which no random number moves.

    The params are nested dicts of arrays. NNX's own states wrap every array in an object of Python, which each training
    step would take apart and make again: a quarter of a millisecond for a state of 42 arrays.
    """
    model = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph, variables = nnx.graphdef(model), nnx.state(model, nnx.Param)
    constants = jax.jit(lambda: nnx.state(make(nnx.Rngs(0)), nnx.Not(nnx.Param)))()

    def merge_with(params: Any, values: Mapping[str, Any]) -> Model:
        others = {**named_leaves(constants), **values}
        return nnx.merge(graph, _filled(variables, named_leaves(params)), _filled(constants, others))

    return Architecture(
        init=lambda key: nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key)), nnx.Param)),
        merge=lambda params: nnx.merge(graph, _filled(variables, named_leaves(params)), constants),
        shapes=nnx.to_pure_dict(variables),
        merge_with=merge_with,
    )


def _filled(state: Any, values: Mapping[str, Any]) -> Any:
    # A state like this one with other values, by their names.
    return jax.tree.unflatten(jax.tree.structure(state), [values[name] for name in named_leaves(state)])
