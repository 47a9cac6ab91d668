"""What users said of an event by the end of its part of the split: an unlike takes its like back, a like may come late.

Timelines hold what was said at an event and no later change of it. So an event is stored as if what was taken back of
it had never been said, but only where that happened within the same part of the split, training, validation or test:
nothing that comes later may change what is known when validation or test begins. Of a like on a training day that is
taken back on a test day the timelines know the like alone. Nor do they know a like that was said of an event of a
training day once validation had begun, as in a log that has rows of their own for views and for likes. What a model
reads between the two moments, within one part, lacks what was still said then, or has what was not said yet: the price
of labels that users stand by.

Two steps, as the split is not known where a log is read: `matched` finds when each row's feedback was taken back, while
rows have times of their own; `standing` judges by the split.
"""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

# Before the name of feedback: when it was taken back, in ms, null where it was not; when it was said, null where that
# was at the time of the event.
UNDONE, SAID = "undone.", "said."
_KEY = ["user_id", "item_id"]


class Changed(NamedTuple):
    """Events that lost a kind of feedback, as it was taken back within their part; that kept it, as it was taken back
    in a later one; and that lack it, as it was said in a later one.
    """

    lost: int = 0
    kept: int = 0
    late: int = 0

    def and_those(self, others: "Changed") -> "Changed":
        """The sums of both."""
        return Changed(*map(sum, zip(self, others, strict=True)))


def matched(rows: pl.DataFrame, undos: pl.DataFrame) -> pl.DataFrame:
    """The rows with a column UNDONE + name for each kind of feedback that is taken back.

    Feedback of a row is taken back by the first undoing of this kind, by the same user on the same item, at its time or
    later: of the same moment the saying comes first. One undoing takes back all that was said since the one before.

    Args:
      rows: user_id, item_id, timestamp_ms and 0/1 feedback, in any order; that of the result.
      undos: user_id, item_id, timestamp_ms and `feedback`, the name of what is taken back.
    """
    for name in sorted(set(undos["feedback"]) & set(rows.columns)):
        of_kind = undos.filter(feedback=name).select(*_KEY, undone_ms="timestamp_ms").sort("undone_ms")
        said = rows.select(*_KEY, "timestamp_ms", name).with_row_index("row").filter(pl.col(name) == 1)
        undone = said.sort("timestamp_ms").join_asof(
            of_kind,
            left_on="timestamp_ms",
            right_on="undone_ms",
            by=_KEY,
            strategy="forward",
            check_sortedness=False,  # both have been sorted; with `by` polars cannot check
        )
        moments = pl.repeat(None, len(rows), dtype=pl.Int64, eager=True).scatter(undone["row"], undone["undone_ms"])
        rows = rows.with_columns(moments.alias(UNDONE + name))
    return rows


def standing(
    events: pl.DataFrame, *, valid_start_ms: int, test_start_ms: int
) -> tuple[pl.DataFrame, Mapping[str, Changed]]:
    """The events with the feedback that stood when their part of the split ended, and without UNDONE and SAID columns.

    Args: valid_start_ms, test_start_ms, where validation and test begin.
    Returns: also, by kind of feedback, how many events this has changed.
    """

    def part(time: str) -> pl.Expr:
        return (pl.col(time) >= valid_start_ms).cast(pl.Int8) + (pl.col(time) >= test_start_ms).cast(pl.Int8)

    names = sorted({column.partition(".")[2] for column in events.columns if column.startswith((UNDONE, SAID))})
    when = {kind + name: pl.lit(None, pl.Int64) for name in names for kind in (UNDONE, SAID)}
    events = events.with_columns(**{column: empty for column, empty in when.items() if column not in events.columns})
    changed: dict[str, Changed] = {}
    for name in names:
        late, kept = ((part(kind + name) > part("timestamp_ms")).fill_null(False) for kind in (SAID, UNDONE))
        of = events.select(late=late, kept=kept & ~late, lost=pl.col(UNDONE + name).is_not_null() & ~kept & ~late)
        changed[name] = Changed(**{column.name: int(column.sum()) for column in of})
        stands = pl.when(~(of["lost"] | of["late"])).then(name).otherwise(0)
        events = events.with_columns(stands.cast(events.schema[name]).alias(name))
    return events.drop(list(when)), changed
