"""Reads one's own tables as their schema says, events some rows at a time, into canonical ones."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from data.raw import attributes, files, rows, sources, values
from data.raw.names import asked
from data.raw.quarantine import Quarantine
from data.raw.rows import Column, Known, Pieces
from data.raw.schema import rules, yaml_file
from data.raw.schema.said import TABLES, Schema, TableSchema, check, columns_of
from data.raw.sources import Source, ending
from data.raw.tables import FEEDBACK_COLUMNS, Events, Log
from data.raw.times import Moments, are_dates
from runtime.errors import DataError, UsageError

_FEW = 20  # as many values are a category, however short the table


def source_files(folder: str | os.PathLike[str], *, schema: str = "") -> list[Path]:
    """The files that `read_tables` reads: those of events first, then of items and users, and schema.yaml.

    Args: schema, the file that says how the log's columns become Heed's; "": schema.yaml in `folder`, if it is there.
    """
    said = yaml_file.read(yaml_file.find(Path(folder), schema))
    parts = [part.path for source in _sources(Path(folder), said).values() for part in source.parts]
    return [*parts, *([said.path] if said.path else [])]


def read_tables(folder: str | os.PathLike[str], *, quarantine: Quarantine, schema: str = "") -> Log:
    """Reads and checks the tables in `folder`, with a schema as in `source_files`.

    Errors: as `data.raw.rows.read`, those of events while one goes through them; UsageError for a schema that is no
    YAML or not true of the tables.
    """
    said = yaml_file.read(yaml_file.find(Path(folder), schema))
    of_name = _sources(Path(folder), said)
    log = _Log(of_name, said, {name: columns_of(name, said.of(name)) for name in of_name}, quarantine, [])
    items = log.read("items") if "items" in of_name else None
    users = log.read("users") if "users" in of_name else None
    known = {} if items is None else {"item_id": (items["item_id"], of_name["items"].name, log.aside["item_id"])}
    events, expected = log.opened("events", known)
    types, source = said.of("events").event_types, of_name["events"]

    def told() -> tuple[int, tuple[str, ...]]:
        log.finish("events")
        return events.count, (*log.notes, *(types.notes(source.name) if types else ()))

    of_users = types.events if types else Events
    rows_of = (_with_long_views(rows, said.of("events"), items) for rows in events)
    return Log(rows_of, of_users, items, users, lambda: None, told, expected, path=source.path)


@dataclasses.dataclass
class _Log:
    """Tables where they lie, what is said of them, and what there is to tell about reading them."""

    sources: Mapping[str, Source]
    schema: Schema
    columns: Mapping[str, Sequence[Column]]
    quarantine: Quarantine
    notes: list[str]
    aside: dict[str, pl.Series] = dataclasses.field(default_factory=dict)  # of rows of items and users: their ids
    numbers: list[tuple[str, str, rules.Numbers]] = dataclasses.field(default_factory=list)  # of table and column

    def read(self, name: str) -> pl.DataFrame:
        """The table of this name, which is not that of the events."""
        pieces, _ = self.opened(name, {})
        table, _ = pieces.whole()
        self.aside |= pieces.aside
        self.finish(name)
        return self._without_names(name, table)

    def opened(self, name: str, known: Known) -> tuple[Pieces, int | None]:
        """The table of this name, to go through, and how many rows it has, where its files say."""
        source, said = self.sources[name], self.schema.of(name)
        if source.others:
            such = f"{len(source.others):,} files such as {source.others[0].name}"
            self.notes.append(f"{source.name}: {such} are left out: empty, or no table by their names")
        columns = self.columns[name]
        opened = files.opened(source)
        if opened.format.is_whole:
            check(self.schema, name, source.name, opened.names)
        try:
            rows.check_columns(source.path, opened.names, columns)
        except DataError as error:
            begins = "" if self.schema.path else ": python -m data.inspect begins one"
            raise DataError(f"{error}, or say in schema.yaml which it is{begins}") from None
        if name == "events":
            _check_feedback(opened.source.path, opened.names, columns)
            if said.played is not None:
                self._check_played(opened.names)
        pieces = rows.pieces(
            source,
            columns,
            quarantine=self.quarantine,
            known=known,
            further=None if name == "events" else partial(self._attribute, name, opened.names),
            skip=said.event_types.skip if said.event_types else None,
            empty=self.schema.empty,
            decimal=self.schema.decimal,
        )
        return pieces, opened.num_rows()

    def _check_played(self, names: Sequence[str]) -> None:
        # Of the events' columns `names`, and of the items, which have been read before.
        there = {column.name for column in self.columns["events"] if column.in_file in names}
        if "items" in self.sources:
            there |= {name for of in self.quarantine.columns[self.sources["items"].name].used.values() for name in of}
        if missing := [name for name in ("play_ms", "duration_ms") if name not in there]:
            raise UsageError(
                f"{self.schema.path}: long_view: {{played: …}} is a share of duration_ms in play_ms, and there is no "
                f"{missing[0]}; say which column it is"
            )

    def finish(self, name: str) -> None:
        """Checks what is said of a table that has been gone through, and notes what there is to tell of it."""
        source = self.sources[name]
        check(self.schema, name, source.name, self.quarantine.columns[source.name].all)
        for column in self.columns[name]:
            if isinstance(column.convert, Moments) and column.convert.without_zone:
                of_rows = f"{column.convert.without_zone:,} times of {column.in_file} name no zone"
                self.notes.append(f"{source.name}: {of_rows}: taken as UTC; schema.yaml can say another zone")
            if isinstance(column.convert, rules.Watched) and (told := column.convert.never()):
                self.notes.append(f"{source.name}: {told}")
        for table, column_name, numbers in self.numbers:
            if table == name and (told := numbers.unread()):
                self.notes.append(f"{source.name}: column {column_name}: {told}")

    def _attribute(self, table: str, names: Sequence[str], cells: pl.Series) -> Column | None:
        # Any further column of which something can be made. Others are left out, and it is said.
        name, said, file = cells.name, self.schema.of(table), self.sources[table].name
        if name in (said.numbers or ()):
            self.numbers.append((table, name, numbers := rules.Numbers(self.schema.decimal)))
            return Column(name, category=True, convert=numbers)
        if name in said.separators:
            return Column(name, category=True, convert=partial(rules.split, separator=said.separators[name]))
        if name in (said.categories or ()) and (cells.dtype == pl.String or cells.dtype.is_float()):
            return Column(name, pl.String, category=True)
        if name not in (said.categories or ()) and are_dates(cells):
            # As a category it would say of what day an item is, and days of the test no model has seen.
            uploads = table == "items" and not any(
                c.name == "uploaded_ms" and c.in_file in names for c in self.columns[table]
            )
            line = f"; if an item is there since then, {self.schema.name} says `uploaded_ms: {name}`" if uploads else ""
            self.notes.append(f"{file}: column {name} holds dates, no category: left out{line}")
            return None
        if attributes.may_be_attribute(cells.dtype):
            return Column(name, category=True)
        self.notes.append(f"{file}: column {name} is {cells.dtype}, no category: left out")
        return None

    def _without_names(self, name: str, table: pl.DataFrame) -> pl.DataFrame:
        source, said = self.sources[name], self.schema.of(name)
        for column in self.quarantine.columns[source.name].categories.copy():
            why = _why_left_out(table[column], said, of_users=name == "users")
            if why:
                self.quarantine.ignore(source.name, column)
                self.notes.append(f"{source.name}: column {column} {why}")
                table = table.drop(column)
        return table


def _with_long_views(events: pl.DataFrame, said: TableSchema, items: pl.DataFrame | None) -> pl.DataFrame:
    """The events with `long_view` where the schema says what one is: by its rules, and by the share that it names.

    By that, where play_ms >= played · duration_ms, which is that of the item's row first. What neither says is none; a
    log whose schema says nothing has its cells, empty ones too.
    """
    played = said.played
    by_rule = any(isinstance(column.convert, rules.Watched) for column in said.columns.get("long_view", ()))
    if played is None:
        empty_too = "long_view" not in events.columns or not by_rule
        return events if empty_too else events.with_columns(pl.col("long_view").fill_null(0))
    unknown = pl.Series([None] * len(events), dtype=pl.Int32)
    play_ms, duration_ms = (events[name] if name in events.columns else unknown for name in ("play_ms", "duration_ms"))
    if items is not None and "duration_ms" in items.columns:
        item, listed = values.alike(events["item_id"], items["item_id"])
        known = pl.DataFrame({"item": listed, "ms": items["duration_ms"]}).filter(pl.col("ms") > 0)
        of_items = pl.DataFrame({"item": item}).join(known, on="item", how="left", maintain_order="left")["ms"]
        duration_ms = of_items.fill_null(duration_ms)
    # Half a microsecond is less than any length of time, and more than rounding makes of a product.
    is_long = (play_ms >= duration_ms * played - 0.0005) & (duration_ms > 0)
    by_rules = [events["long_view"]] if "long_view" in events.columns else []
    return events.with_columns(long_view=pl.max_horizontal(is_long.cast(pl.Int8), *by_rules).fill_null(0))


def _check_feedback(path: Path, names: Sequence[str], columns: Sequence[Column]) -> None:
    kinds = {*FEEDBACK_COLUMNS, "play_ms"}
    if not any(column.name in kinds and column.in_file in names for column in columns):
        raise DataError(
            f"{path}: no feedback column, only {', '.join(asked(names, kinds))}; add one of play_ms, "
            f"{', '.join(FEEDBACK_COLUMNS)}, or say in schema.yaml what they are made of"
        )


def _sources(folder: Path, said: Schema) -> dict[str, Source]:
    there = sources.tables(folder, {name: said.of(name).path for name in TABLES})
    unfound = next((name for name in said.tables if name not in there), None)
    if unfound and "events" in there:
        raise UsageError(f"{said.path}: speaks of {unfound}, but there is no such table in {folder}; check its path")
    if "events" not in there:
        if folder.is_file():
            raise DataError(f"{folder}: a file; give the folder that it lies in, and call it events.csv, say")
        shown = sources.entries(folder)
        others = [entry.name for entry in shown if ending(entry)] or [entry.name for entry in shown]
        lies = f"; there is {', '.join(others[:3])}{', …' if len(others) > 3 else ''}" if others else ""
        raise DataError(
            f"{folder / 'events.parquet'}: no such file; check --data, or write your events there, as .parquet, .csv "
            f"or .jsonl, in one file or in a folder called events{lies}"
        )
    return there


def _why_left_out(column: pl.Series, said: TableSchema, *, of_users: bool) -> str:
    if attributes.is_number(column.dtype):
        listed = said.numbers
        return "" if listed is None or column.name in listed else "is none of the numbers of schema.yaml"
    if attributes.is_embedding(column.dtype) or attributes.are_several(column.dtype):
        if of_users:
            return "holds lists, which are read of items alone: left out"
        if attributes.is_embedding(column.dtype):
            return ""
    if said.categories is not None:
        return "" if column.name in said.categories else "is none of the categories of schema.yaml"
    column = column.explode() if attributes.are_several(column.dtype) else column
    column = column.drop_nulls()
    distinct = column.n_unique()
    return "has a value of its own for most rows: no category" if _FEW < distinct > len(column) / 2 else ""
