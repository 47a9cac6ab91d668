"""Variants of the main model and what they are measured beside: trained where missing, ranked on the test clicks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from metrics import intervals
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG, METRICS
from satisfaction.aligned import load_aligned
from satisfaction.alignment import GRU, SAQREC, train_alignment
from satisfaction.clicks import clicks_of
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.evaluation import baseline_scorers, per_user, rank
from satisfaction.protocol import saved_negatives
from satisfaction.scores import open_scores
from satisfaction.splits import is_earlier
from satisfaction.training import EMBEDDINGS, SCORES

SHOWN = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr")


class Measured(NamedTuple):
    """A model's ranks of the test clicks among 1 + 99 items [Q], and its validation MRR."""

    ranks: NDArray[np.float64]
    valid: float


class Bench:
    """The parts that all variants share: timelines, a run's embeddings and scores, and the sampled negatives."""

    def __init__(self, data: str, *, run: str, naive: str, refit: bool, workdir: Path):
        self._timelines, self._workdir = Timelines.open(data), workdir
        self._config = _config_of(run, "--run")
        self._config.save_every = 500  # steps: no part of what a run remembers, for it changes no model
        self._config.align.refit = refit
        self._base = BaseEmbeddings.open(Path(run) / EMBEDDINGS, self._timelines, "--run")
        self._scores = open_scores(Path(run) / SCORES, self._timelines, "--run")
        self._naive_scores = open_scores(Path(naive) / SCORES, self._timelines, "--naive") if naive else None
        workdir.mkdir(parents=True, exist_ok=True)
        self._clicks = clicks_of(self._timelines, self._config.protocol)
        self._negatives = saved_negatives(workdir, self._clicks, seed=0)

    def describe(self) -> str:
        """What is measured on."""
        return f"{len(self._negatives):,} users, {self._clicks.num_items:,} items, protocol {self._config.protocol}"

    def baselines(self) -> Mapping[str, NDArray[np.float64]]:
        """Ranks of the test clicks by popularity and item-kNN."""
        dated = ~is_earlier(self._timelines)[self._clicks.event]
        return {
            name: rank(score, self._clicks, self._negatives, split="test", label=name).sampled
            for name, score in baseline_scorers(self._clicks, split="test", dated=dated).items()
        }

    def measure(
        self, name: str, options: dict[str, Any], *, seed: int, naive: bool = False, gru: bool = False
    ) -> Mapping[str, Measured]:
        """The variant with these align options and, with `gru`, the plain GRU trained beside it."""
        config = ConfigDict(self._config.to_dict())
        config.seed = seed
        config.align.update({**options, "gru": gru})
        scores = self._naive_scores if naive and self._naive_scores is not None else self._scores
        folder = self._workdir / name / f"seed{seed}"
        train_alignment(config, self._timelines, self._base, scores, folder / "align")
        files = {model: folder / f"{model}.npy" for model in (SAQREC, *([GRU] if gru else []))}
        if not all(file.exists() for file in files.values()):
            models = load_aligned(config, self._timelines, self._base, scores, folder / "align", flag="--workdir")
            for model, file in files.items():
                label = f"{name}, {model}"
                found = rank(models[model].score, self._clicks, self._negatives, split="test", label=label)
                np.save(file, found.sampled)
        metrics = read_json(folder / "align" / METRICS)
        return {model: Measured(np.load(file), float(metrics[f"{model}/valid/mrr"])) for model, file in files.items()}


def row(
    name: str, found: Sequence[Measured], full: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float], str]:
    """Of one row over seeds: each metric of each user [Q], its figures, and the line to print.

    Of each user it takes the mean over seeds: what differs between seeds is no difference between users. `full` are the
    metrics of the full model's users, to pair with; nothing, and no gain, where this row is the full model's.
    """
    users = {m: np.mean([per_user(each.ranks)[m] for each in found], axis=0) for m in SHOWN}
    values = {m: float(users[m].mean()) for m in SHOWN} | {"valid": float(np.mean([each.valid for each in found]))}
    figures = {f"{name}/{m}": value for m, value in values.items() if np.isfinite(value)}
    if len(found) > 1:
        spread = {m: np.std([per_user(each.ranks)[m].mean() for each in found]) for m in SHOWN}
        figures |= {f"{name}/{m}/seeds_std": float(value) for m, value in spread.items()}
    line = f"{name:<14}" + "".join(f"{values[m]:>9.4f}" for m in (*SHOWN, "valid"))
    for m in ("mrr", "hr@10") if full else ():
        gain = intervals.difference(users[m], full[m])
        figures |= intervals.flat({m: gain}, f"gain_over/{name}/")
        line += f"   {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    return users, figures, line


def _config_of(run: str, flag: str) -> ConfigDict:
    if not (Path(run) / CONFIG).exists():
        raise UsageError(f"{flag}={run}: no run of satisfaction.train here; give its workdir")
    return ConfigDict(read_json(Path(run) / CONFIG)["config"])
