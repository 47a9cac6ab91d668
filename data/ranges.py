"""Arithmetic of ragged ranges: many stretches of one array at once, such as each user's events, without a loop.

A log's events lie user by user in one array, so a user's history, a training window or the events before a moment is
a stretch [start, end) of positions. These functions turn many such stretches into flat arrays of positions and back.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def positions(starts: ArrayLike, lengths: ArrayLike) -> NDArray[np.int64]:
    """start_0, …, start_0 + length_0 − 1, start_1, …: the positions of all stretches, one after the other."""
    lengths = np.asarray(lengths, np.int64)
    return np.arange(lengths.sum()) + np.repeat(np.asarray(starts, np.int64) - begins(lengths), lengths)


def owners(lengths: ArrayLike) -> NDArray[np.int64]:
    """0 length_0 times, 1 length_1 times, …: which stretch each of `positions` belongs to."""
    lengths = np.asarray(lengths, np.int64)
    return np.repeat(np.arange(len(lengths)), lengths)


def places(lengths: ArrayLike) -> NDArray[np.int64]:
    """0, …, length_0 − 1, 0, …: the place of each of `positions` within its stretch."""
    return positions(np.zeros(np.shape(lengths), np.int64), lengths)


def begins(lengths: ArrayLike) -> NDArray[np.int64]:
    """Where each stretch begins among `positions`."""
    lengths = np.asarray(lengths, np.int64)
    return np.cumsum(lengths) - lengths


def newest(starts: ArrayLike, ends: ArrayLike, count: int) -> NDArray[np.int64]:
    """The last `count` positions of each stretch [start, end), in order from the left, −1 after them: [B, count]."""
    end = np.asarray(ends, np.int64)[:, None]
    position = np.maximum(np.asarray(starts, np.int64)[:, None], end - count) + np.arange(count)
    return np.where(position < end, position, -1)


def last(starts: ArrayLike, ends: ArrayLike, count: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The last `count` positions of each stretch [start, end), 0 for all, one after the other, and whose each is.

    Returns: (stretch, position), flat.
    """
    ends = np.asarray(ends, np.int64)
    starts = np.maximum(starts, ends - count) if count else np.asarray(starts, np.int64)
    return owners(ends - starts), positions(starts, ends - starts)


def gathered(columns: Mapping[str, NDArray[Any]], position: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns at positions of any shape, zero where a position is −1."""
    return {
        name: np.where(position >= 0, column[position], np.zeros((), column.dtype)) for name, column in columns.items()
    }


def padded(rows: ArrayLike, values: ArrayLike, *, num_rows: int, fill: int = -1) -> NDArray[np.int64]:
    """The values of each row side by side, in the order given: [num_rows, most of any row], `fill` after the last."""
    rows, values = np.asarray(rows, np.int64), np.asarray(values)
    count = np.bincount(rows, minlength=num_rows)
    order = np.argsort(rows, kind="stable")
    table = np.full((num_rows, count.max(initial=0)), fill, np.int64)
    table[rows[order], places(count)] = values[order]
    return table


def inside(offsets: ArrayLike, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.bool_]:
    """True at the positions of stretches [start_u, end_u), one in each range [offset_u, offset_u + 1): [offset_U]."""
    offsets, starts, ends = (np.asarray(edges, np.int64) for edges in (offsets, starts, ends))
    lengths = np.stack([starts - offsets[:-1], ends - starts, offsets[1:] - ends], axis=1)  # [U, 3]
    return np.repeat(np.tile([False, True, False], len(starts)), lengths.reshape(-1))


def batches(lengths: ArrayLike, most: int) -> Iterator[slice]:
    """Slices that cover all stretches in order, each of about `most` positions or of one stretch that is longer."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(start, stop)
        start = stop


def sums_before(values: ArrayLike, dtype: type[np.generic] | None = None) -> NDArray[Any]:
    """The sum of all values before each position of [E, ...], and of all of them: [E + 1, ...].

    The sum over a stretch is the difference of two of these. `dtype` is that of the sums, np.cumsum's own by default.
    """
    values = np.asarray(values)
    total = np.zeros((len(values) + 1, *values.shape[1:]), dtype or np.cumsum(values[:0], axis=0).dtype)
    total[1:] = values
    # In place, and of the dtype of the sums: a third of the time of summing and casting at once.
    return np.cumsum(total, axis=0, out=total)


def distinct(values: NDArray[np.integer]) -> NDArray[Any]:
    """Each of the values [n] once, rising.

    As np.unique, which since NumPy 2.3 hashes integers before it sorts them, and takes many times as long where most
    differ.
    """
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])[: len(values)]]


def among(values: NDArray[np.integer], rising: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of the values, of any shape, is one of the `rising` ones."""
    if not len(rising):
        return np.zeros(values.shape, bool)
    return rising.take(np.searchsorted(rising, values), mode="clip") == values


def last_true(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The position of the last True at or before each position, 0 where there is none: where its stretch begins."""
    return np.maximum.accumulate(np.where(where, np.arange(len(where)), 0))
