"""Reads the folder of a pipeline run.

What a stage has not written reads as empty, and so does what stages have left there that the pipeline no longer has.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from pipelines.graph.records import STATE
from pipelines.graph.stage import PIPELINE
from pipelines.report.intervals import Metrics
from pipelines.systems.left_out import FILE as LEFT_OUT
from runtime.artifact import read_json

Curves = Mapping[str, list[tuple[int, float]]]


class Run:
    """The folder of a pipelines.run. Errors: DataError where it is none, or a file in it is broken."""

    def __init__(self, workdir: Path) -> None:
        from pipelines.registry import planned  # here, as a system may have its stages and its section in one file

        self.workdir = workdir
        self.pipeline: dict[str, Any] = read_json(workdir / PIPELINE)
        self.config = ConfigDict(self.pipeline)
        self._folders = {*planned(self.config).values()}
        # What the log could not carry: what, why, remedy of each.
        self.left_out: Sequence[Mapping[str, str]] = self.json(str(LEFT_OUT), [])

    def json(self, path: str, default: Any = None) -> Any:
        """A file of a stage, or of the run as a whole; `default` where there is none."""
        return read_json(self.workdir / path) if self._is_there(path) else default

    def metrics(self, stage: str) -> Metrics:
        """What a stage has measured."""
        return self.json(f"{stage}/metrics.json", {})

    def arrays(self, path: str) -> Mapping[str, np.ndarray]:
        """The arrays of an .npz file."""
        if not self._is_there(path):
            return {}
        with np.load(self.workdir / path) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def _is_there(self, path: str) -> bool:
        folder = Path(path).parent
        of_the_run = folder in (Path(), Path(STATE)) or Path(STATE) in folder.parents
        told = of_the_run or not self._folders.isdisjoint({folder, *folder.parents})
        return told and (self.workdir / path).exists()


def curves(training: Path) -> Curves:
    """What the training in this folder has logged: metric -> (step, value) in order of steps, of finite values."""
    path = training / "metrics.jsonl"
    found: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the line that a kill cut short
            continue
        if entry["value"] is not None and math.isfinite(entry["value"]):
            found.setdefault(entry["name"], {})[entry["step"]] = entry["value"]
    return {name: sorted(points.items()) for name, points in found.items()}


def prefixed(prefix: str, metrics: Metrics) -> dict[str, float]:
    """The same numbers under `prefix/<name>`."""
    return {f"{prefix}/{name}": value for name, value in metrics.items()}
