"""Puts rows, as they are read, into shards by hash of the user: in memory while they are few, else in files.

What is too much for memory is written a few million rows at a time, each file sorted by BUCKETS ranges of the hash.
Only once all rows are there is it known how many shards there are to be: a shard is a run of buckets. So a log is read
once, nothing is sorted that is larger than memory, and a user's rows stay in the order in which they were logged.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from data.raw.hashes import hashes
from data.raw.rows import stacked

BUCKETS = 256  # and the most shards
SHARD_ROWS = 1 << 22  # at most, on average over shards
_HELD = 1 << 21  # rows that are written at a time


class Rows(NamedTuple):
    """The rows of one shard, to be loaded once: `frames` in memory, or the `buckets` of each of `files`."""

    frames: list[pl.DataFrame] | None = None
    files: Sequence[Path] = ()
    buckets: range = range(0)

    def load(self) -> pl.DataFrame:
        """All of them, in the order they were logged as far as rows of one user go."""
        if self.frames is None:
            return stacked([_read(file, self.buckets) for file in self.files])
        rows = stacked(self.frames)
        self.frames.clear()
        return rows


class Spill:
    """Takes the rows of a log, a frame at a time; `folder`, for files, is made when it is needed.

    dtypes: name of a column -> the types that it has had in any of the frames.
    """

    def __init__(self, folder: Path, *, shard_rows: int = SHARD_ROWS):
        self._folder, self._shard_rows = folder, shard_rows
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = []
        self.count = self._num_held = 0
        self.dtypes: dict[str, set[pl.DataType]] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the next rows; user_id among their columns."""
        for name, dtype in frame.schema.items():
            self.dtypes.setdefault(name, set()).add(dtype)
        self._held.append(frame)
        self._num_held += len(frame)
        self.count += len(frame)
        if self.count > self._shard_rows and self._num_held >= min(_HELD, self._shard_rows):
            self._write()

    def shards(self) -> list[Rows]:
        """All rows, by shard."""
        if not self._files:
            return [Rows(self._held)]
        self._write()
        number = 2
        while number < BUCKETS and self.count > number * self._shard_rows:
            number *= 2
        width = BUCKETS // number
        return [Rows(files=self._files, buckets=range(at, at + width)) for at in range(0, BUCKETS, width)]

    def remove(self) -> None:
        """Removes the files."""
        for file in self._files:
            file.unlink()

    def _write(self) -> None:
        if not self._num_held:
            return
        rows = stacked(self._held)
        self._held, self._num_held = [], 0
        bucket = buckets(rows["user_id"])
        rows = rows[np.argsort(bucket, kind="stable")]
        edges = np.searchsorted(np.sort(bucket), np.arange(BUCKETS + 1))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"rows-{len(self._files)}.arrow"
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            for begin, end in itertools.pairwise(edges):
                whole = table.slice(begin, end - begin).to_batches()
                writer.write_batch(whole[0] if whole else pa.RecordBatch.from_pylist([], table.schema))
        self._files.append(path)


def _read(path: Path, wanted: range) -> pl.DataFrame:
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        return pl.DataFrame(pa.Table.from_batches([reader.get_batch(bucket) for bucket in wanted], reader.schema))


def buckets(ids: pl.Series) -> NDArray[np.uint8]:
    """The bucket of each id [n], the top byte of its hash."""
    return (hashes(ids) >> np.uint64(56)).astype(np.uint8)
