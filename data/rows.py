"""Reads a table from Parquet or CSV and checks every row before anything is made of it.

A bad row stops the run with one line that names file, row, column and value, or is set aside where the user asked for
a quarantine. Rows are numbered as an editor shows them: in a CSV file the header is row 1, in Parquet the first row is.
"""

import csv
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data.quarantine import Quarantine
from runtime.errors import DataError

_MEND = "mend the row"
_EXACT_FLOAT = 2**53  # whole numbers above this are not exact in a float column


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column must hold.

    Attributes:
      name: its name in the canonical tables; `source`: its name in the file, where that differs.
      dtype: an integer type (values must be whole numbers that fit), String, or None: whole numbers or text, as found.
      required: the file must have the column. nullable: a row may leave it empty. unique: no value stands twice.
      low, high: bounds of a number, both inclusive; `remedy` says what to do where a value is out of them.
    """

    name: str
    dtype: type[pl.DataType] | None = None
    source: str = ""
    required: bool = False
    nullable: bool = True
    unique: bool = False
    low: int | None = None
    high: int | None = None
    remedy: str = _MEND

    @property
    def in_file(self) -> str:
        return self.source or self.name


Known = Mapping[str, tuple[pl.Series, str]]


def read(
    path: str | os.PathLike[str], columns: Sequence[Column], *, quarantine: Quarantine, known: Known | None = None
) -> tuple[pl.DataFrame, int]:
    """The good rows of `path`, in file order, under their canonical names, and how many rows the file holds.

    Args:
      columns: what to read; optional columns that the file lacks are absent from the result too.
      known: canonical column -> (the values it may take, the file that lists them).
    Errors: DataError for a missing, broken or empty file, a missing column, and a bad row that is not quarantined.
    """
    path = Path(path)
    names = header(path)
    for column in columns:
        if column.required and column.in_file not in names:
            raise DataError(f"{path}: no column '{column.in_file}', only {', '.join(names)}; add it or rename one")
    columns = [column for column in columns if column.in_file in names]
    is_csv = path.suffix == ".csv"
    raw = _read_csv(path, columns) if is_csv else _read_parquet(path, columns)
    if raw.is_empty():
        raise DataError(f"{path}: no rows; give a file that holds some")

    first_row = 2 if is_csv else 1
    rows = pl.int_range(first_row, first_row + len(raw), eager=True)
    good = pl.repeat(True, len(raw), eager=True)
    values: dict[str, pl.Series] = {}
    for mask, name, shown, reason, remedy in _faults(path, raw, columns, len(names), known or {}, values):
        mask = mask.fill_null(False) & good  # a row is set aside once, for the first fault found
        if mask.any():
            quarantine.add(path, rows.filter(mask), name, shown.filter(mask), reason, remedy)
            good &= ~mask
    if not good.any():
        raise DataError(f"{path}: none of {len(raw):,} rows is good; run without --quarantine to see the first fault")
    dtypes = {column.name: column.dtype for column in columns if column.dtype is not None}
    frame = pl.DataFrame(values)
    frame = frame if good.all() else frame.filter(good)
    return frame.cast(dtypes), len(raw)  # type: ignore[arg-type]


def header(path: Path) -> list[str]:
    """The names of a file's columns; DataError where it is missing, empty or not readable."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; check --data, or put the file there")
    if path.suffix != ".csv":
        return list(_parquet(path).schema_arrow.names)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
    if not names:
        raise DataError(f"{path}: an empty file; copy or download it again")
    return names


def parquet_schema(path: Path) -> pa.Schema:
    """Names and types of a Parquet file's columns."""
    return _parquet(path).schema_arrow


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cut short, or no Parquet file ({error}); write or copy it again") from None


def _read_parquet(path: Path, columns: Sequence[Column]) -> pl.DataFrame:
    try:
        table = _parquet(path).read(columns=[column.in_file for column in columns])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); write or copy it again") from None
    return pl.DataFrame(pl.from_arrow(table))


def _read_csv(path: Path, columns: Sequence[Column]) -> pl.DataFrame:
    # Numbers are read as numbers, which is fast and small; where one is missing the columns are read again as text, so
    # that what stands in its place can be told. Rows of a wrong length come as they are and are found by `_faults`.
    names = [column.in_file for column in columns]
    numbers = [column.in_file for column in columns if column.dtype is not None and column.dtype.is_integer()]

    def as_(dtypes: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
        try:
            frame = pl.read_csv(
                path,
                columns=names,
                infer_schema=False,
                schema_overrides=dict(dtypes),
                ignore_errors=True,
                truncate_ragged_lines=True,
                raise_if_empty=False,
                glob=False,
            )
        except pl.exceptions.ComputeError as error:
            raise DataError(f"{path}: not readable as CSV ({error}); copy or download it again") from None
        return frame.select(names)

    frame = as_(dict.fromkeys(numbers, pl.Int64))
    return as_({}) if any(frame[name].null_count() for name in numbers) else frame


def _fields_per_row(path: Path) -> pl.Series:
    # One more than the commas of each line outside quotes, counted in a stream: the text itself is never held.
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_rows=1,
        separator="\x1f",
        quote_char=None,
        new_columns=["line"],
        infer_schema=False,
        glob=False,
    )
    commas = pl.col("line").str.replace_all('"[^"]*"', "").str.count_matches(",", literal=True)
    return lines.select((commas + 1).fill_null(0)).collect(engine="streaming").to_series()


Fault = tuple[pl.Series, str, pl.Series, str, str]  # which rows, column, what stands there, reason, remedy


def _faults(
    path: Path, raw: pl.DataFrame, columns: Sequence[Column], width: int, known: Known, values: dict[str, pl.Series]
) -> Iterator[Fault]:
    """Yields everything wrong with the rows; fills `values` with the columns as numbers or text."""
    if path.suffix == ".csv":
        fields = _fields_per_row(path)
        reason = f"fields where the header has {width}: cut short or broken"
        yield fields != width, "", fields, reason, "copy or download the file again"
    for column in columns:
        cells = raw[column.in_file]
        if cells.dtype.is_nested():
            raise DataError(f"{path}: column {cells.name} is of type {cells.dtype}; write one value a row")
        numeric = column.dtype.is_integer() if column.dtype is not None else cells.dtype.is_numeric()
        value = _whole_numbers(cells, path) if numeric else cells.cast(pl.String)
        values[column.name] = value

        def fault(mask: pl.Series, reason: str, remedy: str = _MEND, *, at: Column = column) -> Fault:
            return mask, at.in_file, raw[at.in_file], reason, remedy

        yield fault(cells.is_not_null() & value.is_null(), "is not a whole number")
        if not column.nullable:
            yield fault(value.is_null(), "is empty")
        if numeric:
            if column.low is not None:
                yield fault(value < column.low, f"is below {column.low}", column.remedy)
            if column.high is not None:
                yield fault(value > column.high, f"is above {column.high}", column.remedy)
        elif not column.nullable:
            yield fault(value == "", "is empty")
        if column.unique:
            yield fault(~value.is_first_distinct(), "stands in more than one row", "keep one of them")
        if column.name in known:
            allowed, where = known[column.name]
            if allowed.dtype != value.dtype:
                raise DataError(
                    f"{path}: column {column.in_file} holds {_kind(value)}, {where} {_kind(allowed)}; make them alike"
                )
            yield fault(~value.is_in(allowed.implode()), f"is not in {where}", f"add it to {where}")


def _whole_numbers(cells: pl.Series, path: Path) -> pl.Series:
    """Int64, null where there is none or what stands there is not a whole number; `1.0` is one, NaN is not."""
    if cells.dtype.is_integer() or cells.dtype == pl.Boolean:
        return cells.cast(pl.Int64, strict=False)
    if cells.dtype.is_float():
        number = cells.cast(pl.Float64)
        whole = (number == number.round()) & (number.abs() < _EXACT_FLOAT)
        return number.set(~whole.fill_null(False), None).cast(pl.Int64)
    if cells.dtype in (pl.String, pl.Categorical, pl.Null):
        text = cells.cast(pl.String)
        return text.cast(pl.Int64, strict=False).fill_null(_whole_numbers(text.cast(pl.Float64, strict=False), path))
    raise DataError(
        f"{path}: column {cells.name} is of type {cells.dtype}; write whole numbers, times as milliseconds since 1970"
    )


def _kind(series: pl.Series) -> str:
    return "text" if series.dtype == pl.String else "numbers"
