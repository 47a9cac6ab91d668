import dataclasses

import numpy as np
import polars as pl
import pytest

from data import feedback
from data.assembly import assemble, summary
from data.raw.tables import Tables
from runtime.errors import DataError

T = 1_650_000_000_000


def log(rows, *, rows_read=None, **parts):
    """Tables of rows (user, item, seconds after T, play_ms, like)."""
    schema = {"user_id": pl.String, "item_id": pl.Int64, "timestamp_ms": pl.Int64, "play_ms": pl.Int32, "like": pl.Int8}
    events = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("timestamp_ms") * 1000 + T)
    tables = Tables(events=events, items=None, users=None, earlier=None, rows_read=rows_read or len(rows))
    return dataclasses.replace(tables, **parts)


def split_at(valid, test):
    return {"valid_start_ms": T + valid * 1000, "test_start_ms": T + test * 1000}


# In no order of user or time; v likes item 0 twice at one moment (logged again).
ROWS = [
    ("v", 0, 10, 500, 1),
    ("u", 50, 30, 4_000, 0),
    ("u", 0, 10, 20_000, 0),
    ("v", 0, 10, 700, 0),
    ("u", 9, 10, 1_000, 0),
    ("v", 9, 20, None, 0),
    ("u", 9, 20, 0, 0),
]


def test_events_are_sorted_by_user_and_time_with_ties_as_logged():
    made = assemble(log(ROWS), **split_at(20, 30))
    arrays = made.arrays
    np.testing.assert_array_equal(arrays["item"], [1, 2, 2, 3, 1, 2])  # items 0, 9, 50 are 1, 2, 3
    np.testing.assert_array_equal(arrays["timestamp_ms"], T + 1000 * np.array([10, 10, 20, 30, 10, 20]))
    np.testing.assert_array_equal(arrays["offsets"], [0, 4, 6])
    np.testing.assert_array_equal(arrays["valid_start"], [2, 5])
    np.testing.assert_array_equal(arrays["test_start"], [3, 6])
    np.testing.assert_array_equal(arrays["play_ms"], [20_000, 1_000, 0, 4_000, 700, -1])
    assert made.users["user_id"].to_list() == ["u", "v"]
    assert made.items["item_id"].to_list() == [None, 0, 9, 50]
    assert made.items["train_count"].to_list() == [0, 2, 1, 0]


def test_feedback_is_derived_once_rows_are_merged():
    made = assemble(log(ROWS), **split_at(20, 30))
    bits = made.arrays["feedback"]
    # The like of the repeated row keeps the 700 ms play from being a skip; an unknown play time is none either.
    np.testing.assert_array_equal(feedback.has(bits, "skip"), [False, True, True, False, False, False])
    np.testing.assert_array_equal(feedback.has(bits, "like"), [False, False, False, False, True, False])
    np.testing.assert_array_equal(feedback.has(bits, "long_view"), [True, False, False, False, False, False])
    assert made.fields["feedback"] == ["long_view", "like", "skip"]


def test_a_play_is_a_long_view_by_the_duration_of_its_item():
    """Of the item's row first, then what the event says; and 18 seconds of anything."""
    rows = [("u", item, second, play, 0) for second, (item, play) in enumerate([(0, 9), (1, 9), (2, 9), (2, 18)])]
    plays = log(
        [(user, item, second, 1000 * play, like) for user, item, second, play, like in [*rows, ("v", 0, 9, 8, 0)]]
    )
    events = plays.events.with_columns(duration_ms=pl.Series([20_000, 9_000, None, None, None], dtype=pl.Int32))
    items = pl.DataFrame({"item_id": [0, 1], "duration_ms": pl.Series([8_000, 0], dtype=pl.Int32)})
    made = assemble(dataclasses.replace(plays, events=events, items=items), **split_at(1, 2))
    assert feedback.has(made.arrays["feedback"], "long_view").tolist() == [True, True, False, True, True]
    assert made.arrays["duration_ms"].tolist() == [8_000, 9_000, -1, -1, 8_000]


def test_play_times_tell_of_events_that_do_not_say_whether_they_are_long_views():
    plays = log([("u", 0, 1, 20_000, 0), ("u", 1, 2, 20_000, 0), ("u", 2, 3, 20_000, 0), ("v", 0, 1, 100, 0)])
    events = plays.events.with_columns(long_view=pl.Series([None, 0, 1, 1], dtype=pl.Int8))
    made = assemble(dataclasses.replace(plays, events=events), **split_at(2, 3))
    assert feedback.has(made.arrays["feedback"], "long_view").tolist() == [True, False, True, True]


def test_the_rows_add_up():
    made = assemble(log(ROWS, rows_read=9), **split_at(20, 30))
    assert made.fields["counts"] == {
        "read": 9,
        "kept": 6,
        "merged": 1,
        "dropped": {"quarantined": 2, "rare item": 0},
        "earlier_history": 0,
    }
    assert "rows read                   9" in summary(made)


def test_rare_items_leave_the_catalogue_with_their_events():
    items = pl.DataFrame({"item_id": [0, 9, 50, 60]})
    made = assemble(log([*ROWS, ("v", 0, 30, 1, 0)], items=items), **split_at(20, 30), min_item_count=1)
    assert made.items["item_id"].to_list() == [None, 0, 9]  # 50 comes up on the test day only, 60 never
    assert made.fields["counts"]["dropped"]["rare item"] == 1
    with pytest.raises(DataError, match=r"--config\.min_item_count"):
        assemble(log(ROWS), **split_at(20, 30), min_item_count=3)


def test_videos_never_seen_stay_in_the_catalogue():
    made = assemble(log(ROWS, items=pl.DataFrame({"item_id": [0, 5, 9, 50]})), **split_at(20, 30))
    assert made.items["item_id"].to_list() == [None, 0, 5, 9, 50]
    assert made.items["train_count"].to_list() == [0, 2, 0, 1, 0]


def test_earlier_history_comes_first_and_only_trains():
    earlier = pl.DataFrame(
        {"user_id": ["v", "v", "w"], "item_id": [50, 9, 0], "long_view": [0, 1, 0], "like": [1, 0, 0]},
        schema_overrides={"long_view": pl.Int8, "like": pl.Int8},
    )
    made = assemble(log(ROWS, earlier=earlier), **split_at(20, 30))
    arrays = made.arrays
    assert made.users["user_id"].to_list() == ["u", "v", "w"]
    np.testing.assert_array_equal(arrays["item"][4:8], [3, 2, 1, 2])  # v: 50, 9, then the log's 0, 9
    np.testing.assert_array_equal(arrays["timestamp_ms"][4:6], [0, 0])
    np.testing.assert_array_equal(arrays["dwell"][4:6], [feedback.DWELL_UNKNOWN] * 2)
    np.testing.assert_array_equal(feedback.has(arrays["feedback"][4:6], "like"), [True, False])
    np.testing.assert_array_equal(feedback.has(arrays["feedback"][4:6], "long_view"), [False, True])
    assert not feedback.has(arrays["feedback"][4:6], "skip").any()
    assert made.fields["counts"]["earlier_history"] == 3
    assert made.fields["counts"]["kept"] == 6
    np.testing.assert_array_equal(arrays["valid_start"], [2, 7, 9])
    np.testing.assert_array_equal(arrays["offsets"][1:], [4, 8, 9])


def test_by_default_the_last_two_tenths_of_the_time_are_held_out():
    rows = [(user, item, second, 1, 0) for second in range(20) for user, item in (("u", 1), ("v", 2))]
    made = assemble(log(rows))
    # 19 s and a millisecond: nine tenths lie within second 17, eight within second 15.
    assert made.fields["test_start_ms"] == T + 19_001 * 9 // 10
    assert (made.arrays["timestamp_ms"] >= made.fields["test_start_ms"]).sum() == 2 * 2
    np.testing.assert_array_equal(made.arrays["test_start"] - made.arrays["valid_start"], [2, 2])


def test_a_gap_in_the_log_leaves_no_split_empty():
    day = 86_400
    # 90 events of two users on days 0 to 44, and 10 after 200 days: the tenth of the time before the last has none.
    rows = [(user, 1, day * d, 1, 0) for d in [*range(45), *range(245, 250)] for user in ("u", "v")]
    made = assemble(log(rows))
    assert made.fields["valid_start_ms"] == T + 1000 * day * 40
    assert made.fields["test_start_ms"] == T + 1000 * day * 245
    np.testing.assert_array_equal(made.arrays["test_start"] - made.arrays["valid_start"], [5, 5])
    assert made.notes[0].startswith("split after 80% and 90% of the events, as such shares of the log's time hold")
    assert "its widest gap is 201 days, with 90 before it ('u' on '1' at 2022-05-29T05:20:00Z)" in made.notes[0]
    assert "and 10 after it ('u' on '1' at 2022-12-16T05:20:00Z)" in made.notes[0]


@pytest.mark.parametrize(("days", "told"), [(1, "its widest gap is 1 day, with 1 before"), (2, "is 2 days, with 1 ")])
def test_a_gap_of_a_day_is_said_as_people_do(days, told):
    # Most events lie in the last tenth of the time.
    rows = [("u", 1, days * 86_400 * n, 1, 0) for n in range(4)]
    rows += [("v", 1, days * 86_400 * 3 + second, 1, 0) for second in range(1, 12)]
    assert told in assemble(log(rows)).notes[0]


def test_what_looks_wrong_about_the_items_is_among_the_warnings():
    items = pl.DataFrame({"item_id": [0, 9, 50], "uploaded_ms": [T + 3_600_000] * 3})
    made = assemble(log(ROWS, items=items), **split_at(20, 30))
    assert any(line.startswith("uploaded_ms: events lie before it for 3 of 3 items") for line in made.warnings())


def test_shares_of_the_log():
    rows = [(user, 1, second, 1, 0) for second in range(100) for user in ("u", "v")]
    made = assemble(log(rows), valid_share=0.05, test_share=0.2)
    assert made.sizes == {"train": 2 * 75, "valid": 2 * 5, "test": 2 * 20}


def test_attributes_of_users_and_surfaces():
    users = pl.DataFrame({"user_id": ["u", "x"], "region": ["north", "south"]})
    tables = log(ROWS, users=users)
    events = tables.events.with_columns(surface=pl.Series(["tab", "feed", "feed", "tab", None, "tab", "feed"]))
    made = assemble(dataclasses.replace(tables, events=events), **split_at(20, 30))
    assert made.users.to_dict(as_series=False) == {"user_id": ["u", "v"], "user.region": ["north", None]}
    assert made.notes == ("1 users without an event: left out",)
    assert made.fields["surfaces"] == ["feed", "tab"]
    np.testing.assert_array_equal(made.arrays["surface"], [1, 0, 1, 1, 2, 2])
    # An empty column of them is as none.
    empty = assemble(dataclasses.replace(tables, events=tables.events.with_columns(surface=pl.lit(None, pl.String))))
    assert empty.arrays["surface"].tolist() == [0] * 6


def test_numbers_of_users_are_buckets_of_those_of_the_training_days():
    users = pl.DataFrame({"user_id": ["u", "v", "w"], "age": [20.5, 40.0, 30.0]})
    rows = [*ROWS, ("w", 0, 30, 1, 0)]  # w comes on the test day
    made = assemble(log(rows, users=users), **split_at(20, 30))
    assert made.users["user.age"].to_list() == [2, 3, 2]  # below 40, and from 40 on


def test_one_user_is_not_enough():
    with pytest.raises(DataError, match="all events are of one user, 'u'"):
        assemble(log([("u", 1, 0, 1, 0), ("u", 2, 9, 1, 0)]))
