"""What is measured of a prepared log before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from data import feedback
from pipelines.systems.feed.log import Log
from tests.logs import random_timelines


@pytest.fixture
def timelines(tmp_path: Path):
    return random_timelines.write(tmp_path / "log", lengths=[30] * 20, without=("dislike",))


def test_counts_are_of_events_of_known_time_by_split(timelines) -> None:
    log, found = timelines, Log.measured(timelines)
    known = log.timestamp_ms > 0
    for split in ("train", "valid", "test"):
        likes = feedback.has(log.feedback, "like") & log.in_split(split) & known
        assert found.happened[split]["like"] == likes.sum() > 0
        assert found.happened[split]["dislike"] == 0
    assert (found.users, found.items, found.events) == (20, log.num_items, len(log.item))


def test_labels_are_positives_with_something_before_them(timelines) -> None:
    log, found = timelines, Log.measured(timelines, positive=("like",))
    first = np.isin(np.arange(len(log.item)), log.offsets[:-1])
    assert found.labels == (feedback.has(log.feedback, "like") & log.in_split("train") & ~first).sum()
    assert found.unmet["valid"] == len(log.held_out("valid", ("like",))[0])


def test_a_task_of_one_answer_cannot_be_learned(timelines) -> None:
    found = Log.measured(timelines)
    assert "dislike" not in found.tasks
    assert {"click", "like"} <= set(found.tasks) <= set(found.possible)


def test_the_user_who_has_clicked_most_leaves_fewest(timelines) -> None:
    log = timelines
    clicked = feedback.has(log.feedback, "click")
    most = max(len(set(log.item[clicked & (log.user_of_event() == user)])) for user in range(log.num_users))
    assert Log.measured(log).never_clicked == log.num_items - most


def test_what_was_measured_is_kept_until_the_log_is_another(tmp_path: Path, timelines) -> None:
    memory = tmp_path / "memory.json"
    found = Log.of(timelines.path, (), memory)
    written = memory.stat().st_mtime_ns
    again = Log.of(timelines.path, (), memory)
    assert (again.happened, again.traits) == (found.happened, found.traits)
    assert memory.stat().st_mtime_ns == written
    random_timelines.write(tmp_path / "other", lengths=[30] * 9)
    assert Log.of(tmp_path / "other", (), memory).users == 9
