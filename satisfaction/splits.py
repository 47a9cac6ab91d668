"""What counts as a click, and which events a model may learn from: by time, or leave-one-out on clicks."""

import numpy as np
from numpy.typing import NDArray

from data import feedback
from data.timelines import EARLIER_MS, Timelines
from runtime.errors import UsageError

PROTOCOLS = ("time", "leave_one_out")
CORE = 5  # least clicks of a user and of an item in leave-one-out, as in the paper's data


def is_click(timelines: Timelines) -> NDArray[np.bool_]:
    """bool [E]: clicks; in a log without clicks, and in earlier history that records none, long views."""
    bits = np.asarray(timelines.feedback)
    long_view = feedback.has(bits, "long_view")
    if "click" not in timelines.manifest["feedback"]:
        return long_view
    return np.where(is_earlier(timelines), feedback.has(bits, "click", "long_view"), feedback.has(bits, "click"))


def is_earlier(timelines: Timelines) -> NDArray[np.bool_]:
    """bool [E]: earlier history, whose times are unknown."""
    return np.asarray(timelines.timestamp_ms) == EARLIER_MS


def core(users: NDArray[np.int32], items: NDArray[np.int32], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of `where` [E] in which every user and every item has at least CORE events, bool [E]."""
    kept = where.copy()
    while True:
        per_user, per_item = np.bincount(users[kept]), np.bincount(items[kept])
        lost = kept.copy()
        lost[kept] = (per_user[users[kept]] < CORE) | (per_item[items[kept]] < CORE)
        if not lost.any():
            return kept
        kept &= ~lost


def held_out_clicks(timelines: Timelines) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Leave-one-out: (users [M], position of the validation click [M], position of the test click [M]).

    A user's last click of the 5-core of the log's clicks (earlier history aside) is test, the one before it validation.
    """
    user = timelines.user_of_event()
    clicks = core(user, np.asarray(timelines.item), is_click(timelines) & ~is_earlier(timelines))
    position = np.flatnonzero(clicks)
    last = np.flatnonzero(np.diff(user[position], append=-1) != 0)  # of each user, in `position`
    return user[position[last]].astype(np.int64), position[last - 1], position[last]


def training_end(timelines: Timelines, protocol: str) -> NDArray[np.int64]:
    """Where each user's training events end, [U]: at the validation days, or at the validation click."""
    if protocol not in PROTOCOLS:
        raise UsageError(f"--config.protocol={protocol}: one of {', '.join(PROTOCOLS)}")
    if protocol == "time":
        return np.asarray(timelines.valid_start)
    end = np.array(timelines.offsets[1:])
    users, valid, _ = held_out_clicks(timelines)
    end[users] = valid
    return end


def in_training(timelines: Timelines, protocol: str) -> NDArray[np.bool_]:
    """bool [E]: the events before `training_end`."""
    return np.arange(len(timelines.item)) < training_end(timelines, protocol)[timelines.user_of_event()]
