"""Scores of every item for many queries, some queries at a time, as a model or a rule gives them, checked."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import DataError
from runtime.progress import chunks, progress

_HELD = 1 << 24  # scores in memory at a time


def scored(
    score: Callable[[slice], ArrayLike], size: int, *, columns: int, label: str, unit: str
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """(rows, scores [B, columns]) until `size` queries are scored; column 0 is padding. `label` names the progress bar.

    Errors: DataError where a score is not finite; ValueError for scores of another shape.
    """
    with progress(label=label, total=size, unit=unit) as bar:
        for rows in chunks(size, max(1, min(512, _HELD // columns))):
            scores, expected = np.asarray(score(rows)), (rows.stop - rows.start, columns)
            if scores.shape != expected:
                raise ValueError(f"scores {scores.shape} where [queries, items + 1] is {expected}")
            lowest, highest = scores[:, 1:].min(initial=0), scores[:, 1:].max(initial=0)  # NaN where there is one
            if not np.isfinite([lowest, highest]).all():
                raise DataError(f"{label}: a score is not finite; the model has diverged, train it again")
            yield rows, scores
            bar.update(rows.stop - rows.start)
