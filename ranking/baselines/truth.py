"""The ceiling, a row that no ranker can beat: the probabilities by which a synthetic feed drew its labels.

Whoever made the log writes the folder (`python -m simulation.ceiling`): manifest.json with the tasks, the vocabulary's
hash and the number of events, and probabilities.npy, float32 [E, K]: P(label) of each event given all that is true of
user and item at that moment, NaN where nobody asked. The AUC of these is below 1 by what is chance.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data import event_artifacts
from data.timelines import Timelines
from ranking.predictions import KnownProbabilities
from runtime.errors import DataError, UsageError
from runtime.formats import TRUE_PROBABILITIES

FLAG = "--truth"


def read_truth(path: str | os.PathLike[str], timelines: Timelines, tasks: Sequence[str]) -> KnownProbabilities:
    """The truth of those of `tasks` that the feed knows.

    Errors: UsageError where it is of other events, or knows none of the tasks; DataError where the array is none.
    """
    manifest = event_artifacts.open_manifest(path, timelines, **TRUE_PROBABILITIES._asdict(), flag=FLAG)
    known = list(manifest["tasks"])
    shared = [task for task in tasks if task in known]
    if not shared:
        raise UsageError(f"{FLAG}={path}: knows {', '.join(known)}, none of the tasks {', '.join(tasks)}; leave it out")
    values = np.load(Path(path) / "probabilities.npy")
    if values.shape != (len(timelines.item), len(known)):
        raise DataError(f"{path}/probabilities.npy: {values.shape}, not one row for each event; write it again")
    return KnownProbabilities(tuple(shared), values[:, [known.index(task) for task in shared]])
