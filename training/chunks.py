"""Rows for a compiled function that takes a fixed number at a time: one compilation, little memory."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray


def in_chunks(rows: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    """Arrays [Q, ...] as [chunks, size, ...] for `jax.lax.map`, the last chunk filled up with zeros."""
    return {
        name: np.pad(array, [(0, -len(array) % size)] + [(0, 0)] * (array.ndim - 1)).reshape(-1, size, *array.shape[1:])
        for name, array in rows.items()
    }


def by_chunks(function: Callable[[NDArray[Any]], Any], rows: NDArray[Any], size: int) -> Any:
    """What `function` gives for rows [n], asked for `size` of them at a time: arrays [n, ...], or a tree of them.

    The last chunk is filled up with the first rows. n is at least 1.
    """
    filled = np.resize(np.arange(len(rows)), (-(-len(rows) // size), size))  # [chunks, size]
    parts = [jax.tree.map(np.asarray, function(rows[chunk])) for chunk in filled]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays)[: len(rows)], *parts)
