"""The model of a training run: built from its config and its log's statistics, or read from its folder, trained."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from ranking import tasks as ranking_tasks
from ranking.inputs import Impressions
from ranking.log_statistics import FOLDER, LogStatistics, schema
from ranking.model.ranker import RankingModel
from runtime.artifact import MANIFEST, digest, read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, METRICS, is_complete
from training.architecture import Architecture, architecture
from training.chunks import by_chunks
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.settings import of_model

_CHUNK = 1024  # impressions at a time


def identity(
    config: ConfigDict, timelines: Timelines, satisfaction: str | None, *, model_shards: int = 1
) -> dict[str, Any]:
    """What a training run is of: its config, its data, and what shapes the tables, the mesh's `model` axis."""
    scores = {"path": satisfaction, "digest": digest(Path(satisfaction) / MANIFEST)} if satisfaction else None
    return {
        "config": of_model(config),
        "timelines": timelines.fingerprint,
        "satisfaction": scores,
        "model_shards": model_shards,
    }


def build(
    config: ConfigDict, timelines: Timelines, statistics: LogStatistics, *, model_shards: int = 1
) -> Architecture[RankingModel]:
    """The model of `config` on the items and users of `timelines`; id tables are rounded up to `model_shards`.

    Errors: UsageError names the sizes that do not fit together.
    """
    constants = schema(timelines, statistics, model_shards=model_shards)
    try:
        return architecture(lambda rngs: RankingModel(constants, config, rngs=rngs))
    except ValueError as error:
        raise UsageError(f"--config: {error}") from None


class Ranker:
    """A trained model on its timelines: what evaluation and export need.

    `tasks` names the columns of what `predict` and `labels` return. `model` is the trained RankingModel; `statistics`
    what it took from the training days. `run` is a digest of the training run, "" of none: no two take the same time.
    """

    def __init__(
        self,
        merge: Callable[[Any], RankingModel],
        params: Any,
        config: ConfigDict,
        timelines: Timelines,
        statistics: LogStatistics,
        satisfaction: NDArray[np.float32] | None,
        run: str = "",
    ):
        self.config, self.statistics, self.run = config, statistics, run
        self.tasks: tuple[str, ...] = tuple(config.tasks)
        self._timelines, self._satisfaction = timelines, satisfaction
        self._labels: ranking_tasks.Labels | None = None
        self.impressions = Impressions(timelines, statistics, length=config.length)
        self._params, self._merge = params, merge
        self._logits = jax.jit(lambda params, inputs: merge(params)(inputs))

    def has_scores_of(self, other: "Ranker") -> bool:
        """Whether both have learned from the same satisfaction scores, or from none."""
        one, another = self._satisfaction, other._satisfaction
        return one is another or (one is not None and another is not None and np.array_equal(one, another))

    @property
    def model(self) -> RankingModel:
        """The model with its trained values."""
        return self._merge(self._params)

    def score(self, inputs: Mapping[str, Any]) -> jax.Array:
        """Probabilities [B, C, K] of the inputs that ranking/inputs.py describes; can be traced."""
        return jax.nn.sigmoid(self._logits(self._params, dict(inputs)))

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K] of the impressions at event positions [n]."""
        positions = np.asarray(positions, np.int64)
        if not len(positions):
            return np.zeros((0, len(self.tasks)), np.float32)
        return by_chunks(lambda part: self.score(self.impressions.inputs(part)), positions, _CHUNK)[:, 0]

    def labels(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Labels [n, K], and where there is one [n, K], of the impressions at event positions [n]."""
        if self._labels is None:
            self._labels = ranking_tasks.labels(
                self.tasks, self._timelines, self.statistics.thresholds, self._satisfaction
            )
        return self._labels.values[positions], self._labels.where[positions]


def load(path: str | os.PathLike[str], timelines: Timelines, flag: str = "--checkpoint") -> Ranker:
    """The best checkpoint of the training run in `path`.

    Errors: UsageError, which names `flag`, where the run is not complete or was trained on other timelines.
    """
    folder = Path(path)
    if not is_complete(folder):
        raise UsageError(f"{flag}={path}: no complete training run here; run ranking.train on it first")
    saved = read_json(folder / CONFIG)
    config = ConfigDict(saved["config"])
    if saved["timelines"] != timelines.fingerprint:
        raise UsageError(f"{flag}={path}: trained on another log than --data={timelines.path} has; give its own")
    statistics = LogStatistics.open(folder / FOLDER, flag)
    model = build(config, timelines, statistics, model_shards=saved.get("model_shards", 1))
    params, _ = restore_params(folder / CHECKPOINTS, model.shapes)
    satisfaction = _satisfaction(saved["satisfaction"], timelines, f"{flag}={path}")
    return Ranker(model.merge, params, config, timelines, statistics, satisfaction, digest(folder / METRICS))


def load_row(paths: Sequence[str], timelines: Timelines, flag: str) -> list[Ranker]:
    """The trained rankers of one row of a comparison, from their runs' folders; they differ in their seed alone.

    Errors: UsageError names `flag`: where they differ otherwise, as `load`, and where one has learned from the
    validation days.
    """
    rankers = [_load_one(path, timelines, flag) for path in paths]
    configs = [one.config.to_dict() for one in rankers]
    for path, config in zip(paths[1:], configs[1:], strict=True):
        names = dict.fromkeys((*configs[0], *config))
        other = [name for name in names if name != "seed" and config.get(name) != configs[0].get(name)]
        if other:
            raise UsageError(
                f"{flag}={path}: differs from {paths[0]} in config.{other[0]}; the runs of a row differ in seed alone, "
                "another config is a row of its own: --compare=NAME=DIR"
            )
    for path, one in zip(paths[1:], rankers[1:], strict=True):
        if not one.has_scores_of(rankers[0]):
            raise UsageError(
                f"{flag}={path}: has learned from other satisfaction scores than {paths[0]}; the runs of a row differ "
                "in seed alone, others are a row of their own: --compare=NAME=DIR"
            )
    seeds = [config.get("seed") for config in configs]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{flag}={','.join(paths)}: two runs of one seed; train each with another --config.seed")
    return rankers


def _load_one(path: str, timelines: Timelines, flag: str) -> Ranker:
    ranker = load(path, timelines, flag)
    if "valid" in ranker.config.train_on:
        raise UsageError(
            f"{flag}={path}: has learned from the validation days, on which its probabilities are calibrated; "
            "give a model of --config.train_on=('train',)"
        )
    return ranker


def _satisfaction(saved: Mapping[str, str] | None, timelines: Timelines, run: str) -> NDArray[np.float32] | None:
    if saved is None:
        return None
    manifest = Path(saved["path"]) / MANIFEST
    if not manifest.is_file() or digest(manifest) != saved["digest"]:
        raise UsageError(
            f"{run}: learned from the satisfaction scores in {saved['path']}, which are gone or others "
            "by now; put them back, or train again"
        )
    return ranking_tasks.read_satisfaction(saved["path"], timelines)
