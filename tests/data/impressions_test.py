"""Ranked impressions: nothing of their own moment in their history, and batches that resume and split."""

import dataclasses

import numpy as np
import pytest

from data.impressions import ImpressionBatches, Unobserved, history_ends, ranked_positions
from data.loader import iterate
from runtime.errors import DataError, UsageError
from tests.logs import random_timelines


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Three events a moment, which may be of two users; the first two events are of unknown time."""
    log = random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")
    return dataclasses.replace(log, timestamp_ms=(np.arange(len(log.item)) + 1) // 3)


def gather(positions, rng):
    return {"position": positions, "chance": rng.random(len(positions))}


def batches(count=25, **options):
    positions = 100 + np.arange(count)
    return ImpressionBatches(positions, gather, **{"batch_size": 4, "num_epochs": 3, "seed": 0, **options})


def test_events_of_unknown_time_are_not_ranked(log):
    expected = [e for e in range(len(log.item)) if log.in_split("train")[e] and log.timestamp_ms[e] > 0]
    np.testing.assert_array_equal(ranked_positions(log, "train"), expected)
    both = ranked_positions(log, "train", "test")
    np.testing.assert_array_equal(both, np.flatnonzero((log.timestamp_ms > 0) & ~log.in_split("valid")))
    with pytest.raises(DataError, match="no event of known time in valid: there is nothing to rank"):
        ranked_positions(dataclasses.replace(log, timestamp_ms=np.zeros(len(log.item), np.int64)), "valid")


def test_a_history_ends_before_its_moment(log):
    ends, user = history_ends(log), log.user_of_event()
    for event, end in enumerate(ends):
        own = np.flatnonzero(user == user[event])
        before = own[log.timestamp_ms[own] < log.timestamp_ms[event]]
        np.testing.assert_array_equal(np.arange(log.offsets[user[event]], end), before)


def test_unobserved_items_were_never_met(log):
    unobserved, rng = Unobserved(log), np.random.default_rng(0)
    users = np.arange(log.num_users)
    drawn = unobserved.draw(users, np.ones(len(users)), 50, rng)
    known = log.in_split("train") | (log.timestamp_ms == 0)
    for user in users:
        met = set(log.item[known & (log.user_of_event() == user)])
        assert not met & set(drawn[user])
        assert set(drawn[user]) - {0} <= set(range(1, log.num_items + 1))
    assert (drawn > 0).mean() > 0.99


def test_unobserved_items_were_there(log):
    late = random_timelines.uploaded_late(log, [1, 2, 3], "valid")
    begins_ms, users = log.manifest["valid_start_ms"], np.repeat(np.arange(log.num_users), 2)
    moments = np.tile([begins_ms, begins_ms + 1], log.num_users)
    drawn = Unobserved(late).draw(users, moments, 50, np.random.default_rng(0))
    assert not set(drawn[::2].ravel()) & {1, 2, 3}
    assert {1, 2, 3} <= set(drawn[1::2].ravel())


def test_who_has_met_everything_gets_nothing(log):
    # One user, one item: whatever is drawn has been met.
    lone = dataclasses.replace(
        log,
        items=log.items[:2],
        item=np.ones(3, np.int32),
        timestamp_ms=np.arange(1, 4),
        offsets=np.array([0, 3]),
        valid_start=np.array([3]),
        test_start=np.array([3]),
    )
    np.testing.assert_array_equal(
        Unobserved(lone).draw(np.array([0]), np.array([1]), 2, np.random.default_rng(0)), [[0, 0]]
    )


def test_an_epoch_holds_each_impression_once_and_the_next_is_in_another_order():
    planned = batches()
    assert (len(planned), planned.batches_per_epoch) == (21, 7)
    epochs = [np.concatenate([planned[7 * e + i]["position"] for i in range(7)]) for e in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), [-1, -1, -1, *range(100, 125)])
    assert (epochs[0] != epochs[1]).any()


def test_hosts_load_the_parts_of_the_same_batch():
    whole = batches(num_shards=4)
    parts = [batches(num_shards=4, shard=slice(i, i + 2)) for i in (0, 2)]
    for index in (0, 6, 9):
        for name, array in whole[index].items():
            np.testing.assert_array_equal(array, np.concatenate([part[index][name] for part in parts]))
    with pytest.raises(UsageError, match=r"--config\.batch_size=4: not divisible by 3 shards"):
        batches(num_shards=3)


def test_an_iterator_resumes_at_the_very_next_batch():
    through = iterate(batches())
    for _ in range(9):
        next(through)
    again = iterate(batches())
    again.set_state(through.get_state())
    for _ in range(12):
        expected, found = next(through), next(again)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
