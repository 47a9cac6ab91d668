"""A log of likes and hates as timelines, and what models learn from and are measured on: for benchmarks."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data import assembly, feedback, ranges, timelines
from data.raw.tables import Tables
from data.timelines import Timelines
from runtime.errors import UsageError
from satisfaction.saqrec import base
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.features import PairFeatures, make_features

_COLUMNS = {
    "user_id": "user_id",
    "video_id": "item_id",
    "time_ms": "timestamp_ms",
    "is_click": "click",
    "is_like": "like",
    "is_hate": "dislike",
    "long_view": "long_view",
    "play_time_ms": "play_ms",
    "duration_ms": "duration_ms",
}


@dataclasses.dataclass(frozen=True)
class Task:
    """Rows x [n, F] and likes y [n] to learn from and to be measured on; positions are those of the timelines."""

    features: PairFeatures
    timelines: Timelines
    likes: NDArray[np.int8]  # [E] 1 like, 0 hate
    trained: NDArray[np.bool_]  # [E] bool
    held_out: NDArray[np.int64]  # [m] positions, a like and a hate of each user in it

    def rows(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """What PairModel makes of an impression before it learns anything: [n, 2 + A]."""
        part = self.features.events(positions)
        dot = (part["user"] * part["item"]).sum(axis=1)
        norm = np.sqrt(np.square(part["user"]).sum(axis=1) * np.square(part["item"]).sum(axis=1))
        cosine = np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0)
        return np.column_stack([cosine, dot / part["user"].shape[1], part["attributes"]])


def read_timelines(path: str, folder: Path) -> Timelines:
    """Timelines whose test split is each user's last like and last hate, and whose validation is those before them."""
    if not Path(path).is_file():
        raise UsageError(f"--data={path}: no such file")
    log = pl.read_csv(path, glob=False)
    missing = [name for name in _COLUMNS if name not in log.columns]
    if missing:
        raise UsageError(f"--data={path}: no column {missing[0]}; give a KuaiRand log")
    events = log.select([pl.col(source).alias(name) for source, name in _COLUMNS.items()])
    if not ((events["like"] + events["dislike"]) == 1).all():
        raise UsageError(f"--data={path}: holds rows that are no like and no hate; leave them out")
    made = assembly.assemble(Tables(events, None, None, None, len(events)))
    arrays = dict(made.arrays)
    user = ranges.owners(np.diff(arrays["offsets"]))
    likes = feedback.has(arrays["feedback"], "like")
    from_end = np.zeros(len(user), np.int64)  # 1 for a user's last like, and last hate, 2 for the one before
    for kind in (likes, ~likes):
        at = np.flatnonzero(kind)
        count = np.bincount(user[at], minlength=user[-1] + 1)
        from_end[at] = np.repeat(count, count) - ranges.places(count)
    # Only users with both kinds left give a validation pair.
    pair = np.bincount(user[from_end == 2], minlength=user[-1] + 1) == 2
    split = np.where(from_end == 1, 2, np.where((from_end == 2) & pair[user], 1, 0))
    order = np.lexsort((np.arange(len(user)), split, user))
    for name in timelines.EVENT_DTYPES:
        arrays[name] = arrays[name][order]
    sizes = [np.bincount(user, split == part, len(arrays["offsets"]) - 1).astype(np.int64) for part in (0, 1)]
    arrays["valid_start"] = arrays["offsets"][:-1] + sizes[0]
    arrays["test_start"] = arrays["valid_start"] + sizes[1]
    dataclasses.replace(made, arrays=arrays).write(folder)
    return Timelines.open(folder)


def task_of(log: Timelines, config: ConfigDict, folder: Path, *, split: str) -> Task:
    """What is learned from, and measured, for a split: base recommender and rates know nothing of what is held out."""
    start, end = log.bounds(split)
    log = dataclasses.replace(log, valid_start=start, test_start=end)  # training ends where the split begins
    trained = log.in_split("train")
    embeddings, _ = base.train(config, log, folder / "base")
    given = answers(log, config.answers)
    features = make_features(embeddings, log, answers=given, trained=trained, seed=config.seed, answer_rates=True)
    return Task(features, log, given, trained, np.flatnonzero(log.in_split("valid")))
