"""Which feedback an event had, and of which that is known, as one integer: what a ranker reads of a past event.

Bit w is for "was so", bit 15 + w for "is known", of W <= 15 kinds of feedback whose order the model says.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_FEEDBACK = 15


def pack(values: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Feedback [..., W] and where it is known [..., W] as int32 [...]. Errors: ValueError for W above 15."""
    names = values.shape[-1]
    if names > MAX_FEEDBACK:
        raise ValueError(f"{names} kinds of feedback; at most {MAX_FEEDBACK} fit")
    shifts = np.arange(names, dtype=np.int32)
    return ((values & known) << shifts).sum(-1, dtype=np.int32) | (known << (shifts + MAX_FEEDBACK)).sum(
        -1, dtype=np.int32
    )


def unpack(packed: Any, num_feedback: int) -> tuple[Any, Any]:
    """The inverse: values and known, each float32 [..., W]; arrays of NumPy or JAX, as is the result."""
    shifts = np.arange(num_feedback, dtype=np.int32)
    values, known = ((packed[..., None] >> (shifts + offset)) & 1 for offset in (0, MAX_FEEDBACK))
    return values.astype(np.float32), known.astype(np.float32)
