"""A program of an exported folder, as whoever stays in JAX calls it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np


def program(folder: Path, name: str) -> Callable[..., Any]:
    """The program `name`, which is given its weights, by the names of their files."""
    exported = jax.export.deserialize(bytearray((folder / name).read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    (weights, *_), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    return partial(jax.jit(exported.call), {key: np.load(folder / f"{key}.npy") for key in weights})
