"""The runs behind `benchmarks.alternatives`: a graph of stages for each alternative, and what they leave behind."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.engine import Engine
from pipelines.stage import Stage
from retrieval.training import DIVERGED
from runtime.artifact import read_json

_DATA_AT_FAULT = 3  # exit status of a training whose loss is not finite


@dataclass(frozen=True, kw_only=True)
class Row:
    """One alternative: its config, its weight, and its folders."""

    signals: str
    weight: float | None
    workdir: Path

    @property
    def name(self) -> str:
        return self.signals if self.weight is None else f"{self.signals}-w{self.weight:g}"

    def folder(self, stage: str) -> Path:
        return self.workdir / stage / self.name


def rows(config: ConfigDict, workdir: Path) -> list[Row]:
    """Every row of the table, in order."""
    return [
        Row(signals=signals, weight=weight, workdir=workdir)
        for signals, weights in config.rows
        for weight in (sorted(weights) or [None])
    ]


def graph(config: ConfigDict, row: Row) -> list[Stage]:
    """World, timelines, training, evaluation on the test days, export and counterfactual simulation of one row."""
    workdir, retrieval = row.workdir, f"configs/retrieval.py:{config.size},{row.signals}"
    world = Stage(
        name="world",
        module="simulation.world",
        folder=workdir / "world",
        config=f"configs/world.py:{config.size}",
        outputs=(workdir / "world" / "tables" / "manifest.json", workdir / "world" / "metrics.json"),
    )
    timelines = Stage(
        name="prepare",
        module="data.prepare",
        folder=workdir / "timelines",
        config="configs/data.py:tables",
        flags=(f"--data={workdir / 'world' / 'tables'}",),
        inputs=world.outputs,
        outputs=(workdir / "timelines" / "manifest.json",),
    )
    weight = () if row.weight is None else (f"--config.negative_weight={row.weight:g}",)
    train = Stage(
        name=f"train/{row.name}",
        module="retrieval.train",
        folder=row.folder("train"),
        config=retrieval,
        flags=(*weight, f"--config.seed={config.seed}", f"--data={timelines.folder}"),
        inputs=timelines.outputs,
        outputs=(row.folder("train") / "metrics.json",),
    )
    on_model = (f"--data={timelines.folder}", f"--checkpoint={train.folder}")
    test = Stage(
        name=f"test/{row.name}",
        module="retrieval.evaluate",
        folder=row.folder("test"),
        config=retrieval,
        flags=(*on_model, "--split=test", "--nobaselines"),
        inputs=(*timelines.outputs, *train.outputs),
        outputs=(row.folder("test") / "metrics.json",),
    )
    recommender = row.folder("export") / "recommender"
    export = Stage(
        name=f"export/{row.name}",
        module="retrieval.export",
        folder=row.folder("export"),
        config=retrieval,
        flags=(*on_model, "--noserving"),
        inputs=(*timelines.outputs, *train.outputs),
        outputs=(row.folder("export") / "metrics.json", recommender / "manifest.json"),
    )
    counterfactual = Stage(
        name=f"counterfactual/{row.name}",
        module="simulation.counterfactual",
        folder=row.folder("counterfactual"),
        config=f"configs/counterfactual.py:{config.counterfactual}",
        flags=(f"--recommender={recommender}",),
        inputs=export.outputs,
        outputs=(row.folder("counterfactual") / "metrics.json",),
    )
    return [world, timelines, train, test, export, counterfactual]


def run(config: ConfigDict, row: Row, *, state: Path, lock: int) -> int:
    """Runs what of a row is not up to date; 0, or the status of a stage that failed. That a training diverged is a
    result, not a failure."""
    (row.folder("train") / DIVERGED).unlink(missing_ok=True)
    stages = graph(config, row)
    status = Engine(stages, folder=state, lock=lock).run([stage.name for stage in stages], alone=False, force=False)
    if status == _DATA_AT_FAULT and (row.folder("train") / DIVERGED).exists():
        print(f"  {row.name} diverged: noted", flush=True)
        return 0
    return status


def collect(row: Row) -> dict[str, float]:
    """A row's numbers; those of a model that diverged are the step and the gradient norms before it."""
    diverged = row.folder("train") / DIVERGED
    if diverged.exists():
        found = read_json(diverged)
        return {"diverged_at_step": found.pop("step"), **found}
    train, test, simulated = (_json(row.folder(s) / "metrics.json") for s in ("train", "test", "counterfactual"))
    kept = {name: value for name, value in test.items() if name.startswith(("recall@100", "dislike@100"))}
    kept |= {name: value for name, value in simulated.items() if name.startswith("long_watch+dislike/")}
    return kept | {name: value for name, value in train.items() if name.startswith(_OF_TRAINING)}


_OF_TRAINING = ("steps", "train_loss", "grad_norm/", "valid/positive_gradient_norm", "valid/negative_gradient_norm")


def curve(row: Row, metric: str) -> list[tuple[int, float]]:
    """(step, value) of what the training logged under this name; where it was not finite, nothing."""
    log = row.folder("train") / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    found = {line["step"]: line["value"] for line in lines if line["name"] == metric and line["value"] is not None}
    return sorted((step, value) for step, value in found.items() if math.isfinite(value))


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
