"""SAQRec beside what it has to beat, every row with the same chances: the work of `python -m satisfaction.compare`."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import read_json, write_json
from runtime.workdir import METRICS, is_complete, open_workdir
from satisfaction import run as training
from satisfaction.click_ranks import Ranks
from satisfaction.experiments.held_out import HeldOut
from satisfaction.experiments.summary import by_user, row_figures, table
from satisfaction.run_folder import artifacts
from satisfaction.saqrec.alignment import BASE, GRU, MODELS, SAQREC, train_alignment
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.simple_rules import RULES, choose, scorers
from satisfaction.unbiased.imputed import Scores

ROWS = (*MODELS, *reversed(RULES))
SHOWN = ("hr@1", "hr@5", "hr@10", "ndcg@10", "mrr", "full/hr@10", "full/mrr")
_RATES, _DROPOUTS = (0.5, 1.0), (0.3, 0.5)  # of the config's learning rate; both cross each other


class Job(NamedTuple):
    """A training: done where `done()`, else `run` does it."""

    name: str
    done: Callable[[], bool]
    run: Callable[[], Any]


def settings_of(align: ConfigDict, model: str) -> list[dict[str, float]]:
    """What is tried for a model: as many settings for each, of learning rate and dropout."""
    prefix = {SAQREC: "", BASE: "base_", GRU: "gru_"}[model]
    rate = align[f"{prefix}learning_rate"]
    return [
        {f"{prefix}learning_rate": rate * factor, f"{prefix}dropout": dropout}
        for factor, dropout in itertools.product(_RATES, _DROPOUTS)
    ]


class Comparison:
    """All trainings of a workdir, each in a folder of its own, and what is measured of them."""

    def __init__(self, config: ConfigDict, data: str, workdir: str, *, seeds: int):
        self._timelines, self._data, self._seeds = Timelines.open(data), data, seeds
        self._config = ConfigDict(config.to_dict())
        self._config.align.refit = False
        identity = {**training.identity(self._config, self._timelines), "seeds": seeds}
        self.folder = open_workdir(workdir, identity)
        self._held_out = HeldOut(self._timelines, config, self.folder)

    def jobs(self) -> list[Job]:
        """In order: the steps before align of each seed, the tuning on the first seed, the models of each seed."""
        jobs = [self._step(step, seed) for seed in range(self._seeds) for step in training.STEPS[:-1]]
        for model, number in self._tried():
            jobs.append(self._aligning(f"tuning/{model}/{number}", model, number, seed=0, refit=False))
        for seed, model in itertools.product(range(self._seeds), MODELS):
            jobs.append(self._aligning(f"seed{seed}/{model}", model, None, seed=seed, refit=True))
        return jobs

    def summarize(self) -> dict[str, float]:
        """Every figure, once all jobs are done: rows with bounds over users and seeds, gains, what was chosen."""
        metrics: dict[str, float] = {**self._held_out.sizes, "seeds": self._seeds}
        for model, number in self._tried():
            metrics[f"tuning/{model}/{number}/valid/mrr"] = self._valid_mrr(model, number)
        for model in MODELS:
            metrics |= {f"chosen/{model}/{name}": value for name, value in self._chosen(model).items()}
        ranks = {model: [self._ranks(model, seed) for seed in range(self._seeds)] for model in MODELS}
        chosen = choose(self._held_out.clicks, self._timelines)
        for rule, score in scorers(self._held_out.clicks, self._timelines, chosen, split="test").items():
            metrics |= {f"chosen/{rule}/{name}": value for name, value in chosen[rule].items()}
            ranks[rule] = [self._held_out.ranks(score, rule)]
        return metrics | summary(ranks)

    def _ranks(self, model: str, seed: int) -> Ranks:
        # Of a model's last training.
        config, folder = self._aligned_config(model, None, seed=seed, refit=True), self.folder / f"seed{seed}" / model
        step = (config, *self._artifacts(seed), folder / "align")
        return self._held_out.ranks_of_model(folder / "places.npz", model, *step, label=f"{model}, seed {seed}")

    def _tried(self) -> list[tuple[str, int]]:
        return [(model, n) for model in MODELS for n in range(len(settings_of(self._config.align, model)))]

    def _valid_mrr(self, model: str, number: int) -> float:
        return read_json(self.folder / "tuning" / model / str(number) / "align" / METRICS)[f"{model}/valid/mrr"]

    def _chosen(self, model: str) -> dict[str, float]:
        settings = settings_of(self._config.align, model)
        return settings[max(range(len(settings)), key=lambda number: self._valid_mrr(model, number))]

    def _step(self, step: str, seed: int) -> Job:
        folder, config = self._run_folder(seed), self._seeded(seed)

        def run() -> str:
            return training.train(config, data=self._data, workdir=str(folder), only=step)

        return Job(f"{step}, seed {seed}", lambda: is_complete(folder / step), run)

    def _aligning(self, name: str, model: str, number: int | None, *, seed: int, refit: bool) -> Job:
        folder = self.folder / name / "align"

        def run() -> str:
            config = self._aligned_config(model, number, seed=seed, refit=refit)
            return train_alignment(config, self._timelines, *self._artifacts(seed), folder)

        return Job(name, lambda: is_complete(folder), run)

    def _aligned_config(self, model: str, number: int | None, *, seed: int, refit: bool) -> ConfigDict:
        config = self._seeded(seed)
        chosen = self._chosen(model) if number is None else settings_of(self._config.align, model)[number]
        config.align.update({**chosen, "models": (model,), "refit": refit})
        return config

    def _artifacts(self, seed: int) -> tuple[BaseEmbeddings, Scores]:
        return artifacts(self._run_folder(seed), self._timelines, "--workdir")

    def _run_folder(self, seed: int) -> Path:
        return self.folder / f"seed{seed}" / "run"

    def _seeded(self, seed: int) -> ConfigDict:
        config = ConfigDict(self._config.to_dict())
        config.seed = config.seed + seed
        return config


def summary(ranks: Mapping[str, Sequence[Ranks]]) -> dict[str, float]:
    """Every figure of each row, a Ranks for each seed, and what SAQRec gains over the others."""
    users = {row: by_user(seeds) for row, seeds in ranks.items()}
    metrics: dict[str, float] = {}
    for row, values in users.items():
        metrics |= row_figures(row, values, users[SAQREC] if row != SAQREC else None)
    return metrics


def run(config: ConfigDict, *, data: str, workdir: str, seeds: int, stop_after: int) -> None:
    """Does the jobs that are left, or `stop_after` of them, and in the end writes metrics.json and prints the table."""
    comparison = Comparison(config, data, workdir, seeds=seeds)
    if is_complete(comparison.folder):
        metrics = read_json(comparison.folder / METRICS)
        print(f"{_table(metrics)}\n{comparison.folder / METRICS}: complete already")
        return
    jobs, here = comparison.jobs(), 0
    for number, job in enumerate(jobs, 1):
        if job.done():
            continue
        if stop_after and here == stop_after:
            print(f"{number - 1} of {len(jobs)} trainings done; the same command goes on: {comparison.folder}")
            return
        here += 1
        print(f"[{number}/{len(jobs)}] {job.name}", flush=True)
        print(f"  {job.run()}", flush=True)
    metrics = comparison.summarize()
    write_json(comparison.folder / METRICS, metrics)
    print(_table(metrics))
    print(f"{metrics['users']:,} users, {metrics['items']:,} items, {seeds} seed(s): {comparison.folder / METRICS}")


def _table(metrics: Mapping[str, float]) -> str:
    return table(metrics, {row: f"{row}/" for row in ROWS}, SHOWN, gains=("hr@10", "mrr", "full/mrr"))
