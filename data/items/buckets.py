"""A number as a category: in which of a few buckets it lies, which hold equally many of the training days' items."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

BUCKETS = 16
MISSING = 1  # the code of no number; 0 is left for padding


def edges(numbers: ArrayLike) -> NDArray[np.float64]:
    """Where the second and later buckets begin, ascending: the quantiles i / 16 of `numbers` [n], NaN aside.

    Up to 16 different numbers have a bucket each.
    """
    known = np.asarray(numbers, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return np.zeros(0)
    different = np.unique(known)
    if len(different) > BUCKETS:
        shares = np.arange(1, BUCKETS) / BUCKETS
        different = np.concatenate([different[:1], np.quantile(known, shares, method="inverted_cdf")])
    return np.unique(different)[1:]  # the least number begins no bucket: the first has all that is below the second


def codes(numbers: ArrayLike, edges: NDArray[np.float64]) -> NDArray[np.int32]:
    """int32 codes: MISSING for NaN, else 2 + how many of the edges are at the number or below it."""
    numbers = np.asarray(numbers, np.float64)
    return np.where(np.isnan(numbers), MISSING, 2 + np.searchsorted(edges, numbers, side="right")).astype(np.int32)
