"""What stands above given scores among many, and the highest few, in the time of reading them once or twice.

One query's scores of a corpus are too many for the caches of a core and too few to be worth a sort: counts go over them
in blocks that stay in the cache, and the highest are looked for where the highest of a group says that they may be.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 14  # scores that stay in a core's cache
_FEW = 12  # values that are counted for one by one; for more a sort is cheaper
_GROUP = 64  # scores of which only the highest is looked at first


def above(scores: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of the scores [N] are above each of the values [M], and how many equal it: [M] each. No score is NaN."""
    if len(values) > _FEW:
        ascending = np.sort(scores)
        up_to = np.searchsorted(ascending, values, side="right")
        return len(ascending) - up_to, up_to - np.searchsorted(ascending, values, side="left")
    higher, same = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    for start in range(0, len(scores), _BLOCK):
        block = scores[start : start + _BLOCK]
        for n, value in enumerate(values):
            higher[n] += np.count_nonzero(block > value)
            same[n] += np.count_nonzero(block == value)
    return higher, same


def highest(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """The places of the k highest of the scores [N], highest first, the lower place first among equals; k ≤ N."""
    places = _candidates(scores, k)
    loss = -scores if places is None else -scores[places]
    if k < len(loss):
        # Partition finds the k-th value; ties at it go to the lowest places, which argpartition would not promise.
        edge = np.partition(loss, k - 1)[k - 1]
        inside, tied = np.flatnonzero(loss < edge), np.flatnonzero(loss == edge)
        kept = np.sort(np.concatenate([inside, tied[: k - len(inside)]]))
    else:
        kept = np.arange(len(loss))
    best = kept[np.argsort(loss[kept], kind="stable")]
    return best if places is None else places[best]


def _candidates(scores: NDArray[Any], k: int) -> NDArray[np.int64] | None:
    # Rising places among which the k highest are: those of every group whose highest is no lower than that of the k-th
    # group. k scores are that high, so what stands in a lower group is not among the k highest, and is tied with none.
    # None for all places.
    width = len(scores) // _GROUP
    if width <= 2 * k:
        return None
    of_group = scores[: width * _GROUP].reshape(_GROUP, width).max(axis=0)  # of every width-th score
    if np.isnan(of_group.max()):  # of what may not be shown
        return None
    groups = np.flatnonzero(of_group >= np.partition(of_group, width - k)[width - k])
    inside = (groups + width * np.arange(_GROUP)[:, None]).ravel()  # rising, as groups are below the width
    return np.concatenate([inside, np.arange(width * _GROUP, len(scores))])
