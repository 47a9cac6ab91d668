"""Reads a table, whatever its format, and checks every row before anything is made of it.

A bad row stops the run with one line that names file, row, column and value, or is set aside where the user asked for
a quarantine. Rows are numbered as a spreadsheet or an editor shows them: in a CSV file the header is row 1, in Parquet
and JSON lines the first row is.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from data.raw import attributes, files, spellings, values
from data.raw.batches import Batch, Rows
from data.raw.hashes import hashes
from data.raw.names import asked
from data.raw.quarantine import MEND, ColumnsOf, Quarantine
from data.raw.sources import Part, Source
from runtime.errors import DataError

_COPY = "copy or download the file again"


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column must hold.

    Attributes:
      name: its name in the canonical tables; `source`: its name in the file, where that differs. One column of a file
        may be read as several, and several as one: it takes the largest of theirs.
      dtype: an integer type (values must be whole numbers that fit), String, or None: whole numbers or text, as found.
      required: the file must have the column. nullable: a row may leave it empty. unique: no value stands twice.
      category: what stands in it is a value among others, and not known to mean anything; without a `dtype` it is
        what data/raw/attributes.py makes of it. several: a row may hold a list of values, the first before the others.
      low, high: bounds of a number, both inclusive; `remedy` says what to do where a value is out of them or not
        `what`, or makes that of what stands in the cell, and `show` how a bound is written.
      convert: the cells as the file has them -> as they are checked, such as milliseconds of seconds, null where a
        cell is not `what`, "a whole number" where nothing is converted. Lists and structures are left as they are.
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
    remedy: str | Callable[[str], str] = MEND
    convert: Callable[[pl.Series], pl.Series] | None = None
    what: str = "a whole number"
    show: Callable[[int], str] = str

    @property
    def in_file(self) -> str:
        return self.source or self.name

    def always(self) -> "Column":
        """The same, which every file must have and every row must fill."""
        return dataclasses.replace(self, required=True, nullable=False)


Known = Mapping[str, tuple[pl.Series, str] | tuple[pl.Series, str, pl.Series]]
MANY = 1 << 17  # ids of text that are known: comparing each batch with them takes longer than all else


class _Listed:
    """The ids that a column may take, made ready for many batches, the file that lists them, and ids of rows of it
    that were set aside.
    """

    def __init__(self, ids: pl.Series, file: str, aside: pl.Series | None = None):
        self._ids, self.file = ids, file
        self._aside = aside if aside is not None and len(aside) else None
        is_many = ids.dtype == pl.String and len(ids) > MANY
        self._hashes = pl.Series(hashes(ids)) if is_many else None

    def lacks(self, value: pl.Series) -> pl.Series:
        """True for the values [n] that are not among them: of many, 64 bits of each are compared."""
        if self._hashes is not None:
            found = pl.Series(hashes(value.fill_null(strategy="zero")))
            return ~found.is_in(self._hashes.implode()) & value.is_not_null()
        value, allowed = values.alike(value, self._ids)
        return ~value.is_in(allowed.implode())

    def lost(self, value: pl.Series) -> pl.Series | None:
        """True for those of them whose row was set aside; None where no row was."""
        if self._aside is None:
            return None
        value, aside = values.alike(value, self._aside)
        return value.is_in(aside.implode())


Further = Callable[[pl.Series], Column | None]


def read(
    table: Source | str | os.PathLike[str],
    columns: Sequence[Column],
    *,
    quarantine: Quarantine,
    known: Known | None = None,
    skip: Callable[[pl.DataFrame], pl.Series] | None = None,
    number: str = "",
) -> tuple[pl.DataFrame, int]:
    """All of `pieces` as one table, and how many rows the files hold."""
    return pieces(table, columns, quarantine=quarantine, known=known, skip=skip, number=number).whole()


def pieces(
    table: Source | str | os.PathLike[str],
    columns: Sequence[Column],
    *,
    quarantine: Quarantine,
    known: Known | None = None,
    further: Further | None = None,
    skip: Callable[[pl.DataFrame], pl.Series] | None = None,
    empty: Sequence[str] = (),
    decimal: str = ".",
    number: str = "",
) -> "Pieces":
    """The good rows of a table under canonical names, some at a time, so that it need not fit into memory.

    Args:
      table: where it lies: a `Source`, a file, or a folder of files.
      columns: what to read; optional columns that the table lacks are absent from the result too.
      known: canonical column -> (the values it may take, the file that lists them, and maybe those of rows of it that
        were set aside).
      further: asked about each column that `columns` do not name, of all its cells, how it is to be read; None: not.
      skip: rows, as the file has them -> True for those that are not looked at; they do not count as held.
      empty: text that stands for an empty cell, besides none. decimal: what text has before the fraction of a number.
      number: the name of a further column of the result, each row's number in its file.
    Errors: DataError for a missing, broken or empty file, a missing column, and a bad row that is not quarantined;
      those of rows come while one goes through them.
    """
    opened = files.opened(table)
    source, names = opened.source, opened.names
    _check_required(opened, columns)
    # What is looked at as a whole is read as a whole.
    as_whole = further is not None or any(column.unique or column.category for column in columns)
    of_columns = dict.fromkeys(c.in_file for c in columns if c.in_file in names or not opened.format.is_whole)
    wanted = None if further else list(of_columns)  # JSON may have names that its first lines do not
    batches: Iterable[Batch] = _whole(opened, wanted) if as_whole else opened.batches(wanted)
    batches = (_emptied(batch, empty) for batch in batches) if empty else batches
    if further:
        (whole,) = batches
        named = {column.in_file for column in columns}
        others = (further(cells) for cells in whole.frame.get_columns() if cells.name not in named)
        batches, columns = [whole], [*columns, *(column for column in others if column is not None)]
    if decimal == ",":
        # Ids and lists in one field stay the text that they are.
        kinds = {c.in_file: c.dtype is not None and c.dtype.is_integer() for c in columns}
        kinds |= {c.in_file: True for c in columns if c.category and c.dtype is None and not c.convert}
        kinds |= {c.in_file: False for c in columns if (c.dtype is None and not c.category) or c.dtype == pl.String}
        numeric = [name for name, is_numeric in kinds.items() if is_numeric]
        batches = (_with_points(batch, numeric) for batch in batches)
    return Pieces(source, names, batches, columns, quarantine, known or {}, skip, number)


def checked(
    path: Path,
    table: Rows,
    names: Sequence[str],
    columns: Sequence[Column],
    *,
    quarantine: Quarantine,
    known: Known | None = None,
) -> tuple[pl.DataFrame, int]:
    """As `read`, of one file that has been opened otherwise: its rows as they stand there, and its columns' `names`."""
    check_columns(path, names, columns)
    batch = files.of_part(table, 0, [Part(path, path.name, {})], is_text=False)
    source = Source(path, path.name, tuple(batch.parts))
    return Pieces(source, names, [batch], columns, quarantine, known or {}).whole()


def check_columns(path: Path, names: Sequence[str], columns: Sequence[Column]) -> None:
    """DataError where a file with these `names` lacks a column that is required."""
    for column in columns:
        if column.required and column.in_file not in names:
            only = ", ".join(asked(names, {column.in_file}))
            raise DataError(f"{path}: no column '{column.in_file}', only {only}; add it or rename one")


class Pieces:
    """The good rows of a table, some at a time and in the order of its files; to be gone through once.

    count: how many rows the files hold, good and bad, as far as they have been gone through. aside: what stands in
    the columns that are `unique`, of the rows set aside.
    Errors: those of `pieces`, while one goes through them.
    """

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        batches: Iterable[Batch],
        columns: Sequence[Column],
        quarantine: Quarantine,
        known: Known,
        skip: Callable[[pl.DataFrame], pl.Series] | None = None,
        number: str = "",
    ):
        self.count = 0
        self.aside: dict[str, pl.Series] = {}
        self._source, self._batches, self._columns = source, batches, columns
        self._quarantine, self._skip, self._number = quarantine, skip, number
        self._known = {name: _Listed(*listed) for name, listed in known.items()}
        self._seen = dict.fromkeys(names)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        source, quarantine, schema = self._source, self._quarantine, pl.Schema()
        is_any = False
        for batch in _without_bytes(self._batches):
            self._seen |= dict.fromkeys(batch.frame.columns)
            if self._skip:
                batch = _without(batch, self._skip(batch.frame))
            self.count += len(batch)
            good, bad = _good(source.path, batch, self._columns, quarantine, self._known, self._number)
            # A table with such a column has been read as a whole.
            self.aside = {
                column.name: bad[column.name]
                for column in self._columns
                if column.unique and column.name in bad.columns
            }
            is_any, schema = is_any or len(good) > 0, good.schema
            yield good
        if not self.count:
            only = " that are to be read" if self._skip else ""
            raise DataError(f"{source.path}: no rows{only}; give a file that holds some")
        if not is_any:
            most = quarantine.most_often(source.name)
            raise DataError(f"{source.path}: none of {self.count:,} rows is good; most often {most}")
        # What a category is after all its cells tell: a table with one has been read as a whole, in one piece.
        quarantine.finish(source.path, source.name, self.count, _columns_of(self._columns, list(self._seen), schema))

    def whole(self) -> tuple[pl.DataFrame, int]:
        """All of them as one table, and `count`."""
        kept = list(self)
        names = [column.name for column in self._columns if column.in_file in self._seen]
        return stacked(kept, [*names, *([self._number] if self._number else [])]), self.count


def _whole(table: files.Opened, names: Sequence[str] | None) -> list[Batch]:
    batches = list(table.batches(names))
    if not batches:
        raise DataError(f"{table.source.path}: no rows; give a file that holds some")
    return [files.whole(batches)]


def _columns_of(columns: Sequence[Column], names: Sequence[str], schema: pl.Schema) -> ColumnsOf:
    used: dict[str, list[str]] = {}
    for column in columns:
        if column.in_file in names and not column.category:
            used.setdefault(column.in_file, []).append(column.name)
    categories = [column.in_file for column in columns if column.in_file in names and column.category]
    ignored = [name for name in names if name not in {*used, *categories}]
    kinds = {}
    for column in columns:
        dtype = schema.get(column.name) if column.category else None
        if dtype is not None and (attributes.is_number(dtype) or attributes.is_embedding(dtype)):
            kinds[column.in_file] = "numbers" if attributes.is_number(dtype) else "embeddings"
    return ColumnsOf(used, categories, ignored, frozenset(c.in_file for c in columns if not c.category), kinds)


def _check_required(table: files.Opened, columns: Sequence[Column]) -> None:
    # In each file, but where rows have names of their own.
    places = [(table.source.path, table.names)]
    if table.format.is_whole:
        places = [(part.path, names) for part, names in zip(table.source.parts, table.by_part(), strict=True)]
    for path, names in places:
        check_columns(path, names, columns)


def _good(
    path: Path,
    batch: Batch,
    columns: Sequence[Column],
    quarantine: Quarantine,
    known: Mapping[str, _Listed],
    number: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Good rows of a batch, under canonical names, as numbers or text; and the others, which go to the quarantine."""
    for of_reason in batch.broken.partition_by("reason", maintain_order=True):
        reason = of_reason["reason"][0]
        quarantine.add(
            batch.parts,
            of_reason["part_of"],
            of_reason["row"],
            "",
            of_reason["value"],
            reason,
            _COPY,
            among=len(batch),
        )
    frame = batch.frame
    missing = [column.in_file for column in columns if column.required and column.in_file not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in missing)
    columns = [column for column in columns if column.in_file in frame.columns]
    good = pl.repeat(True, len(frame), eager=True)
    of_column: dict[str, pl.Series] = {}
    for mask, name, shown, reason, remedy in _faults(path, frame, columns, known, of_column, is_text=batch.is_text):
        mask = mask.fill_null(False) & good  # a row is set aside once, for the first fault found
        if mask.any():
            numbers, part_of = batch.numbers.filter(mask), batch.part_of.filter(mask)
            wrong = shown.filter(mask)
            remedy = remedy if isinstance(remedy, str) else remedy(str(wrong[0]))
            # What fits nothing may be written in a way that schema.yaml can tell.
            remedy = spellings.remedy(str(wrong[0]), remedy) if reason.startswith("is not ") else remedy
            quarantine.add(batch.parts, part_of, numbers, name, wrong, reason, remedy, among=len(batch))
            good &= ~mask
    checked = pl.DataFrame(of_column | ({number: batch.numbers} if number else {}))
    checked, bad = (checked, checked.clear()) if good.all() else (checked.filter(good), checked.filter(~good))
    dtypes = {column.name: column.dtype for column in columns if column.dtype is not None}
    return checked.cast(dtypes), bad  # type: ignore[arg-type]


Remedy = str | Callable[[str], str]
Fault = tuple[pl.Series, str, pl.Series, str, Remedy]  # which rows, column, what stands there, reason, remedy


def _faults(
    path: Path,
    raw: pl.DataFrame,
    columns: Sequence[Column],
    known: Mapping[str, _Listed],
    of_column: dict[str, pl.Series],
    *,
    is_text: bool,
) -> Iterator[Fault]:
    """Yields everything wrong with the rows; fills `of_column` with the columns as numbers or text."""
    if is_text:
        empty = raw.select(pl.all_horizontal(pl.all().is_null())).to_series()
        yield empty, "", pl.repeat(0, len(raw), eager=True), "fields: an empty row", "remove the row"
    for column in columns:
        cells = raw[column.in_file]
        where = f"{path}: column {column.in_file}"
        meant = column.convert(cells) if column.convert and not cells.dtype.is_nested() else cells
        value, unusable = _canonical(column, meant, where, in_text=is_text and not column.convert)
        before = of_column.get(column.name)
        of_column[column.name] = value if before is None else pl.select(pl.max_horizontal(before, value)).to_series()

        shown = attributes.shown(cells)
        filled = cells.is_not_null() if cells.dtype != pl.String else cells.fill_null("") != ""

        def fault(
            mask: pl.Series, reason: str, remedy: Remedy = MEND, *, at: Column = column, shown: pl.Series = shown
        ) -> Fault:
            return mask, at.in_file, shown, reason, remedy

        if value.dtype == pl.Int64:
            reason = f"is too large to be exact as {cells.dtype}"
            yield fault(values.inexact(meant), reason, "write the column as whole numbers or text")
            yield fault(filled & value.is_null(), f"is not {column.what}", column.remedy)
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
            listed = known[column.name]
            lacks = listed.lacks(value)
            if (lost := listed.lost(value)) is not None:
                reason = f"is of a row of {listed.file} that was set aside"
                yield fault(lacks & lost, reason, f"mend that row of {listed.file}")
            yield fault(lacks, f"is not in {listed.file}", f"add it to {listed.file}")


def _canonical(
    column: Column, cells: pl.Series, where: str, *, in_text: bool
) -> tuple[pl.Series, list[attributes.Fault]]:
    """The cells of a column as what it holds, and what is wrong with some of them, besides what `_faults` finds."""
    nested, of_any_type = cells.dtype.is_nested(), column.category and column.dtype is None
    if of_any_type or (column.several and (nested or in_text)):
        value, unusable = attributes.read(cells, where, from_text=in_text)
        if of_any_type or attributes.are_several(value.dtype):
            return value, unusable
    if nested:
        raise DataError(f"{where} is of type {cells.dtype}; write one value a row")
    if column.dtype is None:
        return values.ids(cells, where), []
    return (values.whole_numbers if column.dtype.is_integer() else values.text)(cells, where), []


def _without_bytes(batches: Iterable[Batch]) -> Iterator[Batch]:
    # What bytes stand for depends on all of a column's cells: such a table is taken as a whole.
    batches = iter(batches)
    for batch in batches:
        if any(kind == pl.Binary for kind in batch.frame.dtypes):
            yield files.whole([batch, *batches])
        else:
            yield batch


def _with_points(batch: Batch, names: Sequence[str]) -> Batch:
    there = [spellings.with_points(batch.frame[name]) for name in names if name in batch.frame.columns]
    return dataclasses.replace(batch, frame=batch.frame.with_columns(there))


def _emptied(batch: Batch, empty: Sequence[str]) -> Batch:
    texts = [name for name, kind in batch.frame.schema.items() if kind == pl.String]
    emptied = batch.frame.with_columns(pl.col(texts).replace(list(empty), None))
    unknown = [float(word) for word in empty if spellings.is_number(word)]  # such as -1 among play times
    if unknown:
        numeric = [name for name, kind in batch.frame.schema.items() if kind.is_numeric()]
        emptied = emptied.with_columns(
            pl.when(~pl.col(name).cast(pl.Float64).is_in(unknown)).then(name).alias(name) for name in numeric
        )
    if any(word.lower() == "nan" for word in empty):
        emptied = emptied.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    return dataclasses.replace(batch, frame=emptied)


def _without(batch: Batch, skipped: pl.Series) -> Batch:
    return dataclasses.replace(
        batch,
        frame=batch.frame.filter(~skipped),
        numbers=batch.numbers.filter(~skipped),
        part_of=batch.part_of.filter(~skipped),
    )


def stacked(frames: Sequence[pl.DataFrame], names: Iterable[str] | None = None) -> pl.DataFrame:
    """Good rows of a table one after the other: the columns `names`, all by default, empty in pieces that lack them.

    Ids that are numbers in some of the frames and text in others are text.
    """
    table = pl.concat(frames, how="diagonal_relaxed")
    table = table if names is None else table.select(names)
    return table.with_columns(pl.col(pl.Null).cast(pl.String))
