"""Finds the tables of a folder that nobody has described, and looks at their first rows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from data.first_look.columns import Look, look
from data.first_look.first_schema import tables_of
from data.raw import files, sources, values
from data.raw.schema.said import TABLES, Schema
from data.raw.sources import Source
from runtime.errors import DataError

FILES = 20  # of a table that are looked into


@dataclasses.dataclass(frozen=True)
class Looked:
    """A table whose first rows have been looked at. path: where it lies in the folder, "" for its usual place."""

    source: Source
    path: str
    looks: tuple[Look, ...]

    def lines(self, table: str) -> list[str]:
        """What its columns hold, for people."""
        what = f"{len(self.source.parts):,} files" if len(self.source.parts) > 1 else "one file"
        found = [
            (look.name or "''", look.kind, f"{look.empty:.0%}", f"{look.distinct:,}", look.example)
            for look in self.looks
        ]
        rows = [("column", "holds", "empty", "values", "such as"), *found]
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        return [f"{table}: {self.source.path}, {what}"] + [
            "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]]).rstrip()
            for row in rows
        ]


def looked_at(folder: Path, said: Schema, *, rows: int) -> dict[str, Looked]:
    """Table -> its first rows: of the tables that lie where they should, or else of those that have their columns.

    Errors: DataError for a folder without a table of events, and for tables that cannot be read.
    """
    in_place = sources.tables(folder, {name: said.of(name).path for name in TABLES})
    found = {name: (source, "") for name, source in in_place.items()}
    if "events" not in found:
        others = _others(folder)
        named = tables_of({source.path: files.header(source) for source in others})
        by_path = {source.path: source for source in others}
        found = {name: (by_path[path], path.name) for name, path in named.items()} | found
    if "events" not in found:
        names = [source.name for source in others] or [entry.name for entry in sources.entries(folder)]
        there = f", only {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else ""
        raise DataError(
            f"{folder}: no table with a user and an item in each row{there}; call it events.csv, or say in schema.yaml "
            "where it lies and what its columns are: `events: {path: …, user_id: …, item_id: …, timestamp_ms: …}`"
        )
    return {name: Looked(source, path, _first(source, rows)) for name, (source, path) in found.items()}


def _first(source: Source, rows: int) -> tuple[Look, ...]:
    """At so many rows of a table, in equal shares the first of each of its files, or of FILES spread over them.

    What a log has from some day on, such as a way to say no, stands in its later files alone.
    """
    opened = files.opened(source)
    some = np.unique(np.linspace(0, len(source.parts) - 1, FILES).round().astype(int)).tolist()
    frames: list[pl.DataFrame] = []
    taken = 0
    for place, number in enumerate(some):
        # What is short of its share in a small file falls to those after it.
        most = taken + -(-(rows - taken) // (len(some) - place))
        one = files.Opened(dataclasses.replace(source, parts=(source.parts[number],)), (opened.headers[number],))
        for batch in one.batches(opened.names):
            frames.append(batch.frame.head(most - taken))
            taken += len(frames[-1])
            if taken >= most:
                break
    if not taken:
        raise DataError(f"{source.path}: no rows; give a file that holds some")
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    return tuple(look(_stacked(name, frames, source.path)) for name in names)


def _stacked(name: str, frames: Sequence[pl.DataFrame], where: Path) -> pl.Series:
    cells = [frame[name] if name in frame.columns else pl.repeat(None, len(frame), eager=True) for frame in frames]
    try:
        return values.stacked(cells, f"{where}: column {name}").rename(name)
    except DataError:
        # Types that nothing holds: it is said where all of the column is read, if it is.
        return next(some for some in cells if some.dtype != pl.Null).rename(name)


def _others(folder: Path) -> Sequence[Source]:
    found = []
    for entry in sources.entries(folder):
        if not (entry.is_dir() or sources.ending(entry)):
            continue
        try:
            source = sources.of(entry)
            files.header(source)
        except DataError:
            continue  # no table
        found.append(source)
    return found
