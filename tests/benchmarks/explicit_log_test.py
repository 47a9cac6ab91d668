"""The likes and dislikes of a log: which are held out, and which logs are refused."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from benchmarks.explicit_feedback.log import likes_and_dislikes
from data import assembly, feedback
from data.raw.tables import Tables
from data.timelines import Timelines
from runtime.errors import UsageError

_START_MS = 1_600_000_000_000


def log_of(folder, rows):
    """Timelines of (user, item, time, "like", "dislike" or "") rows."""
    user, item, time, said = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"user_id": user, "item_id": item, "timestamp_ms": _START_MS + time}
    columns |= {name: (said == name).astype(np.int8) for name in ("like", "dislike")}
    events = pl.DataFrame(columns)
    assembly.assemble(Tables(events, None, None, None, len(events))).write(folder)
    return Timelines.open(folder)


def said_in(log, split, user_id):
    """When a user's rows of a split happened, and whether they were likes."""
    user = log.users["user_id"].to_list().index(user_id)
    own = np.flatnonzero(log.in_split(split) & (log.user_of_event() == user))
    times = log.timestamp_ms[own] - _START_MS
    return list(zip(times.tolist(), feedback.has(log.feedback[own], "like").tolist(), strict=True))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    alternating = [(7, 10 + t, t, ("like", "dislike", "")[t % 3]) for t in range(1, 10)]
    few = [(9, 10, 11, "like"), (9, 11, 12, "dislike"), (9, 12, 13, "like")]
    content = [(3, 10, 1, "like"), (3, 11, 2, "like"), (3, 12, 3, "")]
    return log_of(tmp_path_factory.mktemp("log"), [*few, *reversed(alternating), *content])


def test_the_last_like_and_dislike_are_test_and_those_before_them_validate(log):
    found = likes_and_dislikes(log)
    assert said_in(found, "test", 7) == [(7, False), (9, True)]
    assert said_in(found, "valid", 7) == [(4, False), (6, True)]
    assert said_in(found, "train", 7) == [(1, False), (3, True)]
    # One like is left besides the last of each kind: no pair, so it is learned from.
    assert said_in(found, "test", 9) == [(12, False), (13, True)]
    assert said_in(found, "valid", 9) == []
    assert said_in(found, "train", 9) == [(11, True)]
    # Who gave likes alone is asked nothing.
    assert said_in(found, "train", 3) == [(1, True), (2, True)]
    assert said_in(found, "test", 3) == []
    assert len(found.item) == 6 + 3 + 2


def test_in_a_log_of_ratings_a_like_is_what_the_base_recommender_learns_from(log):
    found = likes_and_dislikes(log)
    likes = feedback.has(found.feedback, "like")
    np.testing.assert_array_equal(feedback.has(found.feedback, "long_view"), likes)
    clicked = dataclasses.replace(log, feedback=log.feedback | np.uint16(feedback.mask_of(["click"])))
    assert not feedback.has(likes_and_dislikes(clicked).feedback, "long_view").any()


def test_a_log_where_nobody_gave_both_is_refused(tmp_path):
    log = log_of(tmp_path, [(1, 2, 3, "like"), (1, 3, 4, "like"), (2, 2, 3, "dislike"), (2, 4, 5, "dislike")])
    with pytest.raises(UsageError, match=r"--data=.*: nobody has two likes and two dislikes or more"):
        likes_and_dislikes(log)
