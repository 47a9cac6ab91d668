"""Writes report.html, one self-contained page, and metrics.json, every number on it, from what the stages left behind.

python -m pipelines.report --workdir=runs/demo
"""

from collections.abc import Sequence
from pathlib import Path

from runtime import app
from runtime.paths import define_path

_WORKDIR = define_path("workdir", None, "The folder of a pipelines.run; the report is written there.", required=True)


def main(argv: Sequence[str]) -> None:
    """Gathers, renders, writes."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.registry import sections
    from pipelines.report.page import numbers, render
    from pipelines.report.run_folder import Run
    from runtime.artifact import write_json

    run = Run(Path(_WORKDIR.value))
    page = sections(run)
    (run.workdir / "report.html").write_text(render(run, page), encoding="utf-8")
    write_json(run.workdir / "metrics.json", numbers(page))
    print(f"report: {run.workdir / 'report.html'}")


if __name__ == "__main__":
    app.run(main)
