"""Runs the four steps of `satisfaction.train` in order, each in a folder of its own; one that was cut short goes on."""

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import read_json, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS, is_complete
from satisfaction.run_folder import artifacts
from satisfaction.saqrec import alignment, base
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.splits import is_click
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.estimators import estimator_of
from satisfaction.unbiased.steps import EMBEDDINGS, Imputation
from training.distributed.hosts import by_first, of_first, open_shared_workdir, together
from training.settings import COUNT, PART, TRAINING, WHOLE, WINDOW, check, of_model

STEPS = ("base", "propensity", "satisfaction", "align")
_BASE = {**TRAINING, **dict.fromkeys(("dim", "hidden", "eval_users"), COUNT), "block_size": WHOLE, "length": WINDOW}


def train(config: ConfigDict, *, data: str, workdir: str, only: str = "") -> str:
    """Runs the steps that are not done yet, or the one called `only`; returns a line that says where the result is.

    WORKDIR/base_embeddings and WORKDIR/scores are the artifacts, WORKDIR/<step>/metrics.json says that a step is done.
    On several hosts (training/distributed/hosts.py) all of them call it alike: process 0 writes, the others read what
    it has written.
    Errors: UsageError and DataError of the parts, each one line.
    """
    timelines = together(lambda: _opened(config, data))
    run_of = identity(config, timelines)
    folder, complete = open_shared_workdir(workdir, run_of)
    done = {step for step, is_done in of_first({step: is_complete(folder / step) for step in STEPS}).items() if is_done}
    if complete or only in done:
        return f"already complete: {folder / only}"
    run: dict[str, Callable[[], Mapping[str, float]]] = {
        "base": lambda: _base(config, timelines, folder),
        "propensity": lambda: _imputation(config, timelines, folder).train_propensity(
            _fingerprint(run_of, "propensity")
        ),
        "satisfaction": lambda: _imputation(config, timelines, folder).train_satisfaction(
            _fingerprint(run_of, "propensity", "satisfaction", "doubly_robust")
        ),
        "align": lambda: _align(config, timelines, folder),
    }
    for step in [only] if only else STEPS:
        missing = [before for before in STEPS[: STEPS.index(step)] if before not in done]
        if missing:
            raise UsageError(f"--only={step}: {folder} has no step '{missing[0]}' yet; run --only={missing[0]} first")
        if step in done:
            continue
        (folder / step).mkdir(exist_ok=True)
        begin = time.perf_counter()
        metrics = {**run[step](), "seconds": time.perf_counter() - begin}
        by_first(functools.partial(write_json, folder / step / METRICS, metrics))
        done.add(step)
    if len(done) < len(STEPS):
        return f"step {only} done: {folder / only}"
    by_first(lambda: write_json(folder / METRICS, _metrics(folder)))
    return f"trained {', '.join(STEPS)}: {folder}"


def identity(config: ConfigDict, timelines: Timelines) -> dict[str, Any]:
    """What a run is of: its config and its data."""
    return {
        "config": of_model(config),
        "timelines": timelines.manifest["vocabulary_hash"],
        "log": timelines.fingerprint,
    }


def _base(config: ConfigDict, timelines: Timelines, folder: Path) -> Mapping[str, float]:
    answers(timelines, config.answers)  # a log without answers is refused before anything is trained
    if config.base.recommender:
        by_first(lambda: base.exported(config, timelines).save(folder / EMBEDDINGS, timelines))
        return {}
    embeddings, metrics = base.train(config, timelines, folder / "base")
    by_first(lambda: embeddings.save(folder / EMBEDDINGS, timelines))
    return metrics


def _imputation(config: ConfigDict, timelines: Timelines, folder: Path) -> Imputation:
    return Imputation(config, timelines, BaseEmbeddings.open(folder / EMBEDDINGS, timelines, "--workdir"), folder)


def _align(config: ConfigDict, timelines: Timelines, folder: Path) -> Mapping[str, float]:
    opened = artifacts(folder, timelines, "--workdir")
    print(alignment.train_alignment(config, timelines, *opened, folder / "align"))
    return read_json(folder / "align" / METRICS)


def _fingerprint(run_of: Mapping[str, Any], *steps: str) -> dict[str, Any]:
    """Of the run, the part that these steps' checkpoints depend on."""
    config = run_of["config"]
    kept = {name: config[name] for name in ("seed", "protocol", "answers", "base", *steps)}
    return {**kept, "timelines": run_of["timelines"], "log": run_of["log"]}


def _metrics(folder: Path) -> dict[str, float]:
    return {f"{step}/{name}": n for step in STEPS for name, n in read_json(folder / step / METRICS).items()}


def _opened(config: ConfigDict, data: str) -> Timelines:
    timelines = Timelines.open(data)
    _check(config, timelines)
    return timelines


def _check(config: ConfigDict, timelines: Timelines) -> None:
    estimator_of(config.satisfaction.estimator, config.satisfaction.clip)
    check(config, TRAINING)
    check(config.satisfaction, {"members": COUNT}, flag="--config.satisfaction")
    for step in ("propensity", "satisfaction", "doubly_robust"):
        check(config[step], {**TRAINING, "hidden": WHOLE, "valid_share": PART}, flag=f"--config.{step}")
    check(config.base, _BASE, flag="--config.base")
    # Before hours of other steps, not after.
    dim = base.check_exported(config, timelines) if config.base.recommender else config.base.dim
    alignment.check(config.align, dim=dim)
    if not is_click(timelines).any():
        raise DataError(f"{timelines.path}: no event is a click or a long view, which SAQRec and its base learn from")
    for step in ("base", "align"):
        size, devices = config[step].batch_size, jax.device_count()
        if size % devices:
            raise UsageError(f"--config.{step}.batch_size={size}: not divisible by the {devices} devices")
