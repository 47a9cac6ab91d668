"""A log of likes and hates: which rows are held out, and which logs are refused."""

import numpy as np
import polars as pl
import pytest

from benchmarks.explicit_feedback.log import read_timelines
from data import feedback
from runtime.errors import UsageError


def write(folder, rows):
    """A KuaiRand log of (user, video, time, like) rows; whoever likes clicked."""
    user, video, time, like = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"user_id": user, "video_id": video, "time_ms": time, "is_click": like, "is_like": like}
    columns |= {"is_hate": 1 - like, "long_view": like, "play_time_ms": 5_000 * like, "duration_ms": 9_000 + 0 * like}
    pl.DataFrame(columns).write_csv(folder / "log.csv")
    return str(folder / "log.csv")


def times_of(log, split, user):
    """When user's rows of a split happened, and whether they were likes."""
    own = np.flatnonzero(log.in_split(split) & (log.user_of_event() == user))
    return sorted(zip(log.timestamp_ms[own], feedback.has(log.feedback[own], "like"), strict=True))


def test_the_last_like_and_hate_are_test_and_those_before_them_validate(tmp_path):
    alternating = [(7, 10 + t, t, t % 2) for t in range(1, 7)]
    few = [(9, 10, 11, 1), (9, 11, 12, 0), (9, 12, 13, 1)]
    log = read_timelines(write(tmp_path, [*few, *reversed(alternating)]), tmp_path / "timelines")
    first, second = (int(np.flatnonzero(log.users["user_id"] == user)[0]) for user in (7, 9))
    assert times_of(log, "test", first) == [(5, True), (6, False)]
    assert times_of(log, "valid", first) == [(3, True), (4, False)]
    assert times_of(log, "train", first) == [(1, True), (2, False)]
    # One like is left besides the last of each kind: no pair, so it is learned from.
    assert times_of(log, "test", second) == [(12, False), (13, True)]
    assert times_of(log, "valid", second) == []
    assert times_of(log, "train", second) == [(11, True)]


def test_a_log_that_is_no_such_log(tmp_path):
    with pytest.raises(UsageError, match=r"--data=.*nowhere\.csv: no such file"):
        read_timelines(str(tmp_path / "nowhere.csv"), tmp_path / "timelines")
    path = write(tmp_path, [(1, 2, 3, 1)])
    frame = pl.read_csv(path)
    frame.drop("is_hate").write_csv(path)
    with pytest.raises(UsageError, match=r"--data=.*: no column is_hate; give a KuaiRand log"):
        read_timelines(path, tmp_path / "timelines")
    frame.with_columns(is_like=pl.lit(0)).write_csv(path)
    with pytest.raises(UsageError, match="holds rows that are no like and no hate; leave them out"):
        read_timelines(path, tmp_path / "timelines")
