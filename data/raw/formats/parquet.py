"""Reads Parquet, some rows at a time, and checks the pages' checksums where they have any."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data.raw.batches import Rows
from data.raw.formats import mistaken
from data.raw.formats.streams import pass_on
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
            frame = _frame(path, pa.Table.from_batches([batch]).select(list(names)))
            yield Rows(frame, pl.int_range(row, row + len(frame), eager=True))
            row += len(frame)
    except (pa.ArrowException, OSError) as error:
        pass_on(error, path)
        raise DataError(f"{path}: damaged ({error}); write or copy it again") from None


def _frame(path: Path, table: pa.Table) -> pl.DataFrame:
    columns = []
    for field, cells in zip(table.schema, table.columns, strict=True):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            # The same moments: polars knows no zones such as +05:30.
            cells = cells.cast(pa.timestamp(field.type.unit, "UTC"))
        elif pa.types.is_decimal256(field.type):
            cells = cells.cast(pa.float64())  # polars has none so long; what is no longer exact is refused as such
        try:
            column = pl.Series("", pl.from_arrow(cells))
        except pl.exceptions.PolarsError:
            raise DataError(
                f"{path}: column {field.name} is of type {field.type}; write numbers, text or times"
            ) from None
        # Text that is stored once for all its cells is text.
        columns.append(column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column)
    frame = pl.DataFrame([cells.alias(str(place)) for place, cells in enumerate(columns)])
    frame.columns = table.column_names  # an empty one too
    return frame


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        pass_on(error, path)
        is_file = path.is_file() and path.stat().st_size > 0
        reason = f"cut short, or no Parquet file ({error}); write or copy it again"
        raise DataError(mistaken.told(path, reason) if is_file else f"{path}: {reason}") from None
