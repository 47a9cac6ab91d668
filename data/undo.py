"""Takes back what users took back: an unlike its like, an undislike its dislike.

Timelines hold what was said at an event and no later change of it. So an event is stored as if what was taken back of
it had never been said, but only where that happened within the same part of the split, training, validation or test:
nothing that comes later may change what is known when validation or test begins. Of a like on a training day that is
taken back on a test day the timelines know the like alone. What a model reads between the two moments, within one
part, lacks what was still said then: the price of labels that users stand by.

Two steps, as the split is not known where a log is read: `matched` finds when each row's feedback was taken back, while
rows have times of their own; `taken_back` judges by the split.
"""

from collections.abc import Mapping

import polars as pl

UNDONE = "undone."  # before the name of feedback: when it was taken back, in ms, null where it was not
_KEY = ["user_id", "item_id"]


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


def taken_back(
    events: pl.DataFrame, *, valid_start_ms: int, test_start_ms: int
) -> tuple[pl.DataFrame, Mapping[str, tuple[int, int]]]:
    """The events without the feedback that was taken back within its part of the split, and without UNDONE columns.

    Args: valid_start_ms, test_start_ms, where validation and test begin.
    Returns: also, by kind of feedback, how many events lost it, and how many kept it as it was taken back too late.
    """

    def part(time: str) -> pl.Expr:
        return (pl.col(time) >= valid_start_ms).cast(pl.Int8) + (pl.col(time) >= test_start_ms).cast(pl.Int8)

    counts = {}
    for column in [name for name in events.columns if name.startswith(UNDONE)]:
        name = column.removeprefix(UNDONE)
        is_undone = pl.col(column).is_not_null()
        lost = events.select((is_undone & (part("timestamp_ms") == part(column))).fill_null(False)).to_series()
        counts[name] = int(lost.sum()), int((events[column].is_not_null() & ~lost).sum())
        events = events.with_columns(pl.when(~lost).then(name).otherwise(0).cast(events.schema[name]).alias(name))
        events = events.drop(column)
    return events, counts
