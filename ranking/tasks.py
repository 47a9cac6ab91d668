"""What the ranker predicts: tasks by name, and their labels at each event."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data import event_artifacts, feedback
from data.timelines import Timelines
from data.watch_time import WATCH_FEEDBACK, watch_feedback
from runtime.errors import DataError, UsageError
from runtime.formats import SATISFACTION_SCORES

SATISFACTION = "satisfaction"
LOGGED = ("long_view", "click", "like", "dislike")
TASKS = (*WATCH_FEEDBACK, *LOGGED, SATISFACTION)
SOFT = 0.5  # a soft label of more is a positive


class Labels(NamedTuple):
    """values [E, K] float32 in [0, 1] and where [E, K] bool, in the order of the tasks."""

    values: NDArray[np.float32]
    where: NDArray[np.bool_]


def check(tasks: Sequence[str], timelines: Timelines, *, has_satisfaction: bool) -> None:
    """Errors: UsageError names a task that is unknown or given twice; DataError what the log lacks for a task."""
    for task in tasks:
        if task not in TASKS:
            raise UsageError(f"--config.tasks: no task '{task}'; one of {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) < len(tasks):
        raise UsageError(f"--config.tasks={tuple(tasks)}: name each task once, and at least one")
    possible = available(timelines, has_satisfaction=has_satisfaction)
    missing = [task for task in tasks if task not in possible]
    if not missing:
        return
    remaining = f"without it remain the tasks {', '.join(possible)}" if possible else "no task remains"
    if missing == [SATISFACTION]:
        raise UsageError(f"task satisfaction needs --satisfaction, the folder of satisfaction scores; {remaining}")
    lacks = [f"column {task}" for task in missing if task in LOGGED]
    watched = [task for task in missing if task in WATCH_FEEDBACK]
    if watched:
        lacks.insert(0, f"watch time (column play_ms), which {', '.join(watched)} need")
    raise DataError(f"{timelines.path}: the log has no {', nor '.join(lacks)}; {remaining}: set --config.tasks")


def default(timelines: Timelines) -> tuple[str, ...]:
    """The paper's EVV, FVV and GVV; in a log without watch time, what it has. Errors: DataError where that is none."""
    possible = available(timelines, has_satisfaction=False)
    if not possible:
        raise DataError(
            f"{timelines.path}: no watch time (column play_ms), and none of {', '.join(LOGGED)}: there is nothing to "
            "predict; give a log with one of them, or leave ranking out"
        )
    return tuple(task for task in possible if task in WATCH_FEEDBACK) or possible


def available(timelines: Timelines, *, has_satisfaction: bool) -> tuple[str, ...]:
    """The tasks that this log has labels for."""
    watched = WATCH_FEEDBACK if (timelines.play_ms[timelines.in_split("train")] >= 0).any() else ()
    logged = tuple(name for name in LOGGED if name in timelines.manifest["feedback"])
    return (*watched, *logged, *((SATISFACTION,) if has_satisfaction else ()))


def labels(
    tasks: Sequence[str],
    timelines: Timelines,
    thresholds_ms: NDArray[np.float32],
    satisfaction: NDArray[np.float32] | None,
) -> Labels:
    """The label of every task at every event, and where there is one.

    EVV, FVV and GVV where the watch time is known; logged feedback at events of known time, as earlier history does not
    say what was not clicked; satisfaction, a soft label, where its score is no NaN.
    """
    watched = watch_feedback(timelines.play_ms, timelines.item, thresholds_ms)
    values = np.zeros((len(timelines.item), len(tasks)), np.float32)
    where = np.zeros(values.shape, bool)
    for column, task in enumerate(tasks):
        if task in watched:
            values[:, column], where[:, column] = watched[task], timelines.play_ms >= 0
        elif task == SATISFACTION:
            if satisfaction is None:
                raise ValueError("satisfaction labels need satisfaction scores")
            where[:, column] = ~np.isnan(satisfaction)
            values[:, column] = np.nan_to_num(satisfaction)
        else:
            values[:, column], where[:, column] = feedback.has(timelines.feedback, task), timelines.timestamp_ms > 0
    return Labels(values, where)


def check_classes(tasks: Sequence[str], observed: Labels, positions: NDArray[np.int64], where: str) -> None:
    """Errors: DataError names a task that has one class only, or no label, at `positions`, the events of `where`."""
    for column, task in enumerate(tasks):
        values = observed.values[positions, column][observed.where[positions, column]]
        if not len(values) or values.min() == values.max():
            only = f"only the label {values[0]:g}" if len(values) else "no label"
            raise DataError(
                f"task {task} has {only} on the {where} days: there is nothing to tell apart; "
                "leave it out of --config.tasks, or give a log of more days"
            )


def read_satisfaction(path: str | os.PathLike[str] | None, timelines: Timelines) -> NDArray[np.float32] | None:
    """The satisfaction of each event, float32 [E] in [0, 1], NaN where unknown; None without a path.

    Errors: UsageError where the scores are of other timelines, or have learned from the validation and test days;
    DataError where they are no probabilities.
    """
    if not path:
        return None
    manifest = event_artifacts.open_manifest(path, timelines, **SATISFACTION_SCORES._asdict(), flag="--satisfaction")
    if manifest["protocol"] != "time":
        raise UsageError(
            f"--satisfaction={path}: made with --config.protocol={manifest['protocol']}, from days that rankers are "
            "measured on; give scores of satisfaction.train --config.protocol=time"
        )
    scores = np.load(Path(path) / "satisfaction.npy")
    if scores.shape != timelines.item.shape or not np.all(np.isnan(scores) | ((scores >= 0) & (scores <= 1))):
        raise DataError(f"{path}/satisfaction.npy: not one number between 0 and 1 for each event; write it again")
    return scores.astype(np.float32)
