"""Files of figures as stages write them, for tests of the report."""

import json
from pathlib import Path
from typing import Any

from configs import pipeline
from pipelines.registry import sections
from pipelines.report.page import numbers, render
from pipelines.report.run_folder import Run


def write(path: Path, value: Any) -> None:
    """`value` as JSON at `path`, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, sort_keys=True))


def with_interval(name: str, value: float, half: float) -> dict[str, float]:
    """A metric and the ends of its interval."""
    return {name: value, f"{name}/low": value - half, f"{name}/high": value + half}


def empty_run(folder: Path) -> Path:
    """A workdir of the pipeline `tiny` in which no stage has run."""
    write(folder / "pipeline.json", pipeline.get_config("tiny").to_dict())
    return folder


def page_of(workdir: Path) -> str:
    """The report of a run."""
    run = Run(workdir)
    return render(run, sections(run))


def numbers_of(workdir: Path) -> dict[str, float]:
    """Every number of the report."""
    return numbers(sections(Run(workdir)))
