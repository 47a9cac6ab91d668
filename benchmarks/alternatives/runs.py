"""The runs behind `benchmarks.alternatives`: a graph of stages for each alternative."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.engine import Engine
from pipelines.graph.records import locked
from pipelines.graph.stage import Stage
from pipelines.systems.feed import stages as feed
from pipelines.systems.retrieval import stages as models
from retrieval.run import DIVERGED

_DATA_AT_FAULT = 3  # exit status of a training whose loss is not finite


@dataclass(frozen=True, kw_only=True)
class Row:
    """One training of an alternative: its config, its weight, its seed, and its folders.

    clip_norm None is the config's; `label` is the row's in the table, whatever the seed. `world` and `training` are
    further settings, name and value, of the feed and of the training; rows of one workdir have one feed.
    """

    signals: str
    weight: float | None
    workdir: Path
    clip_norm: float | None = None
    seed: int = 0
    world: tuple[tuple[str, Any], ...] = ()
    training: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        weight = "" if self.weight is None else f"-w{self.weight:g}"
        return f"{self.signals}{weight}{'' if self.clip_norm is None else '-unclipped'}"

    @property
    def name(self) -> str:
        return f"{self.label}-seed{self.seed}" if self.seed else self.label

    def folder(self, stage: str) -> Path:
        return self.workdir / stage / self.name


def rows(config: ConfigDict, workdir: Path) -> list[Row]:
    """Every training, in the order of the table: the alternatives, those without clipping, each with every seed."""
    return [
        Row(signals=signals, weight=weight, workdir=workdir, clip_norm=clip_norm, seed=seed)
        for alternatives, clip_norm in ((config.rows, None), (config.unclipped, config.unclipped_norm))
        for signals, weights in alternatives
        for weight in (sorted(weights) or [None])
        for seed in config.seeds
    ]


def graph(config: ConfigDict, row: Row) -> list[Stage]:
    """World, timelines, training, evaluation on the test days, export and counterfactual simulation of one row."""
    retrieval = f"configs/retrieval.py:{config.size},{row.signals}"
    world = feed.world(config.world, {f"config.{name}": value for name, value in row.world})
    timelines = feed.prepare("tables", feed.FEED.parent, inputs=world.outputs)
    # Trainings are compared: what is counted would be the same beside each.
    alone: dict[str, Any] = {} if config.get("whole_model") else {"counted": (), "trend_days": ()}
    settings = {
        **alone,
        "negative_weight": row.weight,
        "clip_norm": row.clip_norm,
        **dict(row.training),
        "seed": row.seed,
    }
    train = Stage(
        name=f"train/{row.name}",
        module="retrieval.train",
        config=retrieval,
        flags={**{f"config.{name}": value for name, value in settings.items()}, "data": timelines.folder},
        inputs=(feed.LOG,),
    )
    test, export = models.evaluation("test", "test", retrieval, train), models.export(train, retrieval)
    truth = feed.WORLD if ",latent" in config.world else None
    simulated = models.counterfactual(export, config.counterfactual, truth=truth)
    return [world, timelines, train, test, export, simulated]


def run_all(config: ConfigDict, rows: Sequence[Row], workdir: Path) -> int:
    """Runs what is not up to date, row by row, alone in `workdir`; 0, or the status of the first stage that failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with locked(workdir) as lock:
        return next((status for row in rows if (status := run(config, row, lock=lock))), 0)


def run(config: ConfigDict, row: Row, *, lock: int) -> int:
    """Runs what of a row is not up to date; 0, or the status of a stage that failed. That a training diverged is a
    result, not a failure."""
    (row.folder("train") / DIVERGED).unlink(missing_ok=True)
    stages = graph(config, row)
    status = Engine(stages, workdir=row.workdir, lock=lock).run([stage.name for stage in stages])
    if status == _DATA_AT_FAULT and (row.folder("train") / DIVERGED).exists():
        print(f"  {row.name} diverged: noted", flush=True)
        return 0
    return status
