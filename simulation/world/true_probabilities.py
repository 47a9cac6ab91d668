"""Writes the feed's own probabilities of each reaction at the impressions of timelines, for `simulation.ceiling`."""

import numpy as np
from numpy.typing import NDArray

from data import event_artifacts, feedback
from data.timelines import Timelines
from data.watch_time import RELATIVE, WATCH_FEEDBACK, thresholds, watch_feedback
from metrics import binary
from runtime import artifact
from runtime.formats import TRUE_PROBABILITIES
from runtime.progress import progress
from runtime.workdir import METRICS, begin
from simulation.world.chances import TASKS, chances
from simulation.world.matching import numbers
from simulation.world.state import World, open_world

FOLDER = "truth"
_CHUNK = 4096  # impressions at a time: each has a row of its user's aversions


def run(*, world: str, data: str, workdir: str | None) -> None:
    """Writes the artifact and metrics.json. Errors: UsageError where the timelines are not of this world."""
    feed, timelines = open_world(world), Timelines.open(data)
    identity = {"world": feed.config.to_dict(), "timelines": timelines.fingerprint}
    folder, complete = begin(workdir, identity)
    if complete:
        return
    positions = np.flatnonzero(timelines.in_split("valid", "test") & (timelines.timestamp_ms > 0))
    bounds = thresholds(timelines)[:, : len(RELATIVE)]
    values = np.full((len(timelines.item), len(TASKS)), np.nan, np.float32)
    values[positions] = true_probabilities(feed, timelines, positions, bounds)
    fields = {"tasks": list(TASKS), **event_artifacts.fields(timelines)}
    with artifact.writing(folder / FOLDER, **TRUE_PROBABILITIES._asdict(), fields=fields) as partial:
        np.save(partial / "probabilities.npy", values)
    artifact.write_json(folder / METRICS, _facts(values, timelines))
    print(f"{len(positions):,} impressions: {folder / FOLDER}")


def true_probabilities(
    world: World, timelines: Timelines, positions: NDArray[np.int64], above_ms: NDArray[np.float32]
) -> NDArray[np.float64]:
    """P(task) of simulation.world.chances.TASKS at event positions [n], as the users were just before: [n, K].

    Args: above_ms [N + 1, 2], of the items of the timelines.
    """
    users, items = numbers(timelines, world)
    user, time = users[timelines.user_of_event()[positions]], timelines.timestamp_ms[positions]
    item = timelines.item[positions]
    parts = []
    for start in progress(range(0, len(positions), _CHUNK), label="truth", unit="chunk"):
        part = slice(start, start + _CHUNK)
        environment = world.environment_at(user[part], time[part])  # one row an impression
        rows, shown = np.arange(len(item[part])), item[part]
        parts.append(chances(TASKS, environment, rows, items[shown], above_ms=above_ms[shown]))
    return np.concatenate(parts) if parts else np.zeros((0, len(TASKS)))


def _facts(values: NDArray[np.float32], timelines: Timelines) -> dict[str, float]:
    at = timelines.in_split("test") & (timelines.timestamp_ms > 0)
    if not at.any():
        return {"impressions": 0.0}
    watched = watch_feedback(timelines.play_ms[at], timelines.item[at], thresholds(timelines))
    bits, facts = timelines.feedback[at], {"impressions": float(at.sum())}
    for column, task in enumerate(TASKS):
        came_true = watched[task] if task in WATCH_FEEDBACK else feedback.has(bits, task)
        facts |= {f"{task}/probability": float(values[at, column].mean()), f"{task}/observed": float(came_true.mean())}
        facts[f"{task}/auc"] = binary.auc(values[at, column], came_true)
    return {name: value for name, value in facts.items() if np.isfinite(value)}
