"""Opens a table's file, CSV or Parquet: the names of its columns, and the columns as they stand there.

CSV is as RFC 4180 has it: commas, fields in quotes that may hold commas and line breaks, a quote in such a field
doubled; any of the three line ends; UTF-8. An empty field is empty, in quotes or not, and so are empty rows at the end.
A quote inside a field that is not in quotes is a character like any other.
"""

import csv
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from runtime.errors import DataError

_BLOCK = 1 << 24  # a row that is longer cannot be read


@dataclasses.dataclass(frozen=True)
class Table:
    """Some columns of a file.

    Attributes:
      frame: their rows. rows [n]: the number of each as a spreadsheet shows it, the header of a CSV file being row 1.
      broken: row number and number of fields of the rows that have more or fewer than the header.
    """

    frame: pl.DataFrame
    rows: pl.Series
    broken: pl.DataFrame


def header(path: Path) -> list[str]:
    """The names of a file's columns; DataError where it is missing, empty, not readable, or has a name twice."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; check --data, or put the file there")
    names = _csv_header(path) if path.suffix == ".csv" else list(parquet_schema(path).names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: column '{twice[0]}' stands there more than once; remove or rename one")
    return names


def parquet_schema(path: Path) -> pa.Schema:
    """Names and types of a Parquet file's columns."""
    return _parquet(path).schema_arrow


def read(path: Path, names: Sequence[str], *, numbers: Sequence[str]) -> Table:
    """The columns `names` of a file; in CSV those of `numbers` are whole numbers where all of their fields are.

    Errors: DataError for a file that is cut short or otherwise damaged.
    """
    if path.suffix == ".csv":
        return _read_csv(path, names, numbers)
    try:
        table = _parquet(path).read(columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); write or copy it again") from None
    frame = _frame(table.select(list(names)))
    return Table(frame, pl.int_range(1, len(frame) + 1, eager=True), _broken([]))


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cut short, or no Parquet file ({error}); write or copy it again") from None


def _csv_header(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file, strict=True), [])
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}: row 1 is no header ({error}); write the file again") from None
    if not names:
        raise DataError(f"{path}: an empty file; copy or download it again")
    return names


def _read_csv(path: Path, names: Sequence[str], numbers: Sequence[str]) -> Table:
    _check_quotes(path)
    # Numbers are read as numbers, in parallel, which is fast and small. Where one is missing or a row is broken, all is
    # read again as text, row by row, so that what stands in its place, and where, can be told.
    broken: list[tuple[int, int]] = []
    try:
        frame = _parsed(path, names, numbers, threads=True, invalid=None)
    except pa.ArrowInvalid:
        try:
            frame = _parsed(path, names, [], threads=False, invalid=broken)
        except pa.ArrowException as error:
            raise DataError(f"{path}: not readable as CSV ({error}); write it again, as UTF-8") from None
    rows = pl.int_range(2, 2 + len(frame) + len(broken), eager=True)
    rows = rows.filter(~rows.is_in([row for row, _ in broken]))
    # Empty rows at the end say nothing.
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    length = filled.arg_true()[-1] + 1 if filled.any() else 0
    return Table(frame.head(length), rows.head(length), _broken(broken))


def _parsed(
    path: Path, names: Sequence[str], numbers: Sequence[str], *, threads: bool, invalid: list[tuple[int, int]] | None
) -> pl.DataFrame:
    def of_wrong_length(row: pa.csv.InvalidRow) -> str:
        if invalid is None:
            return "error"
        invalid.append((row.number, row.actual_columns))
        return "skip"

    table = pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(use_threads=threads, block_size=_BLOCK),
        parse_options=pa.csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=of_wrong_length
        ),
        convert_options=pa.csv.ConvertOptions(
            include_columns=list(names),
            column_types={name: pa.int64() if name in numbers else pa.large_string() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return _frame(table)


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(table))
    frame.columns = table.column_names  # polars gives an empty name another
    return frame


def _check_quotes(path: Path) -> None:
    # A quote too few or too many takes the rows up to the next one for a single field, in any lenient reader.
    with open(path, "rb") as raw:
        if not any(b'"' in block for block in iter(lambda: raw.read(1 << 20), b"")):
            return
    row = 0
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for _ in csv.reader(file, strict=True):
                row += 1
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
    except csv.Error:
        raise DataError(
            f"{path}: row {row + 1}: a field's quotes do not close before its end; "
            'double a quote inside a field ("5"" screen") or write the file again'
        ) from None
    finally:
        csv.field_size_limit(limit)


def _broken(rows: Sequence[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"row": pl.Int64, "fields": pl.Int64}, orient="row")
