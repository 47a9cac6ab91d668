import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from data.engagement import LEVELS, engagement
from tests.logs import impression_log
from tests.logs.impression_log import DAY_MS, START_MS

NOW = START_MS + 14 * DAY_MS


def _log(days_of_users):
    # Users with events on the given days after START_MS.
    times = [START_MS + int(day * DAY_MS) + 1 for days in days_of_users for day in days]
    user = np.repeat(np.arange(len(days_of_users)), [len(days) for days in days_of_users])
    return SimpleNamespace(
        manifest={"test_start_ms": NOW},
        timestamp_ms=np.array(times, np.int64),
        num_users=len(days_of_users),
        user_of_event=lambda: user,
    )


def _names(log):
    return [LEVELS[level] for level in engagement(log, split="test")]


def test_levels_compare_the_week_before_with_the_one_before_that():
    early, late = [1, 2, 3], [8, 9, 10]
    assert _names(
        _log(
            [
                early + late,
                early + 2 * late,
                2 * early + late,
                early,
                [],
                [1, 2, 3, 4, 8, 9, 9, 9, 9, 9],  # 6 against 4: exactly 1.5 times
            ]
        )
    ) == ["maturity", "growth", "recession", "low_activity", "low_activity", "maturity"]


def test_a_short_log_is_halved():
    def shifted(days):
        return [10 + day / 3.5 for day in days]  # four days of log

    levels = _names(_log([shifted([0, 8, 8, 9, 10]), shifted([0, 6, 8, 8, 9, 10])]))
    assert levels == ["growth", "growth"]
    assert _names(_log([shifted([0, 1, 2, 8, 9, 10])])) == ["maturity"]


def test_what_comes_after_the_split_begins_is_not_read(tmp_path):
    log = impression_log.write(tmp_path / "log")
    time = np.asarray(log.timestamp_ms).copy()
    kept = time < log.manifest["test_start_ms"]
    later = dataclasses.replace(log, timestamp_ms=np.where(kept, time, time + 5 * DAY_MS))
    np.testing.assert_array_equal(engagement(log, split="test"), engagement(later, split="test"))


@pytest.mark.parametrize("times", [[], [0, 0, 0]])
def test_without_known_times_all_are_of_low_activity(times):
    log = _log([[]])
    log.timestamp_ms = np.array(times, np.int64)
    log.user_of_event = lambda: np.zeros(len(times), int)
    assert _names(log) == ["low_activity"]
