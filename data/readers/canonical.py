"""One's own logs: canonical tables, with the columns that data/raw/tables.py names, in any format that data/raw reads.

A folder holds `events` and, if there are any, `items` and `users`: each a file, as events.csv, or a folder of files.
Further columns of the items' table are categories, several of them, numbers or embeddings, by their type as
data/raw/attributes.py has it; those of the users' table categories or numbers. A category for which nearly every row
has a value of its own is left out: such a column, of names or addresses, would be a second id.
"""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data.raw import sources
from data.raw.sources import Source, ending
from data.readers import Dataset
from runtime.errors import DataError

_FEW = 20  # as many values are a category, however short the table

if TYPE_CHECKING:
    import polars as pl

    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column
    from data.raw.tables import Tables


def source_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of the canonical tables in `folder`: those of events first, then of items and users where they are."""
    return [part.path for source in _sources(folder).values() for part in source.parts]


def read_tables(folder: str | os.PathLike[str], *, quarantine: "Quarantine") -> "Tables":
    """Reads and checks the canonical tables in `folder`; errors as `data.raw.rows.read`."""
    from data.raw.files import header
    from data.raw.names import asked
    from data.raw.rows import read
    from data.raw.tables import EVENTS, FEEDBACK_COLUMNS, ITEMS, USERS, Tables

    of_name = _sources(folder)
    notes = [
        f"{source.name}: {len(source.others):,} files left out, as {source.others[0].name}: their names end otherwise"
        for source in of_name.values()
        if source.others
    ]
    tables = {}
    for name, columns in (("items", ITEMS), ("users", USERS)):
        if name in of_name:
            source = of_name[name]
            table, _ = read(source, columns, quarantine=quarantine, further=partial(_attribute, source.name, notes))
            for column in [column for column in table.columns if column not in {known.name for known in columns}]:
                why = _why_left_out(table[column], of_users=name == "users")
                if why:
                    quarantine.ignore(source.path, column)
                    notes.append(f"{source.name}: column {column} {why}")
                    table = table.drop(column)
            tables[name] = table
    items, source = tables.get("items"), of_name["events"]
    names = header(source)
    if not {*FEEDBACK_COLUMNS, "play_ms"} & set(names):
        raise DataError(
            f"{source.path}: no feedback column, only {', '.join(asked(names, {*FEEDBACK_COLUMNS, 'play_ms'}))}; "
            f"add one of play_ms, {', '.join(FEEDBACK_COLUMNS)}"
        )
    known = {} if items is None else {"item_id": (items["item_id"], of_name["items"].name)}
    events, rows_read = read(source, EVENTS, quarantine=quarantine, known=known)
    return Tables(events, items, tables.get("users"), None, rows_read, tuple(notes))


def _sources(folder: str | os.PathLike[str]) -> dict[str, Source]:
    folder = Path(folder)
    found = {name: sources.find(folder, name) for name in ("events", "items", "users")}
    there = {name: source for name, source in found.items() if source}
    if "events" not in there:
        if folder.is_file():
            raise DataError(f"{folder}: a file; give the folder that it lies in, and call it events.csv, say")
        others = [entry.name for entry in sorted(folder.iterdir()) if ending(entry)] if folder.is_dir() else []
        lies = f"; there is {', '.join(others[:3])}{', …' if len(others) > 3 else ''}" if others else ""
        raise DataError(
            f"{folder / 'events.parquet'}: no such file; check --data, or write your events there, as .parquet, .csv "
            f"or .jsonl, in one file or in a folder called events{lies}"
        )
    return there


def _why_left_out(column: "pl.Series", *, of_users: bool) -> str:
    from data.raw import attributes

    if attributes.is_number(column.dtype):
        return ""
    if attributes.is_embedding(column.dtype) or attributes.are_several(column.dtype):
        if of_users:
            return "holds lists, which are read of items alone: left out"
        if attributes.is_embedding(column.dtype):
            return ""
        column = column.explode()
    column = column.drop_nulls()
    distinct = column.n_unique()
    return "has a value of its own for most rows: no category" if _FEW < distinct > len(column) / 2 else ""


def _attribute(table: str, notes: list[str], cells: "pl.Series") -> "Column | None":
    # Any further column of which something can be made. Others are left out, and it is said.
    from data.raw import attributes
    from data.raw.rows import Column

    if attributes.may_be_attribute(cells.dtype):
        return Column(cells.name, category=True)
    notes.append(f"{table}: column {cells.name} is {cells.dtype}, no category: left out")
    return None


DATASETS = (Dataset("tables", "your own logs as canonical tables", source_files, read_tables),)
