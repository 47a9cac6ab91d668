import polars as pl
import pytest

from data import undo
from data.assembly import assemble
from data.raw.tables import Tables

T = 1_650_000_000_000
PARTS = {"valid_start_ms": T + 100, "test_start_ms": T + 200}


def table(rows, name):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp_ms", name], orient="row")
    return frame.with_columns(pl.col("timestamp_ms") + T)


def events(*rows):
    return table(rows, "like").with_columns(pl.col("like").cast(pl.Int8), dislike=pl.lit(1, pl.Int8))


@pytest.mark.parametrize(
    ("liked", "unliked", "left"),
    [
        ([10], [20], [0]),
        ([10], [5], [1]),  # of a like before the log
        ([10], [10], [0]),
        ([10, 15, 30], [20], [0, 0, 1]),  # liked again afterwards
        ([10, 30], [20, 40], [0, 0]),
        ([10, 110, 210], [90, 190, 290], [0, 0, 0]),
        # In another part of the split: what was known when validation began stays as it was.
        ([10, 110], [100, 200], [1, 1]),
        # The undoing that counts is the first; that of the same part is a later one.
        ([10], [300], [1]),
    ],
)
def test_a_like_is_taken_back_by_the_next_unlike_of_its_part(liked, unliked, left):
    said = events(*(("u", "a", time, 1) for time in liked), ("v", "a", 10, 1), ("u", "b", 10, 1), ("u", "a", 10, 0))
    undone = table([("u", "a", time, "like") for time in unliked], "feedback")
    found, counts = undo.standing(undo.matched(said, undone), **PARTS)
    assert found["like"].to_list() == [*left, 1, 1, 0]
    assert counts["like"][0] == left.count(0)
    assert found.schema == said.schema
    assert found.drop("like").equals(said.drop("like"))


def test_kinds_are_taken_back_one_by_one():
    undone = table([("u", "a", 20, "dislike"), ("u", "a", 20, "follow")], "feedback")
    found, counts = undo.standing(undo.matched(events(("u", "a", 10, 1), ("u", "b", 10, 1)), undone), **PARTS)
    assert found.select("like", "dislike").rows() == [(1, 0), (1, 1)]
    assert counts == {"dislike": undo.Changed(lost=1)}


def test_what_is_said_late_is_not_known_before():
    """A like that came once validation had begun, of an event of a training day."""
    said = events(*((user, "a", time, 1) for user, time in zip("uvuv", (10, 20, 110, 220), strict=True)))
    at = pl.Series([None, T + 100, T + 199, None], dtype=pl.Int64)
    found, counts = undo.standing(said.with_columns(at.alias("said.like")), **PARTS)
    assert found.equals(said.with_columns(like=pl.Series([1, 0, 1, 1], dtype=pl.Int8)))
    assert counts == {"like": undo.Changed(late=1)}
    made = assemble(Tables(said.with_columns(at.alias("said.like")), None, None, None, 4), **PARTS)
    assert "like: 1 events are stored without it, as it was said in a later part of the split" in made.notes


def test_timelines_are_told_of_what_was_taken_back():
    said = events(*((user, item, time, 1) for user in ("u", "v") for item, time in ((1, 10), (2, 110), (3, 210))))
    undone = table([("u", 1, 20, "like"), ("v", 2, 250, "like")], "feedback")
    made = assemble(Tables(undo.matched(said, undone), None, None, None, len(said)), **PARTS)
    likes = made.arrays["feedback"] & 4
    assert likes.tolist() == [0, 4, 4, 4, 4, 4]
    assert made.fields["counts"]["kept"] == 6
    assert made.notes == (
        "like: 1 events are stored without it, as it was taken back; 1 more were taken back in a later part of the "
        "split, and have it",
    )
