"""What is said of a log: which of its columns Heed's columns are made of, and how they are read.

schema.yaml, a file beside the log, says it (`data.raw.schema.yaml_file`); of what it does not speak, names tell.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from data.raw import spellings
from data.raw.names import meant
from data.raw.rows import Column
from data.raw.schema.event_types import TYPE, EventTypes
from data.raw.schema.rules import OPERATORS, OneOf, flags
from data.raw.tables import EVENTS, FEEDBACK_COLUMNS, ITEMS, USERS
from data.raw.times import Lengths, Moments
from runtime.errors import UsageError

NAMES = ("schema.yaml", "schema.yml")
TABLES = {"events": EVENTS, "items": ITEMS, "users": USERS}
TIMES, LENGTHS = {"timestamp_ms", "uploaded_ms"}, {"play_ms", "duration_ms"}
FLAGS = {*FEEDBACK_COLUMNS, "randomly_exposed", "questionnaire_shown", "questionnaire_answer"}


@dataclasses.dataclass(frozen=True)
class TableSchema:
    """What is said of one table.

    Attributes:
      path: where it lies, "" for its usual place.
      columns: Heed's name -> how the columns of the log that it is made of are read.
      event_types: of a long table, what its types say.
      played: the share of an item's duration from which on a play is a long view, besides what `columns` say of
        long_view; None where nobody says.
      categories, numbers: further columns that are such; None where nobody says, and their types tell.
      separators: column -> what stands between the values in it.
      lines: the log's columns that it speaks of -> the line where.
    """

    path: str = ""
    columns: Mapping[str, tuple[Column, ...]] = dataclasses.field(default_factory=dict)
    event_types: EventTypes | None = None
    played: float | None = None
    categories: tuple[str, ...] | None = None
    numbers: tuple[str, ...] | None = None
    separators: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Schema:
    """What is said of a log.

    path: the file that says it, None where there is none. empty: text for empty fields. decimal: what text has before
    the fraction of a number, `.` or `,`.
    """

    path: Path | None = None
    tables: Mapping[str, TableSchema] = dataclasses.field(default_factory=dict)
    empty: tuple[str, ...] = ()
    decimal: str = "."

    def of(self, table: str) -> TableSchema:
        """What is said of the table."""
        return self.tables.get(table, TableSchema())

    @property
    def name(self) -> str:
        """Of the file that says it."""
        return self.path.name if self.path else NAMES[0]


def plain(column: Column) -> Column:
    """The canonical column where the log has it by Heed's name: times of any kind, lengths in milliseconds, words."""
    if column.name in TIMES:
        return replace(column, convert=Moments(), what="a time", remedy=other_unit(column))
    if column.name in LENGTHS:
        return replace(column, convert=Lengths(), remedy=partial(of_length, otherwise=other_unit(column)))
    if column.name in FLAGS:
        return replace(column, convert=flags, what="0 or 1, true or false", remedy=partial(rule, column))
    return column


def rule(column: Column, cell: str) -> str:
    """What to do about a cell that is neither yes nor no: the rule for such."""
    if spellings.is_number(cell):
        return f"of counts schema.yaml says which mean yes: `{column.name}: {column.in_file} >= 1`"
    word = cell.strip()
    if word.lower() in spellings.NO:
        return f"of words schema.yaml says which mean no: `{column.name}: {column.in_file} != {word}`"
    return f"of words schema.yaml says which mean yes: `{column.name}: {column.in_file} == {word}`"


def compared(column: Column, cell: str) -> str:
    """What to do about a word that a rule compares with a number."""
    return f"numbers alone are compared so, words with ==, such as `{column.name}: {column.in_file} == {cell.strip()}`"


def of_length(cell: str, *, otherwise: str, in_ms: bool = True) -> str:
    """What to do about a length of time that may be below 0, or, `in_ms`, have a fraction of one."""
    if cell.strip().startswith("-"):
        return f"where that stands for none, schema.yaml says `empty: ['{cell.strip()}']`"
    has_fraction = in_ms and spellings.is_number(cell) and "." in cell
    return f"where they are milliseconds, round them; {otherwise}" if has_fraction else otherwise


def other_unit(column: Column, *, unit: str = "", layout: str = "", file: str = NAMES[0]) -> str:
    """What to do about cells of a time or a length of time that are out of bounds.

    Args: unit, layout: what the schema `file` says of the column, "" where it says nothing.
    """
    named = f"column: {column.source}, " if column.source not in ("", column.name) else ""
    of_unit = f"{column.name}: {{{named}unit: {'ms' if unit not in ('', 'ms') else 's'}}}"
    as_said = f", as {file} says" if unit or layout else ""
    if column.name in LENGTHS:
        units = unit if unit else "milliseconds"
        return f"lengths of time are {units}{as_said}, at most 24 days; of others {file} says `{of_unit}`"
    kind = f"of the format {layout}" if layout else f"{unit or 'milliseconds'} since 1970"
    iso = "" if layout else ", or ISO 8601"
    of_format = f'{column.name}: {{{named}format: "%d.%m.%Y %H:%M"}}'
    bounds = ", from 2000 to now" if column.low is not None else ""
    return f"times are {kind}{as_said}{iso}{bounds}; of others {file} says `{of_unit}` or `{of_format}`"


def columns_of(table: str, schema: TableSchema) -> list[Column]:
    """How the table is read: what the schema says of its columns, and the rest by Heed's own names."""
    found: list[Column] = []
    for column in TABLES[table]:
        found += schema.columns.get(column.name, (plain(column),))
    if schema.event_types:
        types = schema.event_types
        found.append(Column(TYPE, pl.String, source=types.column, required=True, nullable=False))
        canonical = {column.name: column for column in EVENTS}
        for name, words in types.of.items():
            found.append(replace(canonical[name], source=types.column, convert=OneOf(words)))
    return found


def check(schema: Schema, table: str, file: str, names: Sequence[str]) -> None:
    """UsageError where the schema speaks of a column that the table, whose `names` these are, does not have."""
    for name, line in schema.of(table).lines.items():
        if name not in names:
            guess = meant(name, names)
            only = f"did you mean {guess}?" if guess else f"only {', '.join(names)}"
            compared = name.partition("=")[0].strip()
            if compared in names and compared != name:
                only = f"to compare, write `{compared} == …`, or another of {', '.join(OPERATORS)}"
            raise UsageError(f"{schema.path}: line {line}: {file} has no column '{name}'; {only}")
