"""A log as libraries see it that make an example of every label: its history, from the user's first event on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from runtime.errors import DataError


def batches(timelines: Timelines, *, length: int, rows: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches as of data.loader.PackedBatches [rows, length], of one label a row, in random order.

    The labels are all events of the training days but each user's first; what is read is the `length` events before it,
    with zeros on the left. Rows that fill no batch are left out.
    Errors: DataError where no batch is full.
    """
    begin, end = timelines.offsets[:-1], np.asarray(timelines.valid_start)
    lengths = np.maximum(end - begin - 1, 0)
    label = ranges.positions(begin + 1, lengths)
    if len(label) < rows:
        raise DataError(f"{len(label)} labels fill no batch of {rows}: give longer sequences, or more of them")
    first = begin[ranges.owners(lengths)]
    order = np.random.default_rng(0).permutation(len(label))
    last = np.arange(rows, dtype=np.int32) * length + length - 1
    for start in range(0, len(order) - rows + 1, rows):
        chosen = order[start : start + rows]
        event = label[chosen, None] + np.arange(-length, 0)
        there = event >= first[chosen, None]
        columns = {name: getattr(timelines, name) for name in ("item", "dwell", "feedback")}
        read = {name: np.where(there, column[event], 0).astype(np.int32) for name, column in columns.items()}
        reset = np.zeros((rows, length), bool)
        reset[:, 0] = True
        labels = timelines.item[label[chosen]].astype(np.int32)[None]
        yield {
            **read,
            "reset": reset,
            "label_position": last[None],
            "label": labels,
            "label_kind": np.ones((1, rows), np.int8),
        }
