"""A finished satisfaction.train, opened: what each step has left behind."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, METRICS
from satisfaction.aligned import Aligned, load_aligned
from satisfaction.alignment import SAQREC
from satisfaction.base import BaseRecommender, load
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.scores import Scores, open_scores
from satisfaction.training import EMBEDDINGS, SCORES

BASE, ALIGN = "base", "align"


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The models of one run, the scores they were trained with, and the base recommender they started from."""

    config: ConfigDict
    models: Mapping[str, Aligned]  # by the names of satisfaction/alignment.py
    scores: Scores
    base: BaseRecommender | None  # None where the item vectors are those of an exported recommender
    embeddings: BaseEmbeddings
    fingerprint: dict[str, Any]  # JSON values that tell runs apart

    def base_score(self, users: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.float32]:
        """The base recommender's scores of every item of the corpus, [B, n + 1], as satisfaction.evaluation.ScoreFn."""
        clicks = self.models[SAQREC].histories.clicks
        if self.base is None:
            return np.asarray(self.embeddings.user[users] @ self.embeddings.item[clicks.corpus].T)
        length = self.config.base.length
        begin = np.maximum(clicks.offsets[users], before - length)[:, None]
        place = begin + np.arange(length)
        known = place < before[:, None]
        items = np.where(known, clicks.corpus[clicks.item[np.where(known, place, 0)]], 0)
        return np.asarray(self.base.encode(items.astype(np.int32))) @ self.base.item_vectors[clicks.corpus].T


def open_run(path: str | os.PathLike[str], timelines: Timelines, *, split: str = "test", flag: str) -> TrainedRun:
    """Opens the workdir of a satisfaction.train to ask for clicks of `split`, as `load_aligned` has it.

    Errors name `flag` where it is not complete or of other timelines.
    """
    folder = Path(path)
    if not (folder / CONFIG).exists():
        raise UsageError(f"{flag}={path}: no run of satisfaction.train here; give its workdir")
    config = ConfigDict(read_json(folder / CONFIG)["config"])
    scores = open_scores(folder / SCORES, timelines, flag)
    embeddings = BaseEmbeddings.open(folder / EMBEDDINGS, timelines, flag)
    models = load_aligned(config, timelines, embeddings, scores, folder / ALIGN, split=split, flag=flag)
    fingerprint = {"align": read_json(folder / ALIGN / CONFIG), "metrics": read_json(folder / ALIGN / METRICS)}
    base = None if config.base.recommender else load(config, timelines, folder / BASE)
    return TrainedRun(config, models, scores, base, embeddings, fingerprint)
