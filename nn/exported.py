"""A JAX function as a file that runs without its code: `jax.export`, for every platform at once.

Its weights lie beside it and not inside: a program holds at most 2 GB, and a table of ten million items is more.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

PLATFORMS = ("cpu", "cuda", "tpu")

_INLINE = 1 << 10  # numbers of the largest array that stays in the program, where XLA can work with its values


class Apart(NamedTuple):
    """`call(weights, *inputs)` is a function of such inputs that has been taken apart from the arrays that it reads."""

    call: Callable[..., Any]
    weights: dict[str, Any]
    inputs: tuple[jax.ShapeDtypeStruct, ...]

    @property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Of the weights."""
        return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in self.weights.items()}


def apart(function: Callable[..., Any], weights: Mapping[str, Any], *inputs: jax.ShapeDtypeStruct, name: str) -> Apart:
    """Takes `function(weights, *inputs)` apart from those of its `weights` that it reads, and from what it closes over.

    Larger arrays that it closes over become weights too, called `<name>_0`, `<name>_1` and so on. Sizes of `inputs` may
    be symbolic.
    """
    shapes = {key: jax.ShapeDtypeStruct(array.shape, array.dtype) for key, array in weights.items()}
    program, outputs = jax.make_jaxpr(function, return_shape=True)(shapes, *inputs)
    structure, names = jax.tree.structure(outputs), sorted(shapes)  # as dicts are flattened
    read = {id(one) for one in _read(program.jaxpr)}
    kept = {key: weights[key] for key, of in zip(names, program.jaxpr.invars, strict=False) if id(of) in read}
    closed: list[Any] = []
    for n, array in enumerate(program.consts):
        large = np.size(array) > _INLINE
        closed.append(f"{name}_{n}" if large else array)
        if large:
            kept[f"{name}_{n}"] = array

    def call(weights: Mapping[str, Any], *inputs: Any) -> Any:
        consts = [weights[one] if isinstance(one, str) else one for one in closed]
        # What is not read may be anything.
        given = [weights.get(key) for key in names]
        return jax.tree.unflatten(structure, jax.core.eval_jaxpr(program.jaxpr, consts, *given, *inputs))

    return Apart(call, kept, inputs)


def _read(program: core.Jaxpr) -> Iterator[Any]:
    for equation in program.eqns:
        yield from equation.invars
    yield from program.outvars


def serialized(function: Callable[..., Any], *inputs: Any) -> bytes:
    """`jax.export.deserialize(...).call(*arrays)` calls it; sizes of `inputs` may be symbolic."""
    return bytes(jax.export.export(jax.jit(function), platforms=PLATFORMS)(*inputs).serialize())


def save(folder: Path, program: str, function: Apart) -> None:
    """Writes `folder`/`program`, called as `call({name: array}, *arrays)`, and each array as `folder`/name.npy.

    An array that another program has written under the same name stays: programs share them.
    """
    (folder / program).write_bytes(serialized(function.call, function.shapes, *function.inputs))
    for key, array in function.weights.items():
        path = folder / f"{key}.npy"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.asarray(array))
