"""Reads the results of the experiments on the served model's response from a run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report.intervals import Metrics
from pipelines.report.run_folder import Run
from pipelines.systems.response.stages import FOLDER


@dataclass(frozen=True, kw_only=True)
class Response:
    """An experiment on a model, `served` or `reference`: the config of the simulation and its metrics."""

    experiment: str
    model: str
    config: Mapping[str, Any]
    metrics: Metrics


def responses(run: Run) -> list[Response]:
    """Those that the pipeline asks for and that were measured."""
    asked = [(experiment, model) for experiment, models in run.pipeline["experiments"].items() for model in models]
    return [
        Response(
            experiment=experiment,
            model=model,
            config=run.json(f"{FOLDER}/{experiment}/{model}/config.json")["config"],
            metrics=metrics,
        )
        for experiment, model in asked
        if (metrics := run.metrics(f"{FOLDER}/{experiment}/{model}"))
    ]


def one(measured: Sequence[Response], experiment: str, model: str) -> Response | None:
    """The response of a model in an experiment."""
    return next((r for r in measured if (r.experiment, r.model) == (experiment, model)), None)
