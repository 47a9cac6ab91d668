"""Reads a table from Parquet or CSV and checks every row before anything is made of it.

A bad row stops the run with one line that names file, row, column and value, or is set aside where the user asked for
a quarantine. Rows are numbered as a spreadsheet shows them: in a CSV file the header is row 1, in Parquet the first row
is.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from data.raw import attributes, files, values
from data.raw.names import asked
from data.raw.quarantine import ColumnsOf, Quarantine
from runtime.errors import DataError

_MEND = "mend the row"
_COPY = "copy or download the file again"


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column must hold.

    Attributes:
      name: its name in the canonical tables; `source`: its name in the file, where that differs.
      dtype: an integer type (values must be whole numbers that fit), String, or None: whole numbers or text, as found.
      required: the file must have the column. nullable: a row may leave it empty. unique: no value stands twice.
      category: what stands in it is a value among others, and not known to mean anything; without a `dtype` it is
        what data/raw/attributes.py makes of it. several: a row may hold a list of values, the first before the others.
      low, high: bounds of a number, both inclusive; `remedy` says what to do where a value is out of them, and `show`
        how a bound is written.
      convert: the cells as the file has them -> as they are checked, such as milliseconds of seconds, null where a
        cell is not `what`, "a whole number" where nothing is converted. A file's column may be read as several.
    """

    name: str
    dtype: type[pl.DataType] | None = None
    source: str = ""
    required: bool = False
    nullable: bool = True
    unique: bool = False
    category: bool = False
    several: bool = False
    low: int | None = None
    high: int | None = None
    remedy: str = _MEND
    convert: Callable[[pl.Series], pl.Series] | None = None
    what: str = "a whole number"
    show: Callable[[int], str] = str

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
    names = files.header(path)
    _check_columns(path, names, columns)
    wanted = [column for column in columns if column.in_file in names]
    numbers = [
        column.in_file
        for column in wanted
        if column.convert is None and column.dtype is not None and column.dtype.is_integer()
    ]
    table = files.read(path, list(dict.fromkeys(column.in_file for column in wanted)), numbers=numbers)
    return checked(path, table, names, columns, quarantine=quarantine, known=known)


def checked(
    path: Path,
    table: files.Table,
    names: Sequence[str],
    columns: Sequence[Column],
    *,
    quarantine: Quarantine,
    known: Known | None = None,
) -> tuple[pl.DataFrame, int]:
    """As `read`, of a file that has been opened: `table`, its columns as they stand there, of its `names`."""
    _check_columns(path, names, columns)
    possible, wanted = columns, {column.in_file for column in columns}
    columns = [column for column in columns if column.in_file in names]
    count = len(table.rows) + len(table.broken)
    if not count:
        raise DataError(f"{path}: no rows; give a file that holds some")
    if len(table.broken):
        reason = f"fields where the header has {len(names)}: cut short or broken"
        quarantine.add(path, table.broken["row"], "", table.broken["fields"], reason, _COPY)

    good = pl.repeat(True, len(table.rows), eager=True)
    of_column: dict[str, pl.Series] = {}
    for mask, name, shown, reason, remedy in _faults(path, table.frame, columns, known or {}, of_column):
        mask = mask.fill_null(False) & good  # a row is set aside once, for the first fault found
        if mask.any():
            quarantine.add(path, table.rows.filter(mask), name, shown.filter(mask), reason, remedy)
            good &= ~mask
    if not good.any():
        raise DataError(f"{path}: none of {count:,} rows is good; run without --quarantine to see the first fault")
    of_file = ColumnsOf(
        list(dict.fromkeys(column.in_file for column in columns if not column.category)),
        [column.in_file for column in columns if column.category],
        [name for name in names if name not in wanted],
        frozenset(column.in_file for column in possible if not column.category),
    )
    quarantine.finish(path, count, of_file)
    dtypes = {column.name: column.dtype for column in columns if column.dtype is not None}
    frame = pl.DataFrame(of_column)
    frame = frame if good.all() else frame.filter(good)
    return frame.cast(dtypes), count  # type: ignore[arg-type]


def _check_columns(path: Path, names: Sequence[str], columns: Sequence[Column]) -> None:
    for column in columns:
        if column.required and column.in_file not in names:
            only = ", ".join(asked(names, {column.in_file}))
            raise DataError(f"{path}: no column '{column.in_file}', only {only}; add it or rename one")


Fault = tuple[pl.Series, str, pl.Series, str, str]  # which rows, column, what stands there, reason, remedy


def _faults(
    path: Path, raw: pl.DataFrame, columns: Sequence[Column], known: Known, of_column: dict[str, pl.Series]
) -> Iterator[Fault]:
    """Yields everything wrong with the rows; fills `of_column` with the columns as numbers or text."""
    empty = raw.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if path.suffix == ".csv":
        yield empty, "", pl.repeat(0, len(raw), eager=True), "fields: an empty row", "remove the row"
    for column in columns:
        cells = raw[column.in_file]
        where = f"{path}: column {column.in_file}"
        meant = column.convert(cells) if column.convert else cells
        value, unusable = _canonical(column, meant, where, in_csv=path.suffix == ".csv" and not column.convert)
        of_column[column.name] = value

        shown = attributes.shown(cells)
        filled = cells.is_not_null() if cells.dtype != pl.String else cells.fill_null("") != ""

        def fault(
            mask: pl.Series, reason: str, remedy: str = _MEND, *, at: Column = column, shown: pl.Series = shown
        ) -> Fault:
            return mask, at.in_file, shown, reason, remedy

        if value.dtype == pl.Int64:
            reason = f"is too large to be exact as {cells.dtype}"
            yield fault(values.inexact(meant), reason, "write the column as whole numbers or text")
            yield fault(filled & value.is_null(), f"is not {column.what}")
        for rows, reason in unusable:
            yield fault(rows, reason)
        if not column.nullable:
            yield fault(value.is_null(), "is empty")
        if value.dtype == pl.Int64:
            if column.low is not None:
                yield fault(value < column.low, f"is below {column.show(column.low)}", column.remedy)
            if column.high is not None:
                yield fault(value > column.high, f"is above {column.show(column.high)}", column.remedy)
        if column.unique:
            yield fault(~value.is_first_distinct(), "stands in more than one row", "keep one of them")
        if column.name in known:
            allowed, file = known[column.name]
            value, allowed = values.alike(value, allowed)
            yield fault(~value.is_in(allowed.implode()), f"is not in {file}", f"add it to {file}")


def _canonical(
    column: Column, cells: pl.Series, where: str, *, in_csv: bool
) -> tuple[pl.Series, list[attributes.Fault]]:
    """The cells of a column as what it holds, and what is wrong with some of them, besides what `_faults` finds."""
    nested, of_any_type = cells.dtype.is_nested(), column.category and column.dtype is None
    if of_any_type or (column.several and (nested or in_csv)):
        value, unusable = attributes.read(cells, where, from_text=in_csv)
        if of_any_type or attributes.are_several(value.dtype):
            return value, unusable
    if nested:
        raise DataError(f"{where} is of type {cells.dtype}; write one value a row")
    if column.dtype is None:
        return values.ids(cells, where), []
    return (values.whole_numbers if column.dtype.is_integer() else values.text)(cells, where), []
