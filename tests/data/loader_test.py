"""Packed batches against the timelines they come from: every label once, from its own user's past, and nothing else."""

import itertools
import json

import numpy as np
import pytest

from data.events_read import Reading
from data.feedback import NEGATIVE, POSITIVE, has, mask_of
from data.loader import PackedBatches, cut_windows, iterate, pack_rows
from runtime.errors import DataError, UsageError
from tests.logs import random_timelines

# One event, none in training but one, long users of several windows, users that just fill one.
LENGTHS = [1, 2, 3, 13, 14, 80, 1, 41, 7, 5, 12, 29, 1, 26, 9, 33]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "t", lengths=LENGTHS, one_event_per_item=True)


def batches_of(log, **options):
    defaults = {
        "length": 8,
        "batch_size": 4,
        "num_epochs": 1,
        "positive": ("long_view", "like"),
        "negative": ("dislike",),
        "seed": 0,
    }
    return PackedBatches(log, **{**defaults, **options})


def labels_of(batch):
    """(row, column, item, kind) of each label."""
    shards, rows_per_shard = len(batch["label"]), len(batch["item"]) // len(batch["label"])
    for shard in range(shards):
        for slot in np.flatnonzero(batch["label_kind"][shard]):
            row, column = divmod(int(batch["label_position"][shard, slot]), batch["item"].shape[1])
            yield (
                shard * rows_per_shard + row,
                column,
                int(batch["label"][shard, slot]),
                int(batch["label_kind"][shard, slot]),
            )


def expected_labels(log, train_on=("train",)):
    """Event -> kind, by the book."""
    expected = {}
    for user in range(log.num_users):
        end = log.test_start[user] if "valid" in train_on else log.valid_start[user]
        for event in range(log.offsets[user], end):
            if has(log.feedback[event], "dislike"):
                expected[event] = NEGATIVE
            elif has(log.feedback[event], "long_view", "like"):
                expected[event] = POSITIVE
    return expected


@pytest.mark.parametrize(
    ("length", "num_shards", "train_on"),
    [(8, 1, ("train",)), (8, 4, ("train",)), (5, 2, ("train", "valid")), (2, 1, ("train",)), (3, 1, ("train",))],
)
def test_every_label_once_and_read_from_the_users_own_past(log, length, num_shards, train_on):
    batches = batches_of(log, length=length, num_shards=num_shards, train_on=train_on)
    user_of = log.user_of_event()
    found = {}
    for index in range(len(batches)):
        batch = batches[index]
        assert batch["item"].shape == (4, length)
        for row, column, item, kind in labels_of(batch):
            event = item - 1  # each event has an item of its own
            assert event not in found
            found[event] = kind
            begin = column - int(np.argmax(batch["reset"][row, column::-1]))
            assert batch["reset"][row, begin]
            first = log.offsets[user_of[event]]
            read = batch["item"][row, begin : column + 1]
            # All of the past, or in a later window at least a quarter of a row and always the event before.
            if event == first:
                np.testing.assert_array_equal(read, [0])
                continue
            read = read[read > 0]
            past = np.arange(event - len(read), event)
            np.testing.assert_array_equal(read, past + 1)
            assert past[0] == first or len(past) >= max(1, length // 4)
            here = slice(column + 1 - len(past), column + 1)
            np.testing.assert_array_equal(batch["dwell"][row, here], log.dwell[past])
            np.testing.assert_array_equal(batch["feedback"][row, here], log.feedback[past])
    assert found == expected_labels(log, train_on)
    assert batches.labels_per_epoch == len(found)
    np.testing.assert_array_equal(np.flatnonzero(batches.label_counts()), sorted(event + 1 for event in found))


def test_nothing_held_out_is_read_or_predicted(log):
    batches = batches_of(log)
    held_out = set(np.flatnonzero(~log.in_split("train")) + 1)
    assert held_out
    for index in range(len(batches)):
        batch = batches[index]
        assert not held_out & set(batch["item"].flat)
        assert not held_out & set(batch["label"].flat)


def test_all_of_a_short_history_is_read(log):
    batches, read = batches_of(log, length=64), set()
    for index in range(len(batches)):
        read |= set(batches[index]["item"].flat)
    ends = {int(log.valid_start[user]) for user in range(log.num_users)}  # a user's last event predicts nothing
    assert read - {0} == {event + 1 for event in np.flatnonzero(log.in_split("train"))} - ends


def test_padding_is_empty(log):
    batch = batches_of(log)[0]
    for name in ("dwell", "feedback"):
        assert not np.any(batch[name][batch["item"] == 0])
    unused = batch["label_kind"] == 0
    assert unused.any()
    assert not np.any(batch["label"][unused])
    assert not np.any(batch["label_position"][unused])


def test_epochs_hold_the_same_labels_in_another_order(log):
    batches = batches_of(log, num_epochs=3)
    per_epoch = batches.batches_per_epoch
    assert len(batches) == 3 * per_epoch
    epochs = [[batches[e * per_epoch + i] for i in range(per_epoch)] for e in range(3)]
    items = [np.concatenate([batch["label"].reshape(-1) for batch in epoch]) for epoch in epochs]
    for other in items[1:]:
        np.testing.assert_array_equal(np.sort(items[0]), np.sort(other))
        assert np.any(items[0] != other)
    shapes = {name: {batch[name].shape for epoch in epochs for batch in epoch} for name in epochs[0][0]}
    assert all(len(found) == 1 for found in shapes.values())  # one compilation


def assert_same(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name])


def test_two_batches_differ_by_no_more_labels_than_two_rows_can(log):
    rows = batches_of(log, batch_size=1)
    of_row = [int((rows[i]["label_kind"] > 0).sum()) for i in range(len(rows))]
    batches = batches_of(log, batch_size=6)
    of_batch = [int((batches[i]["label_kind"] > 0).sum()) for i in range(len(batches))]
    fewest = min(of_row) if len(rows) % 6 == 0 else 0  # what fills up the last batch has none
    assert max(of_batch) - min(of_batch) <= max(of_row) - fewest


def test_a_seed_is_an_order(log):
    batches, again, other = (batches_of(log, seed=seed) for seed in (3, 3, 4))
    for index in reversed(range(len(batches))):  # in any order of access
        assert_same(batches[index], again[index])
    assert any(np.any(batches[i]["item"] != other[i]["item"]) for i in range(min(len(batches), len(other))))


def test_hosts_load_their_parts_of_the_batch(log):
    whole = batches_of(log, num_shards=4)
    parts = [batches_of(log, num_shards=4, shard=slice(first, first + 2)) for first in (0, 2)]
    for index in range(len(whole)):  # the last batch is not full: its end has no rows at all
        loaded = [part[index] for part in parts]
        assert_same(whole[index], {name: np.concatenate([part[name] for part in loaded]) for name in loaded[0]})


def test_shards_of_a_batch_hold_the_same_labels_as_one(log):
    one, four = batches_of(log), batches_of(log, num_shards=4)
    for index in range(len(one)):
        for name in ("item", "dwell", "feedback", "reset"):
            np.testing.assert_array_equal(one[index][name], four[index][name])
        assert sorted(labels_of(one[index])) == sorted(labels_of(four[index]))


def test_the_iterator_resumes_at_any_batch(log):
    batches = batches_of(log, num_epochs=2)
    straight, states = [], []
    iterator = iterate(batches)
    for batch in iterator:
        straight.append(batch)
        states.append(json.loads(json.dumps(iterator.get_state())))
    assert len(straight) == len(batches)
    for index, batch in enumerate(straight):
        assert_same(batch, batches[index])
    for index in (0, 1, batches.batches_per_epoch - 1, batches.batches_per_epoch, len(batches) - 2):
        resumed = iterate(batches_of(log, num_epochs=2))
        resumed.set_state(states[index])
        for expected in straight[index + 1 :]:
            assert_same(next(resumed), expected)
        with pytest.raises(StopIteration):
            next(resumed)


def test_windows_of_one_long_user():
    windows = cut_windows(np.array([100]), np.array([120]), length=8)
    # Windows of 8 events, each 6 after the one before; 2 of them are read again.
    np.testing.assert_array_equal(windows.start, [100, 106, 112])
    np.testing.assert_array_equal(windows.length, [8, 8, 8])
    np.testing.assert_array_equal(windows.context, [0, 2, 2])


def test_windows_of_several_users():
    windows = cut_windows(np.array([0, 8, 8, 17]), np.array([8, 8, 17, 18]), length=8)
    np.testing.assert_array_equal(windows.start, [0, 8, 14, 17])
    np.testing.assert_array_equal(windows.length, [8, 8, 3, 1])
    np.testing.assert_array_equal(windows.context, [0, 0, 2, 0])


@pytest.mark.parametrize("seed", range(3))
def test_rows_hold_every_window_once_and_never_too_much(seed):
    rng = np.random.default_rng(seed)
    lengths, capacity = np.minimum(rng.geometric(0.2, 500), 16), 16
    order, row_offsets = pack_rows(lengths, capacity, rng)
    np.testing.assert_array_equal(np.sort(order), np.arange(500))
    filled = np.add.reduceat(lengths[order], row_offsets[:-1])
    assert filled.max() <= capacity
    assert filled.mean() > 0.95 * capacity
    assert (row_offsets[0], row_offsets[-1]) == (0, 500)
    assert np.all(np.diff(row_offsets) > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 1}, r"--config\.length=1: .* at least 2"),
        ({"batch_size": 4, "num_shards": 3}, r"--config\.batch_size=4: .* 3 shards"),
    ],
)
def test_sizes_that_do_not_fit(log, options, message):
    with pytest.raises(UsageError, match=message):
        batches_of(log, **options)


def test_a_log_without_the_feedback_asked_for(log, tmp_path):
    with pytest.raises(DataError, match=r"no training event is follow or share.*--config\.positive"):
        batches_of(log, positive=("follow",), negative=("share",))
    empty = random_timelines.write(tmp_path / "t", lengths=[0, 0])
    with pytest.raises(DataError, match="no training event is long_view or like or dislike"):
        batches_of(empty)


def test_the_context_of_a_later_window_holds_what_was_said_no_to_before(log):
    # Of one user's 80 events, 48 are of training; windows of 8 with a context of 2, of which one is for a "no".
    reading = Reading(8, 4, mask_of(["dislike"]))
    batches = batches_of(log, reading=reading, positive=(*log.positive_feedback, "click"), num_epochs=1)
    begin, end = log.offsets[5], log.valid_start[5]
    noes = [event for event in range(begin, end) if has(log.feedback[event], "dislike")]
    found = 0
    for batch in (batches[n] for n in range(len(batches))):
        for row in range(len(batch["item"])):
            starts = [*np.flatnonzero(batch["reset"][row]), batch["item"].shape[1]]
            for first, last in itertools.pairwise(starts):
                read = batch["item"][row, first:last] - 1  # an item names its event
                if not begin < read[0] < end:
                    continue
                # What comes before the context's newest event: the last "no" older than it, or the event before.
                older = [event for event in noes if event < read[1]]
                assert read[0] == (older[-1] if older else read[1] - 1)
                assert (np.diff(read[1:][read[1:] >= 0]) == 1).all()
                found += 1
    assert found > 3
