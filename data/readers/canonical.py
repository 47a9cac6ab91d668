"""One's own logs: canonical tables in Parquet or CSV, with the columns that data/raw/tables.py names.

A folder holds `events.parquet` and, if there are any, `items.parquet` and `users.parquet` (or the same names in .csv).
Further columns of the items' table are categories, several of them, numbers or embeddings, by their type as
data/raw/attributes.py has it; those of the users' table categories or numbers. A category for which nearly every row
has a value of its own is left out: such a column, of names or addresses, would be a second id.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.readers import Dataset
from runtime.errors import DataError

_FEW = 20  # as many values are a category, however short the table

if TYPE_CHECKING:
    import polars as pl

    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column
    from data.raw.tables import Tables


def source_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of the canonical tables in `folder`: events first, then items and users where they are."""
    files: list[Path] = []
    for name in ("events", "items", "users"):
        candidates = [Path(folder) / f"{name}.parquet", Path(folder) / f"{name}.csv"]
        there = [path for path in candidates if path.is_file()]
        if len(there) > 1:
            raise DataError(f"{there[0]} and {there[1]}: both are there; keep one of them")
        files += there
        if not files:
            raise DataError(f"{candidates[0]}: no such file; check --data, or write your events there")
    return files


def read_tables(folder: str | os.PathLike[str], *, quarantine: "Quarantine") -> "Tables":
    """Reads and checks the canonical tables in `folder`; errors as `data.raw.rows.read`."""
    from data.raw.files import header
    from data.raw.names import asked
    from data.raw.rows import read
    from data.raw.tables import EVENTS, FEEDBACK_COLUMNS, ITEMS, USERS, Tables

    files = {path.stem: path for path in source_files(folder)}
    notes: list[str] = []
    tables = {}
    for name, columns in (("items", ITEMS), ("users", USERS)):
        if name in files:
            attributes = _attribute_columns(files[name], columns, notes)
            table, _ = read(files[name], (*columns, *attributes), quarantine=quarantine)
            for column in attributes:
                why = _why_left_out(table[column.name], of_users=name == "users")
                if why:
                    quarantine.ignore(files[name], column.name)
                    notes.append(f"{files[name].name}: column {column.name} {why}")
                    table = table.drop(column.name)
            tables[name] = table
    items = tables.get("items")
    names = header(files["events"])
    if not {*FEEDBACK_COLUMNS, "play_ms"} & set(names):
        raise DataError(
            f"{files['events']}: no feedback column, only {', '.join(asked(names, {*FEEDBACK_COLUMNS, 'play_ms'}))}; "
            f"add one of play_ms, {', '.join(FEEDBACK_COLUMNS)}"
        )
    known = {} if items is None else {"item_id": (items["item_id"], files["items"].name)}
    events, rows_read = read(files["events"], EVENTS, quarantine=quarantine, known=known)
    return Tables(events, items, tables.get("users"), None, rows_read, tuple(notes))


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


def _attribute_columns(path: Path, known: Sequence["Column"], notes: list[str]) -> list["Column"]:
    # Any further column of which something can be made. Others are left out, and it is said.
    import polars as pl
    import pyarrow as pa

    from data.raw import attributes
    from data.raw.files import header, parquet_schema
    from data.raw.rows import Column

    names = [name for name in header(path) if name not in {column.name for column in known}]
    if path.suffix == ".csv":
        return [Column(name, category=True) for name in names]
    schema = parquet_schema(path)
    columns = []
    for name in names:
        dtype = pl.Series(pl.from_arrow(pa.array([], schema.field(name).type))).dtype
        if attributes.may_be_attribute(dtype):
            columns.append(Column(name, category=True))
        else:
            notes.append(f"{path.name}: column {name} is {schema.field(name).type}, no category: left out")
    return columns


DATASETS = (Dataset("tables", "your own logs as canonical tables", source_files, read_tables),)
