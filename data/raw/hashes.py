"""Hashes of ids: the same on every machine, so that what is told by them is, too."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

_FIRST = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)  # so many bytes of a word


def hashes(ids: pl.Series) -> NDArray[np.uint64]:
    """uint64 [n], evenly spread; of an id the same on every machine, beside any others, and for `7` whether it is a
    number or text.

    SplitMix64's finalizer (Steele et al., OOPSLA '14) of a whole number; of other text folded over its bytes, eight at
    a time.
    """
    if ids.dtype != pl.String:
        return _mixed(ids.cast(pl.Int64).to_numpy().view(np.uint64))
    number = ids.cast(pl.Int64, strict=False)
    is_number = (number.cast(pl.String) == ids).fill_null(False).to_numpy()
    found = np.empty(len(ids), np.uint64)
    found[is_number] = _mixed(number.filter(pl.Series(is_number)).to_numpy().view(np.uint64))
    found[~is_number] = _of_text(ids.filter(pl.Series(~is_number)))
    return found


def _of_text(ids: pl.Series) -> NDArray[np.uint64]:
    array = ids.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    if not len(array):
        return np.zeros(0, np.uint64)
    begin = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.concatenate([np.frombuffer(array.buffers()[2], np.uint8), np.zeros(8, np.uint8)])
    words = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))  # the eight bytes from each byte on
    length = np.diff(begin)
    found = _mixed(length.astype(np.uint64))
    longer = np.arange(len(length))
    for at in range(0, int(length.max()), 8):
        longer = longer[length[longer] > at]  # the hash of an id is of its own bytes, however long others are
        some = words[begin[:-1][longer] + at] & _FIRST[np.minimum(length[longer] - at, 8)]
        found[longer] = _mixed(found[longer] ^ some)
    return found


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
