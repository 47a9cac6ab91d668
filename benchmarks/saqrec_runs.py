"""Variants of the main model on one run's embeddings and scores: trained where missing, ranked on the test clicks."""

from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, METRICS
from satisfaction.aligned import load_aligned
from satisfaction.alignment import SAQREC, train_alignment
from satisfaction.clicks import clicks_of
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.evaluation import rank
from satisfaction.protocol import saved_negatives
from satisfaction.scores import open_scores
from satisfaction.training import EMBEDDINGS, SCORES


class Bench:
    """The parts that all variants share: timelines, a run's embeddings and scores, and the sampled negatives."""

    def __init__(self, data: str, *, run: str, naive: str, workdir: Path):
        self._timelines, self._workdir = Timelines.open(data), workdir
        self._config = _config_of(run, "--run")
        self._base = BaseEmbeddings.open(Path(run) / EMBEDDINGS, self._timelines, "--run")
        self._scores = open_scores(Path(run) / SCORES, self._timelines, "--run")
        self._naive_scores = open_scores(Path(naive) / SCORES, self._timelines, "--naive") if naive else None
        workdir.mkdir(parents=True, exist_ok=True)
        self._clicks = clicks_of(self._timelines, self._config.protocol)
        self._negatives = saved_negatives(workdir, self._clicks, seed=0)

    def describe(self) -> str:
        """What is measured on."""
        return f"{len(self._negatives):,} users, {self._clicks.num_items:,} items, protocol {self._config.protocol}"

    def measure(
        self, name: str, options: dict[str, Any], *, seed: int, naive: bool = False
    ) -> tuple[NDArray[np.float64], float]:
        """(ranks of the test clicks among 1 + 99 items [Q], validation MRR) of the variant with these align options."""
        config = ConfigDict(self._config.to_dict())
        config.seed = seed
        config.align.update({**options, "gru": False})
        scores = self._naive_scores if naive and self._naive_scores is not None else self._scores
        folder = self._workdir / name / f"seed{seed}"
        file = folder / "ranks.npy"
        train_alignment(config, self._timelines, self._base, scores, folder / "align")
        if not file.exists():
            flag = "--workdir"
            model = load_aligned(config, self._timelines, self._base, scores, folder / "align", flag=flag)[SAQREC]
            np.save(file, rank(model.score, self._clicks, self._negatives, split="test", label=name).sampled)
        return np.load(file), float(read_json(folder / "align" / METRICS)[f"{SAQREC}/valid/mrr"])


def _config_of(run: str, flag: str) -> ConfigDict:
    if not (Path(run) / CONFIG).exists():
        raise UsageError(f"{flag}={run}: no run of satisfaction.train here; give its workdir")
    return ConfigDict(read_json(Path(run) / CONFIG)["config"])
