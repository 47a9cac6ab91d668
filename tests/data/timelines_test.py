import dataclasses

import numpy as np
import polars as pl
import pytest

from data import feedback, timelines
from data.events_read import Reader, Reading
from data.timelines import Timelines
from data.traits import counted, of_counts
from runtime.errors import DataError, UsageError
from tests.logs import random_timelines

CLICK, LIKE, SKIP = (1 << feedback.BITS[name] for name in ("click", "like", "skip"))
# Two users, five items. User 0: three training events, one validation, two test; user 1: one of each.
ITEM = [1, 2, 1, 3, 2, 4, 5, 1, 2]
FEEDBACK = [CLICK, 0, LIKE, CLICK, CLICK, CLICK, CLICK, CLICK | LIKE, SKIP]


def arrays():
    zeros = np.zeros(len(ITEM))
    made = dict.fromkeys(timelines.EVENT_DTYPES, zeros)
    made |= {"item": np.array(ITEM), "feedback": np.array(FEEDBACK), "dwell": np.arange(2, 11)}
    return made | {"offsets": np.array([0, 6, 9]), "valid_start": np.array([3, 7]), "test_start": np.array([4, 8])}


@pytest.fixture
def opened(tmp_path):
    return write(tmp_path)


def write(tmp_path):
    items = pl.DataFrame({"item_id": [None, 10, 20, 30, 40, 50]})
    users = pl.DataFrame({"user_id": ["a", "b"]})
    timelines.write(
        tmp_path / "t", arrays=arrays(), items=items, users=users, fields={"dataset": "x"}, extra={"n": "1"}
    )
    return Timelines.open(tmp_path / "t")


def test_what_is_written_is_read(opened):
    assert (opened.num_users, opened.num_items) == (2, 5)
    assert {name: opened.manifest[name] for name in ("dataset", "num_users", "num_items", "num_events")} == {
        "dataset": "x",
        "num_users": 2,
        "num_items": 5,
        "num_events": 9,
    }
    for name, dtype in {**timelines.EVENT_DTYPES, **timelines.USER_DTYPES}.items():
        np.testing.assert_array_equal(getattr(opened, name), arrays()[name])
        assert getattr(opened, name).dtype == dtype
    assert opened.users["user_id"].to_list() == ["a", "b"]
    assert (opened.path / "n").read_text() == "1"


def test_what_may_be_learned_from_grows_with_the_validation_days(opened):
    np.testing.assert_array_equal(opened.learned_end(("train",)), [3, 7])
    np.testing.assert_array_equal(opened.learned_end(("train", "valid")), [4, 8])
    # Items 1 2 1 | 3 | 2 4 of user 0 and 5 | 1 | 2 of user 1: item 3 is first met on a validation day.
    np.testing.assert_array_equal(opened.item_counts(("train",)), [0, 2, 1, 0, 0, 1])
    np.testing.assert_array_equal(opened.item_counts(("train", "valid")), [0, 3, 1, 1, 0, 1])
    for wrong in (("valid",), ("train", "test"), ()):
        with pytest.raises(ValueError, match=r"train_on = \(.*\): \('train',\) or \('train', 'valid'\)"):
            opened.item_counts(wrong)


def test_splits_partition_the_events(opened):
    expected = ["train"] * 3 + ["valid"] + ["test"] * 2 + ["train", "valid", "test"]
    for split in timelines.SPLITS:
        np.testing.assert_array_equal(opened.in_split(split), [name == split for name in expected])
    np.testing.assert_array_equal(opened.user_of_event(), [0] * 6 + [1] * 3)
    with pytest.raises(ValueError, match="'later'"):
        opened.bounds("later")


def test_histories_are_the_last_events_before_a_position(opened):
    inputs = opened.histories(users=[0, 0, 1, 1], before=[4, 1, 6, 9], reader=Reader(opened.feedback, Reading(3)))
    np.testing.assert_array_equal(inputs["item"], [[2, 1, 3], [1, 0, 0], [0, 0, 0], [5, 1, 2]])
    np.testing.assert_array_equal(inputs["dwell"], [[3, 4, 5], [2, 0, 0], [0, 0, 0], [8, 9, 10]])
    np.testing.assert_array_equal(
        inputs["feedback"], [[0, LIKE, CLICK], [CLICK, 0, 0], [0, 0, 0], [CLICK, CLICK | LIKE, SKIP]]
    )
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int32)}


def test_a_history_never_reaches_into_another_user(opened):
    inputs = opened.histories(users=[1], before=[8], reader=Reader(opened.feedback, Reading(5)))
    np.testing.assert_array_equal(inputs["item"], [[5, 1, 0, 0, 0]])


def test_what_was_met_before_a_position(opened):
    rows, items = opened.items_met(np.array([0, 0, 1]), np.array([3, 0, 9]))
    assert (np.diff(rows) >= 0).all()
    assert [set(items[rows == row].tolist()) for row in range(3)] == [{0, 1, 2}, {0}, {0, 1, 2, 5}]


def test_without_uploads_everything_is_always_there(opened):
    np.testing.assert_array_equal(opened.by_upload, [1, 2, 3, 4, 5])
    assert opened.num_there(0) == 5
    np.testing.assert_array_equal(opened.later(np.array([0, 1])), [[False], [False]])


@pytest.fixture
def published(opened):
    # Item 4 comes just when the test days begin, item 2 after that; of item 3 nobody knows.
    uploaded = pl.Series("uploaded_ms", [None, 10, 501, None, 500, 499])
    manifest = opened.manifest | {"valid_start_ms": 400, "test_start_ms": 500}
    return dataclasses.replace(opened, items=opened.items.with_columns(uploaded), manifest=manifest)


def test_what_is_there_at_a_moment(published):
    np.testing.assert_array_equal(published.by_upload, [3, 1, 5, 4, 2])
    np.testing.assert_array_equal(published.upload_place, [-1, 1, 4, 0, 3, 2])
    np.testing.assert_array_equal(published.num_there([[9, 499], [500, 501]]), [[1, 3], [4, 5]])
    later = published.later(np.array([500, 499, 9, 501]))
    assert [np.flatnonzero(row).tolist() for row in later] == [[2], [2, 4], [1, 2, 4, 5], []]
    np.testing.assert_array_equal(published.later(np.array([501, 900])), [[False], [False]])


def test_what_is_uploaded_after_the_days_have_begun_is_no_target(published):
    assert [side.tolist() for side in published.held_out("test", ["click", "skip"])] == [[0], [4]]
    assert [side.tolist() for side in published.unmet("test", ["click", "skip"])] == [[0, 1], [4, 2]]
    earlier = published.manifest | {"test_start_ms": 499}
    assert not len(dataclasses.replace(published, manifest=earlier).held_out("test", ["click"])[0])


@pytest.mark.parametrize("at_once", [1, 7, 1 << 22])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_held_out_pairs_are_those_of_a_loop(tmp_path, monkeypatch, split, at_once):
    """However many events of histories are looked through at a time, users without any among them."""
    monkeypatch.setattr(timelines, "_EVENTS_AT_ONCE", at_once)
    log = random_timelines.write(tmp_path / "log", lengths=[0, 9, 1, 40, 0, 13, 2, 30, 0], num_items=12)
    expected = set()
    for user, (start, end) in enumerate(zip(*log.bounds(split))):
        met = set(log.item[log.offsets[user] : start])
        liked = [log.item[at] for at in range(start, end) if log.feedback[at] & LIKE]
        expected |= {(user, item) for item in liked if item not in met}
    found = log.held_out(split, ["like"])
    assert list(zip(*(side.tolist() for side in found))) == sorted(expected)


def test_held_out_pairs_are_unique_and_unseen(opened):
    def pairs(*arguments):
        return list(zip(*(side.tolist() for side in opened.held_out(*arguments))))

    assert pairs("test", ["click"]) == [(0, 4)]  # user 0 has met item 2 in training
    assert pairs("valid", ["click", "like"]) == [(0, 3), (1, 1)]
    assert pairs("test", ["skip"]) == [(1, 2)]
    assert pairs("test", ["dislike"]) == []
    # Item 1 twice in training, once as a pair.
    assert pairs("train", ["click", "like"]) == [(0, 1), (1, 5)]


def test_items_met_on_validation_days_are_seen_on_test_days(tmp_path):
    opened = write(tmp_path)
    item = np.array(ITEM)
    item[5] = 3  # user 0's validation item again
    again = dataclasses.replace(opened, item=item)
    assert len(again.held_out("test", ["click"])[0]) == 0


def test_another_split_is_another_view_of_the_same_events(opened):
    last = opened.offsets[1:] - 1
    view = dataclasses.replace(opened, valid_start=last - 1, test_start=last)
    np.testing.assert_array_equal(np.flatnonzero(view.in_split("test")), [5, 8])


def test_a_damaged_or_wrong_folder_is_told(opened, tmp_path):
    with pytest.raises(UsageError, match="--data"):
        Timelines.open(tmp_path)
    target = opened.path / "item.npy"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"item\.npy.*truncated"):
        Timelines.open(opened.path)
    target.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match=r"item\.npy: checksum"):
        Timelines.open(opened.path)


def test_inconsistent_arrays_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="2 users"):
        timelines.write(
            tmp_path / "t",
            arrays=arrays() | {"offsets": np.array([0, 5, 8])},
            items=pl.DataFrame({"item_id": [None]}),
            users=pl.DataFrame({"user_id": [1, 2]}),
            fields={},
        )
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("happened", "positive"),
    [
        (("click", "long_view", "like"), ("long_view", "like")),
        (("click", "like", "comment"), ("like",)),
        (("click", "comment"), ("click",)),  # a column of likes in which nobody likes anything is none
        (("comment", "dislike"), ("comment",)),
        (("dislike",), ("click",)),
    ],
)
def test_what_counts_as_positive_is_what_happens(tmp_path, happened, positive):
    log = random_timelines.write(tmp_path / "log", longest_play_ms=0, without=random_timelines.NAMES)
    bits = np.full(len(log.item), feedback.mask_of(happened), np.uint16)
    made = dataclasses.replace(log, feedback=bits)
    traits = of_counts(counted({name: getattr(made, name) for name in timelines.EVENT_DTYPES}), made.items)
    manifest = {**log.manifest, "traits": dataclasses.asdict(traits), "feedback": list(feedback.BITS)}
    found = dataclasses.replace(made, manifest=manifest)
    assert found.positive_feedback == positive
    assert found.traits.wanted_feedback == (("long_view",) if "long_view" in happened else positive)
