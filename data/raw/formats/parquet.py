"""Reads Parquet, some rows at a time, and checks the pages' checksums where they have any."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data.raw.batches import Rows
from runtime.errors import DataError

_ROWS = 1 << 19  # at a time


def header(path: Path) -> list[str]:
    """The names of a file's columns. Errors: DataError where it is no Parquet file."""
    return list(_opened(path).schema_arrow.names)


def num_rows(path: Path) -> int:
    """How many rows a file has. Errors: DataError where it is no Parquet file."""
    return int(_opened(path).metadata.num_rows)


def rows(path: Path, names: Sequence[str]) -> Iterator[Rows]:
    """The columns `names` of a file, a batch at a time. Errors: DataError for a file that is damaged."""
    row = 1
    try:
        for batch in _opened(path).iter_batches(_ROWS, columns=list(names)):
            frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]).select(list(names))))
            frame.columns = list(names)  # polars gives an empty name another
            yield Rows(frame, pl.int_range(row, row + len(frame), eager=True))
            row += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); write or copy it again") from None


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cut short, or no Parquet file ({error}); write or copy it again") from None
