"""Reads the results of the satisfaction stages from a run folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.intervals import Metrics
from pipelines.report.run_folder import Run
from pipelines.systems.satisfaction.stages import ABLATIONS, FOLDER, satisfaction_protocols


class Protocol:
    """One protocol's results, as the programs of satisfaction/ name them."""

    def __init__(self, run: Run, name: str) -> None:
        folder = f"{FOLDER}/{name}"
        self.name = name
        self.train, self.test = (run.metrics(f"{folder}/{s}") for s in ("train", "test"))
        self.ablations = run.metrics(f"{folder}/{ABLATIONS}")
        # Prefixes in `test` of what the main model was compared with.
        self.rows = tuple(dict.fromkeys(key.split("/")[1] for key in self.test if key.startswith("gain_over/")))
        # Of the propensities; empty where nothing was weighed by them.
        self.reliability: Mapping[str, Sequence[float]] = run.json(f"{folder}/train/propensity/reliability.json", {})
        self.examples: Sequence[Mapping[str, Any]] = run.json(f"{folder}/test/examples.json", [])

    def numbers(self) -> Metrics:
        """Every number under one flat name: `satisfaction/leave_one_out/test/item_knn/hr@10`."""
        parts = {"train": self.train, "test": self.test, ABLATIONS: self.ablations}
        return {f"{FOLDER}/{self.name}/{s}/{k}": value for s, metrics in parts.items() for k, value in metrics.items()}


def protocols(run: Run) -> list[Protocol]:
    """Those that the pipeline trains under, the one to be shown first."""
    return [Protocol(run, name) for name in satisfaction_protocols(run.config)]
