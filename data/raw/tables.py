"""The canonical tables: the columns of events, items and users that any log is read into before it becomes timelines.

Of the events only user_id, item_id, timestamp_ms and one kind of feedback are required. Ids are whole numbers or text;
in CSV they are text. An empty 0/1 field means 0, an empty play time or questionnaire answer unknown; of an empty
long_view the play time tells.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from data import clock
from data.feedback import BITS
from data.raw.rows import Column, stacked
from runtime.errors import DataError

YEAR_2000_MS = 946_684_800_000
# When this was started, and a day more for clocks that are ahead and for local times that are taken for UTC.
LATEST_MS = time.time_ns() // 1_000_000 + 86_400_000
FEEDBACK_COLUMNS = tuple(name for name in BITS if name != "skip")


# Kinds of column, to be given a name.
TIME = Column(
    "",
    pl.Int64,
    low=YEAR_2000_MS,
    high=LATEST_MS,
    remedy="times are milliseconds since 1970 (seconds times 1000), from 2000 to now",
    show=clock.show,
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
    Column("creator_id", several=True),
    Column("cluster_id", several=True),
    Column("title", pl.String),  # for people: no model reads it
    replace(LENGTH, name="duration_ms"),
    # Since when an item is there: long before the log is always, and a shop plans what it sells next month.
    replace(TIME, name="uploaded_ms", low=None, high=None),
)
USERS = (replace(USER_ID, unique=True),)
_NOT_ATTRIBUTES = {column.name for column in ITEMS}


@dataclass(frozen=True)
class Tables:
    """A log in canonical form.

    Attributes:
      events: good rows in the order they were logged; only the columns that the log has. Where users took feedback
        back, columns that say when, as `data.undo` has them.
      items, users: one row each, None where the log has no such table. Other columns of `items` are what their
        type says, as data/raw/attributes.py has it, and so are creator_id and cluster_id where they are lists.
      earlier: events older than the log, of unknown time and play time: user_id, item_id and 0/1 feedback, in order.
      rows_read: rows of events in the files, good and bad. rows_joined: of these, how many are part of an event that
        another row began, as in tables of one row an event type.
      notes: what a user should be told about the reading. path: of the events, for messages.
    """

    events: pl.DataFrame
    items: pl.DataFrame | None
    users: pl.DataFrame | None
    earlier: pl.DataFrame | None
    rows_read: int
    notes: tuple[str, ...] = ()
    rows_joined: int = 0
    path: Path | None = None

    def log(self) -> "Log":
        """The same as a log to go through, all of it at once."""
        return Log(
            [self.events],
            partial(Events, joined=self.rows_joined),
            self.items,
            self.users,
            lambda: self.earlier,
            lambda: (self.rows_read, self.notes),
            path=self.path,
            is_read=True,
        )


class Events(NamedTuple):
    """Events of some users, in the order of their first rows, and what became of the rows they are made of.

    undoing: rows that are no events, as they take something back. joined: rows of an event that another row began.
    """

    frame: pl.DataFrame
    undoing: int = 0
    joined: int = 0


@dataclass(frozen=True)
class Log:
    """A log to go through once, some rows at a time, so that it need not fit into memory.

    Attributes:
      rows: good rows in the order they were logged, with those columns of events that their file has.
      of_users: all rows of any users, in order, with the columns of any of them -> their events. Another process may
        be asked, so it can be pickled.
      items, users: as of `Tables`. earlier: once all rows are through, the earlier events.
      told: after that, how many rows the files hold, good and bad, and what a user should be told.
      expected: how many rows there are to go through, where the files say. path: of the events, for messages.
      is_read: whether all rows are in memory already.
    """

    rows: Iterable[pl.DataFrame]
    of_users: Callable[[pl.DataFrame], Events]
    items: pl.DataFrame | None
    users: pl.DataFrame | None
    earlier: Callable[[], pl.DataFrame | None]
    told: Callable[[], tuple[int, tuple[str, ...]]]
    expected: int | None = None
    path: Path | None = None
    is_read: bool = False

    def whole(self) -> Tables:
        """All of it in memory."""
        events = self.of_users(stacked(list(self.rows)))
        if events.frame.is_empty():
            raise self.without_events()
        earlier = self.earlier()
        rows_read, notes = self.told()
        return Tables(events.frame, self.items, self.users, earlier, rows_read - events.undoing, notes, events.joined)

    def without_events(self) -> DataError:
        """What is wrong where no row is an event."""
        return DataError(f"{self.path or 'the log'}: every row takes something back; give a log of what was said too")


def attributes(items: pl.DataFrame | None) -> list[str]:
    """The columns of an items' table that models read besides creator, cluster and duration, whatever their names."""
    return [] if items is None else [name for name in items.columns if name not in _NOT_ATTRIBUTES]


def merge_relogged(events: pl.DataFrame, among: pl.Series | None = None) -> pl.DataFrame:
    """One event for each (user, item, time): an app that sends an event again repeats these three exactly.

    0/1 fields are OR-ed, play and item durations take the largest, the rest and the place in order are the first row's.

    Args: among, True for all rows that may be such, where that is known; it is no more than a matter of time.
    """
    key = ["user_id", "item_id", "timestamp_ms"]
    rows = events.with_row_index("_order")
    again = rows if among is None else rows.filter(among)
    again = again.filter(pl.struct(key).is_duplicated())
    if again.is_empty():
        return events
    largest = [c for c, dtype in rows.schema.items() if dtype in (pl.Int8, pl.Int32)]
    first = [c for c in rows.columns if c not in {*key, *largest}]
    merged = again.group_by(key, maintain_order=True).agg(pl.col(first).first(), pl.col(largest).max())
    once = pl.repeat(True, len(rows), eager=True).scatter(again["_order"], False)
    return pl.concat([rows.filter(once), merged.select(rows.columns)]).sort("_order").drop("_order")
