"""The canonical tables: what any log becomes before it is made into timelines, and how to read one's own.

A folder holds `events.parquet` and, if there are any, `items.parquet` and `users.parquet` (or the same names in .csv).
Of the events only user_id, item_id, timestamp_ms and one kind of feedback are required. Ids are whole numbers or text;
in CSV they are text. An empty 0/1 field means 0, an empty play time or questionnaire answer means unknown.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from data.feedback import BITS
from data.quarantine import Quarantine
from data.rows import Column, header, parquet_schema, read
from runtime.errors import DataError

YEAR_2000_MS, YEAR_2100_MS = 946_684_800_000, 4_102_444_800_000
FEEDBACK_COLUMNS = tuple(name for name in BITS if name != "skip")


# Kinds of column, to be given a name.
TIME = Column(
    "",
    pl.Int64,
    low=YEAR_2000_MS,
    high=YEAR_2100_MS - 1,
    remedy="times are milliseconds since 1970 (seconds times 1000), from 2000 to 2100",
)
LENGTH = Column("", pl.Int32, low=0, high=2**31 - 1, remedy="lengths of time are milliseconds, at most 24 days")
FLAG = Column("", pl.Int8, low=0, high=1, remedy="0 and 1 are the only answers")
# -1 stands for "no item" in a served model, so item ids that are numbers start at 0.
ITEM_ID = Column("item_id", required=True, nullable=False, low=0, remedy="number items from 0, or use text")
USER_ID = Column("user_id", required=True, nullable=False)

EVENTS = (
    USER_ID,
    ITEM_ID,
    replace(TIME, name="timestamp_ms", required=True, nullable=False),
    Column("surface"),
    replace(LENGTH, name="play_ms"),
    replace(LENGTH, name="duration_ms"),
    *(replace(FLAG, name=name) for name in FEEDBACK_COLUMNS),
    replace(FLAG, name="randomly_exposed"),
    replace(FLAG, name="questionnaire_shown"),
    replace(FLAG, name="questionnaire_answer"),
)
ITEMS = (
    replace(ITEM_ID, unique=True),
    Column("creator_id"),
    Column("cluster_id"),
    replace(LENGTH, name="duration_ms"),
    replace(TIME, name="uploaded_ms"),
)
USERS = (replace(USER_ID, unique=True),)
_NOT_ATTRIBUTES = {column.name for column in ITEMS}


@dataclass(frozen=True)
class Tables:
    """A log in canonical form.

    Attributes:
      events: good rows in the order they were logged; only the columns that the log has.
      items, users: one row each, None where the log has no such table. Other columns of `items` are categories.
      earlier: events older than the log, of unknown time and play time: user_id, item_id and 0/1 feedback, in order.
      rows_read: rows of events in the files, good and bad.
      notes: what a user should be told about the reading.
    """

    events: pl.DataFrame
    items: pl.DataFrame | None
    users: pl.DataFrame | None
    earlier: pl.DataFrame | None
    rows_read: int
    notes: tuple[str, ...] = ()

    @property
    def attributes(self) -> list[str]:
        """The categorical columns of `items`, besides creator and cluster."""
        return [] if self.items is None else [c for c in self.items.columns if c not in _NOT_ATTRIBUTES]


def source_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of the canonical tables in `folder`: events first, then items and users where they are."""
    folder = Path(folder)
    found = []
    for name in ("events", "items", "users"):
        candidates = [folder / f"{name}.parquet", folder / f"{name}.csv"]
        there = [path for path in candidates if path.is_file()]
        if len(there) > 1:
            raise DataError(f"{there[0]} and {there[1]}: both are there; keep one of them")
        found += there
        if not found:
            raise DataError(f"{candidates[0]}: no such file; check --data, or write your events there")
    return found


def read_tables(folder: str | os.PathLike[str], *, quarantine: Quarantine) -> Tables:
    """Reads and checks the canonical tables in `folder`; errors as `data.rows.read`."""
    files = {path.stem: path for path in source_files(folder)}
    items = users = None
    notes: list[str] = []
    if "items" in files:
        extra = _attribute_columns(files["items"], ITEMS, notes)
        items, _ = read(files["items"], (*ITEMS, *extra), quarantine=quarantine)
    if "users" in files:
        extra = _attribute_columns(files["users"], USERS, notes)
        users, _ = read(files["users"], (*USERS, *extra), quarantine=quarantine)
    names = header(files["events"])
    if not {*FEEDBACK_COLUMNS, "play_ms"} & set(names):
        raise DataError(
            f"{files['events']}: no feedback column, only {', '.join(names)}; "
            f"add one of play_ms, {', '.join(FEEDBACK_COLUMNS)}"
        )
    known = {} if items is None else {"item_id": (items["item_id"], files["items"].name)}
    events, rows_read = read(files["events"], EVENTS, quarantine=quarantine, known=known)
    return Tables(events, items, users, None, rows_read, tuple(notes))


def merge_relogged(events: pl.DataFrame) -> pl.DataFrame:
    """One event for each (user, item, time): an app that sends an event again repeats these three exactly.

    0/1 fields are OR-ed, play and item durations take the largest, the rest and the place in order are the first row's.
    """
    key = ["user_id", "item_id", "timestamp_ms"]
    again = pl.struct(key).is_duplicated()
    events = events.with_row_index("_order")
    largest = [c for c, dtype in events.schema.items() if dtype in (pl.Int8, pl.Int32)]
    first = [c for c in events.columns if c not in {*key, *largest}]
    merged = events.filter(again).group_by(key, maintain_order=True).agg(pl.col(first).first(), pl.col(largest).max())
    kept = pl.concat([events.filter(~again), merged.select(events.columns)])
    return kept.sort("_order").drop("_order")


def _attribute_columns(path: Path, known: tuple[Column, ...], notes: list[str]) -> list[Column]:
    # Any further column of whole numbers or text is a category. Others are left out, and it is said.
    names = [name for name in header(path) if name not in {column.name for column in known}]
    if path.suffix == ".csv":
        return [Column(name) for name in names]
    schema = parquet_schema(path)
    columns = []
    for name in names:
        kind = schema.field(name).type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_dictionary(kind):
            columns.append(Column(name))
        else:
            notes.append(f"{path.name}: column {name} is {kind}, no category: left out")
    return columns
