"""Arrays that are made once and read again by whoever asks for them later, and by the same command after a kill."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def kept(file: Path, make: Callable[[], Mapping[str, ArrayLike]]) -> dict[str, NDArray[Any]]:
    """The arrays in `file`, an .npz; where there is none, those of `make`, put there in one step: never half of it."""
    if not file.exists():
        partial = file.with_suffix(".partial.npz")
        np.savez_compressed(partial, allow_pickle=False, **make())
        os.replace(partial, file)
    with np.load(file) as saved:
        return dict(saved)
