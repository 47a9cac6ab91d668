"""A product of many rows with a small matrix, whose gradient is fast on a CPU: for `nnx.Linear(dot_general=…)`."""

import math
from typing import Any

import jax
from jax import lax


def as_batch_of_one(x: jax.Array, kernel: jax.Array, dimension_numbers: Any, **options: Any) -> jax.Array:
    """x W over the last axis, [..., I] and [I, O] -> [..., O], as the one product of a batch of one.

    The gradient of W is a sum over all rows. XLA on a CPU turns that of a plain product into one for which it first
    transposes what comes back; of a batch of one it does not: .55 instead of .92 ms for 16,384 rows, I = 19, O = 57.

    Args:
      dimension_numbers, options: as `lax.dot_general` has them; nnx.Linear asks for x's last axis and W's first.
    Errors: ValueError for other axes.
    """
    if dimension_numbers != (((x.ndim - 1,), (0,)), ((), ())):
        raise ValueError(f"only x's last axis with the kernel's first, got {dimension_numbers}")
    rows = x.reshape(1, math.prod(x.shape[:-1]), x.shape[-1])
    product = lax.dot_general(rows, kernel[None], (((2,), (1,)), ((0,), (0,))), **options)  # [1, rows, O]
    return product.reshape(*x.shape[:-1], kernel.shape[-1])
