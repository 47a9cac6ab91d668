"""A batch on its way to the devices: as one array of bytes, which is taken apart there.

A GPU takes a tenth of a millisecond for a transfer, however small, and the host's thread with it. A batch of eight
arrays would take as long to arrive as a small model to train on it.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from numpy.typing import NDArray

Layout = tuple[tuple[str, tuple[int, ...], str], ...]
"""Of each array of a part of a batch: name, shape and dtype."""


def packed(batch: Mapping[str, NDArray[Any]], parts: int) -> tuple[NDArray[np.uint8], Layout]:
    """The bytes of each of the `parts` that a batch has, [parts, bytes], and what these are.

    Arrays [rows, ...], their rows a multiple of `parts`, of the dtypes that JAX makes of theirs.
    """
    arrays = [np.ascontiguousarray(array, jax.dtypes.canonicalize_dtype(array.dtype)) for array in batch.values()]
    shapes = [(array.shape[0] // parts, *array.shape[1:]) for array in arrays]
    layout = zip(batch, shapes, (array.dtype.str for array in arrays), strict=True)
    return np.concatenate([array.reshape(parts, -1).view(np.uint8) for array in arrays], axis=1), tuple(layout)


def unpacked(whole: jax.Array, layout: Layout, mesh: Mesh) -> dict[str, jax.Array]:
    """The inverse of `packed` where each device has its part: [parts, bytes] and the arrays are split over `data`."""
    return dict(zip((name for name, _, _ in layout), _arrays(whole, layout=layout, mesh=mesh), strict=True))


@functools.partial(jax.jit, static_argnames=("layout", "mesh"))
def _arrays(whole: jax.Array, *, layout: Layout, mesh: Mesh) -> tuple[jax.Array, ...]:
    return jax.shard_map(functools.partial(_of_part, layout), mesh=mesh, in_specs=P("data"), out_specs=P("data"))(whole)


def _of_part(layout: Layout, part: jax.Array) -> tuple[jax.Array, ...]:
    # The arrays of [1, bytes].
    arrays, begin = [], 0
    for _, shape, dtype in layout:
        of = np.dtype(dtype)
        end = begin + math.prod(shape) * of.itemsize
        numbers = part[0, begin:end].reshape(shape if of.itemsize == 1 else (*shape, of.itemsize))
        arrays.append(numbers != 0 if of == np.bool_ else lax.bitcast_convert_type(numbers, of))
        begin = end
    return tuple(arrays)
