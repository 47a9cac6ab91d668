"""What the closer look at the served model's response has left behind, read into plain data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.evidence import Metrics
from pipelines.graph.stage import PIPELINE
from pipelines.systems.response.stages import FOLDER
from runtime.artifact import read_json


@dataclass(frozen=True, kw_only=True)
class Response:
    """An experiment on a model, `served` or `reference`: the config of the simulation and its metrics."""

    experiment: str
    model: str
    config: Mapping[str, Any]
    metrics: Metrics


def gather_responses(workdir: Path) -> list[Response]:
    """Reads WORKDIR/responsiveness, as far as the config names it. Errors: DataError where a file is broken."""
    wanted = read_json(workdir / PIPELINE).get("experiments", {})
    return list(_found(workdir / FOLDER, wanted))


def flat_responses(responses: list[Response]) -> dict[str, float]:
    """Every number under one flat name: `responsiveness/memory/served/after_5/long_watch+dislike/content`."""
    return {
        f"{FOLDER}/{response.experiment}/{response.model}/{name}": value
        for response in responses
        for name, value in response.metrics.items()
    }


def _found(folder: Path, wanted: Mapping[str, list[str]]) -> Iterator[Response]:
    for experiment, models in wanted.items():
        for model in models:
            measured = folder / experiment / model
            if (measured / "metrics.json").exists():
                config = read_json(measured / "config.json")["config"]
                yield Response(
                    experiment=experiment, model=model, config=config, metrics=read_json(measured / "metrics.json")
                )
