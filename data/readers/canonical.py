"""One's own logs: canonical tables in Parquet or CSV, with the columns that data/raw/tables.py names.

A folder holds `events.parquet` and, if there are any, `items.parquet` and `users.parquet` (or the same names in .csv).
Further columns of whole numbers or text in the items' or users' table are categories, unless nearly every row has a
value of its own: such a column, of names or addresses, would be a second id.
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
            for column in [column.name for column in attributes if _is_near_unique(table[column.name])]:
                quarantine.ignore(files[name], column)
                notes.append(f"{files[name].name}: column {column} has a value of its own for most rows: no category")
                table = table.drop(column)
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


def _is_near_unique(values: "pl.Series") -> bool:
    distinct = values.drop_nulls().n_unique()
    return distinct > _FEW and 2 * distinct > len(values) - values.null_count()


def _attribute_columns(path: Path, known: Sequence["Column"], notes: list[str]) -> list["Column"]:
    # Any further column of whole numbers or text is a category. Others are left out, and it is said.
    import pyarrow as pa

    from data.raw.files import header, parquet_schema
    from data.raw.rows import Column

    names = [name for name in header(path) if name not in {column.name for column in known}]
    if path.suffix == ".csv":
        return [Column(name, category=True) for name in names]
    schema = parquet_schema(path)
    columns = []
    for name in names:
        kind = schema.field(name).type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_dictionary(kind):
            columns.append(Column(name, category=True))
        else:
            notes.append(f"{path.name}: column {name} is {kind}, no category: left out")
    return columns


DATASETS = (Dataset("tables", "your own logs as canonical tables", source_files, read_tables),)
