"""Long tables: one row an event type, as `view`, `heart` and `hide`, and not one row an event with a column for each.

Rows of one user and one item belong to one event as long as no type comes again and no gap between two of them is
longer than `within_ms`: somebody views an item, then likes it. The event has the time of the first of them. Were they
kept apart, each like would have a view without a like beside it.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from data import undo
from data.raw import values
from data.raw.tables import FEEDBACK_COLUMNS, Events

TYPE = "event_type"  # the column of the types, where a log does not call it otherwise
HOUR_MS = 3_600_000


@dataclasses.dataclass
class EventTypes:
    """What the types of a long table say.

    Attributes:
      column: where they stand. of: feedback -> the types that say it. undo: feedback -> the types that take it back.
      left_out: types that are no event with an item.
      within_ms: how long the gaps of one event are at most. counts: rows of each type, of those that have been read.
    """

    column: str
    of: Mapping[str, Sequence[str]]
    undo: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    left_out: Sequence[str] = ()
    within_ms: int = HOUR_MS
    counts: Counter[str] = dataclasses.field(default_factory=Counter)

    def skip(self, rows: pl.DataFrame) -> pl.Series:
        """True for the rows, as the file has them, of types that are left out."""
        if self.column not in rows.columns or rows.schema[self.column].is_nested():
            return pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True)
        types = values.text(rows[self.column], f"column {self.column}")
        self.counts.update(dict(types.drop_nulls().value_counts().rows()))
        return types.is_in(list(self.left_out)).fill_null(False)

    def events(self, rows: pl.DataFrame) -> Events:
        """The events that all rows of any users are made of."""
        saying = self.without_undos(rows)
        kept = joined(saying, within_ms=self.within_ms)
        return Events(kept, undoing=len(rows) - len(saying), joined=len(saying) - len(kept))

    def without_undos(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that say something, and of these when it was taken back (`data.undo`), as the others tell."""
        of_type = {word: name for name, words in self.undo.items() for word in words}
        undoing = rows[TYPE].is_in(list(of_type))
        if not undoing.any():
            return rows
        return undo.matched(
            rows.filter(~undoing), rows.filter(undoing).with_columns(feedback=pl.col(TYPE).replace_strict(of_type))
        )

    def notes(self, table: str) -> list[str]:
        """What became of each type, for people."""
        undo = {name: self.counts[name] for names in self.undo.values() for name in names if self.counts[name]}
        named = {name for names in (*self.of.values(), *self.undo.values()) for name in names}
        plain = {name: count for name, count in self.counts.items() if name not in {*named, *self.left_out, ""}}
        out = {name: self.counts[name] for name in self.left_out if self.counts[name]}
        missing = sorted(named - {*self.counts})
        return [
            f"{table}: {what} {', '.join(f'{name} ({count:,} rows)' for name, count in sorted(types.items()))}"
            for what, types in (("events without feedback:", plain), ("take back:", undo), ("left out:", out))
            if types
        ] + ([f"{table}: no row of {', '.join(missing)}, of which schema.yaml speaks"] if missing else [])


def joined(rows: pl.DataFrame, *, within_ms: int) -> pl.DataFrame:
    """One row an event, in the order of their first rows.

    0/1 columns and lengths of time take the largest, the rest what the first row says that says anything. Where
    feedback was said after the first row, a column SAID + name of data/undo.py has when. What is said again once it was
    taken back begins an event of its own, so that of each event it was taken back once.

    Args: rows, in canonical columns and with TYPE, which the result lacks.
    """
    key, of_item = [TYPE, "user_id", "item_id"], pl.struct("user_id", "item_id")
    rows = rows.with_row_index("_order")
    # Only users who met an item in more than one row are looked at.
    several = rows.select(of_item.is_duplicated()).to_series()
    some = rows.filter(several).sort("user_id", "item_id", "timestamp_ms", maintain_order=True)
    begins = (
        ~pl.struct(key[1:]).eq_missing(pl.struct(key[1:]).shift())
        | (pl.col("timestamp_ms") - pl.col("timestamp_ms").shift() > within_ms)
    ).fill_null(True)
    some = some.with_columns(_stretch=begins.cum_sum())
    undone = [name.removeprefix(undo.UNDONE) for name in some.columns if name.startswith(undo.UNDONE)]
    if undone:
        again = pl.any_horizontal(_said_again(name) for name in undone)
        some = some.with_columns(_stretch=(begins | again.over("_stretch")).cum_sum())
    # How often each type has come in its stretch; where that rises above all before, an event begins.
    some = some.with_columns(_again=pl.int_range(pl.len()).over("_stretch", TYPE))
    some = some.with_columns(_event=pl.col("_again").cum_max().over("_stretch"))
    others = [name for name in some.columns if not name.startswith("_") and name != TYPE]
    largest = [name for name in others if some.schema[name] in (pl.Int8, pl.Int32)]
    first = [name for name in others if name not in largest]
    flags = [name for name in largest if name in FEEDBACK_COLUMNS]
    time = pl.col("timestamp_ms")
    said = {name: time.filter(pl.col(name) == 1).min() for name in flags}
    events = some.group_by("_stretch", "_event", maintain_order=True).agg(
        pl.col("_order").first(),
        pl.col(first).drop_nulls().first(),
        pl.col(largest).max(),
        *(pl.when(moment > time.first()).then(moment).alias(undo.SAID + name) for name, moment in said.items()),
    )
    later = [name for name in (undo.SAID + flag for flag in flags) if events[name].null_count() < len(events)]
    kept = [rows.filter(~several).select("_order", *others), events.select("_order", *others, *later)]
    return pl.concat(kept, how="diagonal").sort("_order").drop("_order")


def _said_again(name: str) -> pl.Expr:
    # Of the rows of one stretch, in order: whether a row says what one before it said that was taken back in between.
    said, never = pl.col(name) == 1, pl.lit(2**63 - 1)
    until = pl.when(said).then(pl.col(undo.UNDONE + name).fill_null(never))
    return (said & (until != until.forward_fill().shift())).fill_null(False)
