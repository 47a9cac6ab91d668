"""Takes back what users took back: an unlike its like, an undislike its dislike.

Timelines hold what was said at an event and no later change of it. So an event is stored as if what was taken back of
it had never been said, but only where that happened within the same part of the split, training, validation or test:
nothing that comes later may change what is known when validation or test begins. Of a like on a training day that is
taken back on a test day the timelines know the like alone. What a model reads between the two moments, within one
part, lacks what was still said then: the price of labels that users stand by.
"""

from collections.abc import Mapping

import polars as pl

_KEY = ["user_id", "item_id"]


def taken_back(
    events: pl.DataFrame, undone: pl.DataFrame, *, valid_start_ms: int, test_start_ms: int
) -> tuple[pl.DataFrame, Mapping[str, int]]:
    """The events without the feedback that was taken back, and how many events lost which kind of it.

    Feedback of an event is taken back by the first undoing of this kind, by the same user on the same item, at its time
    or later, where that lies in the same part of the split. Of the same moment the saying comes first.

    Args:
      events: user_id, item_id, timestamp_ms and 0/1 feedback, in any order; that of the result.
      undone: what was taken back: user_id, item_id, timestamp_ms, feedback, the name of a column of `events`.
      valid_start_ms, test_start_ms: where validation and test begin.
    """

    def part(time: str) -> pl.Expr:
        return (pl.col(time) >= valid_start_ms).cast(pl.Int8) + (pl.col(time) >= test_start_ms).cast(pl.Int8)

    counts = {}
    for name in sorted(set(undone["feedback"]) & set(events.columns)):
        undos = undone.filter(feedback=name).select(*_KEY, undone_ms="timestamp_ms").sort("undone_ms")
        said = events.select(*_KEY, "timestamp_ms", name).with_row_index("row").filter(pl.col(name) == 1)
        back = (
            said.sort("timestamp_ms")
            .join_asof(
                undos,
                left_on="timestamp_ms",
                right_on="undone_ms",
                by=_KEY,
                strategy="forward",
                check_sortedness=False,  # both have been sorted; with `by` polars cannot check
            )
            .filter(pl.col("undone_ms").is_not_null() & (part("timestamp_ms") == part("undone_ms")))
        )
        counts[name] = len(back)
        events = events.with_columns(events[name].scatter(back["row"], 0))
    return events, counts
