"""Chooses the events that a model reads of a history that is longer than it can read: the newest, and older noes.

A model reads T events. Of a user with more, T − S places go to the newest events. The other S go to events before
these: first to the newest with a "no" in them, then, where there are fewer than S, to the newest of the rest. So a no
is read, however long ago it was, until S later ones have come. With S = 0 the model reads the last T events.

One rule, wherever histories are cut: evaluation and the context of training windows (`Reader`), simulated servers
(`events_of`), and, in TensorFlow, the served model (`nn.tensorflow_graph.EventsRead`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges


@dataclasses.dataclass(frozen=True)
class Reading:
    """length T; remembered S, at most T; no_mask, the feedback bits that say no."""

    length: int
    remembered: int = 0
    no_mask: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.remembered <= self.length:
            raise ValueError(f"remembered={self.remembered} is not between 0 and length={self.length}")

    def of(self, length: int) -> "Reading":
        """The same rule for another number of events; S is at most a half of it."""
        return dataclasses.replace(self, length=length, remembered=min(self.remembered, length // 2))


def events_read(item: Any, bits: Any, reading: Reading) -> Any:
    """Columns of the events that are read, [b, T], in order, −1 after the last.

    item, bits [b, t]: histories in order, item 0 where there is no event, anywhere; of NumPy or JAX, as is the result.
    """
    xp = item.__array_namespace__()
    is_event = item > 0
    # Counted from the newest, 1, 2, …: of all events, and of those older than the newest T − S that say no.
    age = xp.cumsum(is_event[:, ::-1], axis=1)[:, ::-1]  # [b, t]
    newest = age <= reading.length - reading.remembered
    said_no = is_event & ~newest & (bits & reading.no_mask > 0)
    remembered = said_no & (xp.cumsum(said_no[:, ::-1], axis=1)[:, ::-1] <= reading.remembered)
    # The newest first, then the remembered ones, then the others by age.
    last = age.shape[1] + 1
    rank = xp.where(newest, 0, xp.where(remembered, 1, 2)) * last + age
    rank = xp.where(is_event, rank, 3 * last)
    chosen = xp.argsort(rank, axis=1, stable=True)[:, : reading.length]
    chosen = xp.where(xp.take_along_axis(is_event, chosen, axis=1), chosen, age.shape[1])
    chosen = xp.sort(chosen, axis=1)
    chosen = xp.pad(chosen, ((0, 0), (0, reading.length - chosen.shape[1])), constant_values=age.shape[1])
    return xp.where(chosen < age.shape[1], chosen, -1)


def events_of(columns: Sequence[Any], reading: Reading) -> tuple[Any, ...]:
    """The events that are read of histories item, dwell, feedback [b, any]: [b, T] each, from the left, zeros after.

    In order; item 0 where there is no event. Of NumPy or JAX, as is the result.
    """
    xp = columns[0].__array_namespace__()
    at = events_read(columns[0], columns[2], reading)
    return tuple(xp.where(at >= 0, xp.take_along_axis(column, at, axis=1), 0) for column in columns)


class Reader:
    """The same rule on a log's event arrays, at the cost of the events read, however long the histories are."""

    def __init__(self, feedback_bits: NDArray[np.uint16], reading: Reading):
        """feedback_bits [E], user by user, each user's in order."""
        self.reading = reading
        said_no = feedback_bits & np.array(reading.no_mask, feedback_bits.dtype) if reading.remembered else 0
        self._no = np.flatnonzero(said_no)  # rising positions

    def positions(self, begin: ArrayLike, end: ArrayLike) -> NDArray[np.int64]:
        """Positions of the events read of histories [begin, end), [B] each: [B, T], in order, −1 after the last."""
        remembered = self.reading.remembered
        recent = self.reading.length - remembered
        newest = ranges.newest(begin, end, recent)
        if not remembered:
            return newest
        begin = np.asarray(begin, np.int64)[:, None]  # [B, 1]
        older = np.maximum(begin, np.asarray(end, np.int64)[:, None] - recent)  # where the newest begin
        # The S newest events before them, and the S newest of those that say no: the former give way to the latter.
        places = np.arange(-remembered, 0)
        others = older + places
        others = np.where(others >= begin, others, -1)
        before = np.searchsorted(self._no, older) + places
        said_no = self._no[np.clip(before, 0, None)] if len(self._no) else np.full_like(before, -1)
        said_no = np.where((before >= 0) & (said_no >= begin), said_no, -1)
        others = np.where(ranges.among(others, self._no), -1, others)
        # Where there are j of the latter, the j oldest of the 2 S go: a −1 is none.
        count = (said_no >= 0).sum(axis=1, keepdims=True)
        kept = np.sort(others, axis=1)  # −1 first
        kept = np.where(np.arange(remembered) >= count, kept, -1)
        first = np.sort(np.concatenate([said_no, kept], axis=1), axis=1)[:, remembered:]  # [B, S], −1 first
        everything = np.concatenate([first, newest], axis=1)  # [B, T]
        order = np.argsort(everything < 0, axis=1, kind="stable")  # what is there to the front
        return np.take_along_axis(everything, order, axis=1)
