"""The scores artifact: for every impression of the timelines, how satisfied its user is likely to be.

manifest.json       vocabulary_hash, events (data/event_artifacts.py), method (the estimator), clip (M of equation 6),
                    protocol (satisfaction/splits.py: which events the scores have learned from)
satisfaction.npy    float32 [E], ŝ of equation 1, aligned with the events of the timelines
propensity.npy      float32 [E], ô of equation 5, before clipping
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import event_artifacts
from data.timelines import Timelines
from runtime import artifact
from runtime.errors import DataError
from runtime.formats import SATISFACTION_SCORES


@dataclasses.dataclass(frozen=True)
class Scores:
    """An opened artifact: probabilities in [0, 1], one per event, as read-only memory maps."""

    satisfaction: NDArray[np.float32]  # [E]
    propensity: NDArray[np.float32]  # [E]
    manifest: dict[str, Any]


def write(
    path: str | os.PathLike[str],
    timelines: Timelines,
    *,
    satisfaction: ArrayLike,
    propensity: ArrayLike,
    method: str,
    clip: float,
    protocol: str,
) -> None:
    """Writes the artifact at `path`, whole or not at all.

    Errors: ValueError where a column is not [E]; DataError where it holds anything but probabilities.
    """
    columns = {"satisfaction": np.asarray(satisfaction), "propensity": np.asarray(propensity)}
    num_events = len(timelines.item)
    for name, column in columns.items():
        if column.shape != (num_events,):
            raise ValueError(f"{name} is {column.shape}, the timelines have {num_events} events")
        wrong = np.flatnonzero(~((column >= 0) & (column <= 1)))
        if len(wrong):
            raise DataError(f"{name} of event {wrong[0]} is {column[wrong[0]]}, no probability; train the model again")
    fields = {**event_artifacts.fields(timelines), "method": method, "clip": clip, "protocol": protocol}
    with artifact.writing(path, **SATISFACTION_SCORES._asdict(), fields=fields) as folder:
        for name, column in columns.items():
            np.save(folder / f"{name}.npy", column.astype(np.float32))


def open_scores(path: str | os.PathLike[str], timelines: Timelines, flag: str) -> Scores:
    """Opens the artifact after checking its files; errors name `flag`.

    Errors: those of `event_artifacts.open_manifest`.
    """
    manifest = event_artifacts.open_manifest(path, timelines, **SATISFACTION_SCORES._asdict(), flag=flag)
    folder = Path(path)
    satisfaction, propensity = (
        np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ("satisfaction", "propensity")
    )
    return Scores(satisfaction, propensity, manifest)
