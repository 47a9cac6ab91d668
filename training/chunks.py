"""Rows for a compiled function that takes some at a time, as `jax.lax.map` does: one compilation, little memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def in_chunks(rows: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    """Arrays [Q, ...] as [chunks, size, ...], the last chunk filled up with zeros."""
    return {
        name: np.pad(array, [(0, -len(array) % size)] + [(0, 0)] * (array.ndim - 1)).reshape(-1, size, *array.shape[1:])
        for name, array in rows.items()
    }
