"""Batches of click sequences against a loop over events; leave-one-out's core; windows, epochs and label correction."""

import dataclasses

import numpy as np
import pytest

from data.feedback import has
from runtime.errors import DataError, UsageError
from satisfaction.clicks import clicks_of
from satisfaction.sequences import Histories, SequenceBatches
from tests import random_timelines

LENGTH, SATISFIED, DISSATISFIED = 6, 3, 2


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[40, 25, 3, 60, 1, 30], num_items=12, seed=3)


@pytest.fixture(scope="module")
def answers(log):
    return np.where(has(log.feedback, "dislike"), 0, np.where(has(log.feedback, "like"), 1, -1)).astype(np.int8)


def histories_of(log, answers, protocol="time"):
    imputed = np.random.default_rng(0).random(len(log.item)).astype(np.float32)
    clicks = clicks_of(log, protocol)
    sizes = {"length": LENGTH, "satisfied_length": SATISFIED, "dissatisfied_length": DISSATISFIED}
    return Histories(clicks, log, answers=answers, satisfaction=imputed, **sizes), imputed


def test_rows_tell_what_was_known_before_each_click(log, answers):
    histories, imputed = histories_of(log, answers)
    clicks = histories.clicks
    user_of = log.user_of_event()
    for target in range(len(clicks.item)):
        row = {name: array[0] for name, array in histories.before(np.array([target])).items()}
        user, event, at = clicks.user()[target], clicks.event[target], row["at"]
        own = np.flatnonzero((user_of == user) & (np.arange(len(log.item)) < event))
        clicked = [e for e in own if e in set(clicks.event)][-LENGTH:]
        assert row["user"] == user
        np.testing.assert_array_equal(row["item"][row["item"] > 0], log.item[clicked])
        np.testing.assert_array_equal(row["score"][row["item"] > 0], imputed[clicked])
        assert row["label"][at] == log.item[event]
        assert row["label_score"][at] == imputed[event]
        for name, kind, longest in (("satisfied", 1, SATISFIED), ("dissatisfied", 0, DISSATISFIED)):
            expected = log.item[[e for e in own if answers[e] == kind][-longest:]]
            np.testing.assert_array_equal(row[name][: row[f"{name}_count"][at]], expected)


def test_counts_grow_with_the_position_and_hide_what_comes_later(log, answers):
    histories, _ = histories_of(log, answers)
    clicks = histories.clicks
    start = clicks.offsets[3]
    rows = histories.rows(np.array([start]), np.array([LENGTH]))
    for name, kind in (("satisfied", 1), ("dissatisfied", 0)):
        for at in range(LENGTH):
            events = np.arange(log.offsets[3], clicks.event[start + at])
            last = np.arange(log.offsets[3], clicks.event[start + LENGTH - 1])
            longest = rows[name].shape[1]
            dropped = max(0, (answers[last] == kind).sum() - longest)  # the row holds the last ones of its last label
            assert rows[f"{name}_count"][0, at] == max(0, (answers[events] == kind).sum() - dropped)


def test_every_training_click_is_one_label_an_epoch(log, answers):
    histories, _ = histories_of(log, answers)
    clicks = histories.clicks
    batches = SequenceBatches(histories, batch_size=4, num_epochs=3, correct_from=2, seed=0)
    trained = np.arange(len(clicks.item)) < clicks.valid_start[clicks.user()]
    expected = np.bincount(clicks.item[trained], minlength=13)
    for epoch in range(3):
        counts, corrects = np.zeros(13, int), set()
        for index in range(batches.batches_per_epoch):
            batch = batches[epoch * batches.batches_per_epoch + index]
            assert batch["label_where"].sum() <= batches.label_capacity
            counts += np.bincount(batch["label"][batch["label_where"]], minlength=13)
            corrects |= set(batch["corrects"])
        np.testing.assert_array_equal(counts, expected)
        assert corrects == {epoch >= 2}
    assert batches.labels_per_epoch == expected.sum()


def test_validation_clicks_are_labels_where_asked_for(log, answers):
    histories, _ = histories_of(log, answers)
    clicks = histories.clicks
    batches = SequenceBatches(
        histories, batch_size=64, num_epochs=1, correct_from=0, seed=0, train_on=("train", "valid")
    )
    known = np.arange(len(clicks.item)) < clicks.test_start[clicks.user()]
    assert batches.labels_per_epoch == known.sum()


def test_a_period_is_the_day_and_days_never_learned_from_count_as_the_last(log, answers):
    day = 86_400_000
    later = dataclasses.replace(log, timestamp_ms=np.asarray(log.timestamp_ms) * (day // 20))
    histories, _ = histories_of(later, answers)
    clicks = histories.clicks
    time = later.timestamp_ms[clicks.event]
    expected = np.where(time > 0, 1 + (time - time[time > 0].min()) // day, 0)
    learned = np.arange(len(time)) < clicks.valid_start[clicks.user()]
    rows = histories.before(np.arange(len(time)))
    found = rows["period"][np.arange(len(time)), rows["at"]]
    np.testing.assert_array_equal(found, np.minimum(expected, expected[learned].max()))
    assert histories.num_periods == expected[learned].max() + 1 > 3


def test_leave_one_out_keeps_the_core_and_holds_out_the_last_two_clicks(log):
    clicks = clicks_of(log, "leave_one_out")
    users, test = clicks.targets("test")
    _, valid = clicks.targets("valid")
    np.testing.assert_array_equal(test, clicks.offsets[users + 1] - 1)
    np.testing.assert_array_equal(valid, test - 1)
    assert (np.diff(clicks.offsets)[users] >= 5).all()
    assert np.diff(clicks.offsets).sum() == np.diff(clicks.offsets)[users].sum()
    np.testing.assert_array_equal(clicks.corpus[clicks.item], log.item[clicks.event])
    assert (np.bincount(clicks.item, minlength=clicks.num_items + 1)[1:] > 0).all()


def test_by_time_holds_out_the_days(log):
    clicks = clicks_of(log, "time")
    user = clicks.user()
    position = np.arange(len(user))
    for split, first in (("valid", log.valid_start), ("test", log.test_start)):
        np.testing.assert_array_equal(clicks.event >= first[user], position >= clicks.starts(split)[user])


def test_a_mistake_in_the_protocol_and_a_log_without_clicks(log, tmp_path):
    with pytest.raises(UsageError, match=r"--config\.protocol=random: one of time, leave_one_out"):
        clicks_of(log, "random")
    short = random_timelines.write(tmp_path / "timelines", lengths=[3, 3, 2])
    with pytest.raises(DataError, match=r"no clicks are left under --config\.protocol=leave_one_out"):
        clicks_of(short, "leave_one_out")
