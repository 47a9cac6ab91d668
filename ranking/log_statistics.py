"""The statistics of a log that a ranker is built on and served with: watch time thresholds, prior rates, user codes.

Taken once, when training begins, and kept as an artifact in the run's folder.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import feedback, vocabulary
from data.timelines import Timelines
from data.watch_time import RELATIVE, WATCHED, thresholds, watch_feedback, watch_known
from encoders.item_content import shares, standard_of, trained_codes
from ranking.model.features import Schema
from runtime import artifact
from runtime.errors import UsageError

KIND, VERSION = "ranking_log_statistics", 1
FOLDER = "log_statistics"
_MAX_CATEGORIES = 10_000  # a user attribute of more values is an id, not a profile


@dataclasses.dataclass(frozen=True)
class LogStatistics:
    """Row j describes item j, and row u + 1 user u; row 0 is padding, or a user that nobody knows.

    Attributes:
      thresholds: [N + 1, 6] ms, the watch times above which a play is EVV and so on (data/watch_time.py).
      prior: [W], the rate of each feedback of the history on the days that are trained on.
      user_features: [U + 1, P], codes of the users' attributes, 0 unknown.
      item_seen [N + 1], user_seen [U + 1], platform_seen [S + 1]: which have an event of known time on the days that
        are trained on; of the others no id can be learned.
      feedback_seen: [W], which feedback these events tell apart: some have it, and some are known not to.
      manifest: `history_feedback`, the W names; `user_features`, the {"name", "values"} of each; code 1 is the first.
    """

    thresholds: NDArray[np.float32]
    prior: NDArray[np.float32]
    user_features: NDArray[np.int32]
    item_seen: NDArray[np.bool_]
    user_seen: NDArray[np.bool_]
    platform_seen: NDArray[np.bool_]
    feedback_seen: NDArray[np.bool_]
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | os.PathLike[str], flag: str = "--checkpoint") -> "LogStatistics":
        """Reads the artifact; errors as artifact.open_manifest."""
        manifest = artifact.open_manifest(path, kind=KIND, version=VERSION, flag=flag)
        arrays = {field.name: np.load(Path(path) / f"{field.name}.npy") for field in _arrays()}
        return cls(**arrays, manifest=manifest)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the artifact."""
        with artifact.writing(path, kind=KIND, version=VERSION, fields=self.manifest) as folder:
            for field in _arrays():
                np.save(folder / f"{field.name}.npy", getattr(self, field.name))


def build(
    timelines: Timelines, history_feedback: Sequence[str], *, train_on: Sequence[str] = ("train",)
) -> LogStatistics:
    """The statistics of a log, on the days of all splits that are trained on.

    Only the thresholds, which say what EVV and FVV are, are of the training days alone: a model that learns from more
    days is then measured by the same labels. Errors: UsageError names unknown history feedback.
    """
    for name in history_feedback:
        if name not in WATCHED and name not in feedback.BITS:
            known = ", ".join((*WATCHED, *feedback.BITS))
            raise UsageError(f"--config.history_feedback: no feedback '{name}'; one of {known}")
    bounds = thresholds(timelines)
    observed, is_known = outcomes(timelines, history_feedback, bounds)
    learned = timelines.in_split(*train_on)
    met = learned & (timelines.timestamp_ms > 0)
    count = is_known[met].sum(axis=0)
    prior = (observed & is_known)[met].sum(axis=0) / np.maximum(count, 1)
    yes, no = ((value & is_known)[learned].any(axis=0) for value in (observed, ~observed))
    codes, features = _user_features(timelines.users)
    surfaces = len(timelines.manifest.get("surfaces", ())) + 1
    return LogStatistics(
        thresholds=bounds,
        prior=np.clip(prior, 1e-3, 1 - 1e-3).astype(np.float32),
        user_features=codes,
        item_seen=np.bincount(timelines.item[met], minlength=timelines.num_items + 1) > 0,
        user_seen=np.bincount(timelines.user_of_event()[met] + 1, minlength=timelines.num_users + 1) > 0,
        platform_seen=np.bincount(timelines.surface[met], minlength=surfaces) > 0,
        feedback_seen=np.logical_and(yes, no),
        manifest={
            "history_feedback": list(history_feedback),
            "user_features": features,
            "vocabulary_hash": timelines.manifest["vocabulary_hash"],
        },
    )


def outcomes(
    timelines: Timelines, names: Sequence[str], thresholds_ms: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each event has each of the named feedback, and whether that is known: bool [E, W] each.

    In earlier history a feedback is known where any event there has it; one that none has was not logged at the time.
    """
    plays = timelines.play_ms, timelines.item, thresholds_ms
    watched, is_known = watch_feedback(*plays), watch_known(*plays)
    earlier = timelines.timestamp_ms <= 0
    values = np.zeros((len(timelines.item), len(names)), bool)
    known = np.zeros_like(values)
    for column, name in enumerate(names):
        if name in watched:
            values[:, column], known[:, column] = watched[name], is_known[name]
        else:
            values[:, column] = feedback.has(timelines.feedback, name)
            known[:, column] = ~earlier | values[earlier, column].any()
    return values, known


def schema(timelines: Timelines, statistics: LogStatistics, *, model_shards: int = 1) -> Schema:
    """The model's constants; id tables are rounded up to a multiple of `model_shards` rows.

    A category that no event to learn from has counts as unknown, 0.
    """
    content = timelines.item_content()
    codes = trained_codes(content.codes, statistics.item_seen, content.owner)

    def rounded(array: NDArray[Any]) -> NDArray[Any]:
        return np.pad(array, [(0, -len(array) % model_shards)] + [(0, 0)] * (array.ndim - 1))

    users = statistics.manifest["user_features"]
    return Schema(
        item_codes=rounded(codes),
        item_shares=rounded(_shares_with_unknown(codes, content.owner)),
        item_owner=content.owner,
        item_embedded=rounded(standard_of(content, statistics.item_seen)(content.embeddings)),
        item_cardinalities=content.cardinalities,
        item_names=content.names,
        user_features=rounded(trained_codes(statistics.user_features, statistics.user_seen)),
        user_cardinalities=[len(feature["values"]) + 1 for feature in users],
        user_names=[feature["name"] for feature in users],
        item_seen=rounded(statistics.item_seen),
        user_seen=rounded(statistics.user_seen),
        item_numbers=rounded(_item_numbers(timelines.item_column("duration_ms"), statistics.thresholds)),
        creator=rounded(timelines.item_column("creator").astype(np.int32)),
        cluster=rounded(timelines.item_column("cluster").astype(np.int32)),
        platform_seen=statistics.platform_seen,
        feedback=statistics.manifest["history_feedback"],
        feedback_seen=statistics.feedback_seen,
        prior=statistics.prior,
    )


def _shares_with_unknown(codes: NDArray[np.int32], owner: Sequence[int]) -> NDArray[np.float32]:
    # As `shares`, and that of an item of which no category is known is the code 0: unknown is a state like any other.
    weights = shares(codes, owner)
    for feature in set(owner):
        columns = np.flatnonzero(np.asarray(owner) == feature)
        weights[weights[:, columns].sum(axis=1) == 0, columns[0]] = 1
    return weights


def _item_numbers(duration_ms: NDArray[np.int64], thresholds_ms: NDArray[np.float32]) -> NDArray[np.float32]:
    # Duration, whether it is known, the thresholds of EVV and FVV, and what part of the duration they are: [rows, 6].
    duration = np.maximum(duration_ms, 0)[:, None] / 1000
    relative = thresholds_ms[:, : len(RELATIVE)]
    bounds = np.where(np.isfinite(relative), relative, 0) / 1000  # infinite in a log without watch times
    part = np.where(duration > 0, np.log1p(bounds) - np.log1p(duration), 0)
    numbers = [np.log1p(duration) / 3, duration > 0, np.log1p(bounds) / 3, part]
    return np.concatenate(numbers, axis=1).astype(np.float32)


def _user_features(users: pl.DataFrame) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    codes: list[NDArray[np.int32]] = []
    features = []
    for name in users.columns:
        values = vocabulary.build(users[name])
        if name != "user_id" and 1 < len(values) <= _MAX_CATEGORIES:
            codes.append(np.concatenate([[0], vocabulary.encode(users[name], values)]).astype(np.int32))
            features.append({"name": name, "values": values.to_list()})
    return np.stack(codes, axis=1) if codes else np.zeros((len(users) + 1, 0), np.int32), features


def _arrays() -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(LogStatistics) if field.name != "manifest"]
