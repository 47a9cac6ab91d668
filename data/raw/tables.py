"""The canonical tables: the columns of events, items and users that any log is read into before it becomes timelines.

Of the events only user_id, item_id, timestamp_ms and one kind of feedback are required. Ids are whole numbers or text;
in CSV they are text. An empty 0/1 field means 0, an empty play time or questionnaire answer means unknown.
"""

import time
from dataclasses import dataclass, replace

import polars as pl

from data import clock
from data.feedback import BITS
from data.raw.rows import Column

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
    replace(TIME, name="uploaded_ms"),
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
      notes: what a user should be told about the reading.
    """

    events: pl.DataFrame
    items: pl.DataFrame | None
    users: pl.DataFrame | None
    earlier: pl.DataFrame | None
    rows_read: int
    notes: tuple[str, ...] = ()
    rows_joined: int = 0

    @property
    def attributes(self) -> list[str]:
        """The columns of `items` that models read besides creator, cluster and duration, whatever their names."""
        return [] if self.items is None else [c for c in self.items.columns if c not in _NOT_ATTRIBUTES]

    def with_ids_alike(self) -> "Tables":
        """The same log, users' ids of one type in all tables, and items' ids too: text where any of them are text."""
        events, items, users, earlier, notes = self.events, self.items, self.users, self.earlier, list(self.notes)
        for name, other in (("item_id", items), ("user_id", users)):
            there = [table for table in (events, other, earlier) if table is not None]
            if len({table.schema[name] for table in there}) > 1:
                notes.append(f"{name}: text in one table, numbers in another: taken as text everywhere")
                as_text = pl.col(name).cast(pl.String)
                events = events.with_columns(as_text)
                earlier = None if earlier is None else earlier.with_columns(as_text)
                if name == "item_id":
                    items = None if items is None else items.with_columns(as_text)
                else:
                    users = None if users is None else users.with_columns(as_text)
        return replace(self, events=events, items=items, users=users, earlier=earlier, notes=tuple(notes))


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
