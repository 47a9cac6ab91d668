"""Batches of click sequences against a loop over events; leave-one-out's core; windows, epochs and label correction."""

import dataclasses

import numpy as np
import pytest

from data.feedback import has
from data.timelines import EARLIER_MS
from runtime.errors import DataError, UsageError
from satisfaction.saqrec.clicks import clicks_of
from satisfaction.saqrec.sequences import Histories, SequenceBatches
from satisfaction.splits import is_click
from tests.logs import random_timelines

LENGTH, SATISFIED, DISSATISFIED = 6, 3, 2


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[40, 25, 3, 60, 1, 30], num_items=12, seed=3)


@pytest.fixture(scope="module")
def answers(log):
    return np.where(has(log.feedback, "dislike"), 0, np.where(has(log.feedback, "like"), 1, -1)).astype(np.int8)


def histories_of(log, answers, protocol="time", train_on=("train",)):
    imputed = np.random.default_rng(0).random(len(log.item)).astype(np.float32)
    clicks = clicks_of(log, protocol)
    sizes = {"length": LENGTH, "satisfied_length": SATISFIED, "dissatisfied_length": DISSATISFIED}
    return Histories(clicks, log, answers=answers, satisfaction=imputed, train_on=train_on, **sizes), imputed


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
    batches = SequenceBatches(histories, batch_size=2, num_epochs=3, correct_from=2, seed=0)
    trained = np.arange(len(clicks.item)) < clicks.valid_start[clicks.user()]
    expected = np.bincount(clicks.item[trained], minlength=13)
    for epoch in range(3):
        counts, corrects, shapes = np.zeros(13, int), set(), {}
        for index in range(batches.batches_per_epoch):
            batch = batches[epoch * batches.batches_per_epoch + index]
            place = batch["label_place"][batch["label_weight"] > 0]
            assert len(set(place)) == len(place)
            counts += np.bincount(batch["label"].reshape(-1)[place], minlength=13)
            corrects |= set(batch["corrects"])
            shapes.setdefault(batch["item"].shape, set()).add(batch["label_place"].shape)
        np.testing.assert_array_equal(counts, expected)
        assert corrects == {epoch >= 2}
        # Windows of at most 6 // 3 clicks are three times as many a row; each shape is compiled once.
        assert set(shapes) == {(2, 6), (6, 2)}
        assert all(len(capacities) == 1 for capacities in shapes.values())
    assert batches.labels_per_epoch == expected.sum()


def test_shards_have_the_same_labels_each_in_its_own_rows(log, answers):
    histories, _ = histories_of(log, answers)
    options = {"batch_size": 4, "num_epochs": 1, "correct_from": 0, "seed": 0}
    whole, halves = (SequenceBatches(histories, num_shards=n, **options) for n in (1, 2))
    assert len(whole) == len(halves)
    used = np.zeros(2, bool)
    for index in range(len(whole)):
        expected, found = whole[index], halves[index]
        np.testing.assert_array_equal(found["item"], expected["item"])
        real, half = found["label_weight"] > 0, found["label"].size // 2
        place = found["label_place"] + np.array([[0], [half]])
        assert set(place[real]) == set(expected["label_place"][expected["label_weight"] > 0])
        used |= real.any(axis=1)
    assert used.all()


def test_what_two_hosts_load_is_together_the_whole_batch(log, answers):
    histories, _ = histories_of(log, answers)
    options = {"batch_size": 4, "num_epochs": 2, "correct_from": 1, "seed": 0, "num_shards": 4}
    whole = SequenceBatches(histories, **options)
    hosts = [SequenceBatches(histories, shard=part, **options) for part in (slice(0, 3), slice(3, 4))]
    for index in range(len(whole)):
        parts = [host[index] for host in hosts]
        assert [len(part["label_place"]) for part in parts] == [3, 1]
        for name, array in whole[index].items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array, err_msg=name)


def test_rows_that_the_shards_do_not_divide(log, answers):
    histories, _ = histories_of(log, answers)
    with pytest.raises(UsageError, match=r"--config\.align\.batch_size=6: not divisible by the 4 devices"):
        SequenceBatches(histories, batch_size=6, num_epochs=1, correct_from=0, seed=0, num_shards=4)


def test_validation_clicks_are_labels_where_asked_for(log, answers):
    log = dataclasses.replace(log, timestamp_ms=np.asarray(log.timestamp_ms) * 10_000_000)
    histories, _ = histories_of(log, answers, train_on=("train", "valid"))
    clicks = histories.clicks
    batches = SequenceBatches(histories, batch_size=64, num_epochs=1, correct_from=0, seed=0)
    known = np.arange(len(clicks.item)) < clicks.test_start[clicks.user()]
    assert batches.labels_per_epoch == known.sum()
    only_train, _ = histories_of(log, answers)
    assert histories.counts.sum() > only_train.counts.sum()


def test_labels_with_a_time_weigh_more(log, answers):
    half = dataclasses.replace(log, timestamp_ms=np.where(np.arange(len(log.item)) % 2 > 0, 5, EARLIER_MS))
    histories, _ = histories_of(half, answers)
    clicks = histories.clicks
    batches = SequenceBatches(histories, batch_size=4, num_epochs=1, correct_from=0, seed=0, dated_weight=3.0)
    found = sum(batches[index]["label_weight"].sum() for index in range(len(batches)))
    dated = clicks.event[clicks.learned(("train",))] % 2 > 0
    assert found == 3 * dated.sum() + (~dated).sum()


def test_leave_one_out_keeps_the_core_and_holds_out_the_last_two_clicks(log):
    clicks = clicks_of(log, "leave_one_out")
    users, test = clicks.targets("test")
    _, valid = clicks.targets("valid")
    np.testing.assert_array_equal(test, clicks.offsets[users + 1] - 1)
    between = (np.arange(len(clicks.item)) > valid[:, None]) & (np.arange(len(clicks.item)) < test[:, None])
    assert not (between & (clicks.target > 0)).any()  # of the core
    assert (np.diff(clicks.offsets)[users] >= 5).all()
    # Users outside the core have no target, and all of their clicks on its items may be learned from.
    others = np.setdiff1d(np.arange(log.num_users), users)
    user = log.user_of_event()
    clicked = is_click(log)
    assert clicked[np.isin(user, others)].sum() > 0
    for other in others:
        np.testing.assert_array_equal(clicks.event[clicks.user() == other], np.flatnonzero(clicked & (user == other)))
    assert clicks.learned(("train",))[np.isin(clicks.user(), others)].all()
    np.testing.assert_array_equal(clicks.corpus[clicks.item], log.item[clicks.event])
    assert (np.bincount(clicks.item)[1:] > 0).all()


def test_a_history_is_whole_and_only_the_core_is_asked_for(log, answers):
    """Of each held-out click: the last clicks before it, on whatever item; no other item is a label or a count."""
    rare = np.flatnonzero(is_click(log) & (np.asarray(log.item) == 12))[4:]  # item 12 keeps four clicks
    log = dataclasses.replace(
        log, item=np.where(np.isin(np.arange(len(log.item)), rare), 11, log.item).astype(np.int32)
    )
    histories, _ = histories_of(log, answers, "leave_one_out")
    clicks, user_of = histories.clicks, log.user_of_event()
    assert (clicks.target == 0).any(), "the log has no click outside the core: nothing is tested"
    users, test = clicks.targets("test")
    assert clicks.target[test].all()
    for user, at, row in zip(users, test, histories.before(test)["item"], strict=True):
        own = np.flatnonzero(is_click(log) & (user_of == user) & (np.arange(len(log.item)) < clicks.event[at]))
        np.testing.assert_array_equal(clicks.corpus[row[row > 0]], log.item[own[-LENGTH:]])
    batches = SequenceBatches(histories, batch_size=4, num_epochs=1, correct_from=0, seed=0)
    found = np.zeros(len(clicks.corpus), int)
    for index in range(len(batches)):
        batch = batches[index]
        place = batch["label_place"][batch["label_weight"] > 0]
        found += np.bincount(batch["label"].reshape(-1)[place], minlength=len(found))
    learned = clicks.item[clicks.learned(("train",)) & (clicks.target > 0)]
    np.testing.assert_array_equal(found, np.bincount(learned, minlength=len(found)))
    assert batches.labels_per_epoch == len(learned)
    assert histories.counts.shape[1] == clicks.num_items + 1


def test_a_kind_of_answer_that_no_training_click_knows_of_is_not_read(log, answers):
    """A dislike that only held-out clicks have before them: nothing was ever trained to read it."""
    later = np.where(np.arange(len(log.item)) >= log.valid_start[log.user_of_event()], answers, -1).astype(np.int8)
    histories, _ = histories_of(log, np.where(answers == 1, 1, later).astype(np.int8))
    clicks = histories.clicks
    row = histories.before(clicks.targets("test")[1])
    assert row["satisfied_count"].any()
    assert not row["dissatisfied"].any()
    assert not row["dissatisfied_count"].any()


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
