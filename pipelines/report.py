"""Writes report.html, one self-contained page, and metrics.json, every number on it, from what the stages left behind.

python -m pipelines.report --workdir=runs/demo
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from runtime import app

if TYPE_CHECKING:
    from pipelines.evidence import Evidence

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of a pipelines.run; the report is written there.")


def main(argv: Sequence[str]) -> None:
    """Gathers, renders, writes."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.evidence import flat, gather
    from pipelines.findings import against_reference
    from runtime.artifact import write_json
    from runtime.errors import UsageError

    if not _WORKDIR.value:
        raise UsageError("--workdir is required: the folder of a pipelines.run")
    workdir = Path(_WORKDIR.value)
    evidence = gather(workdir)
    changes = against_reference(evidence)
    (workdir / "report.html").write_text(render(evidence, changes), encoding="utf-8")
    write_json(workdir / "metrics.json", {**flat(evidence), **changes})
    print(f"report: {workdir / 'report.html'}")


def render(evidence: "Evidence", changes: dict[str, float]) -> str:
    """The page as a string; nothing in it is fetched from anywhere."""
    import jinja2

    from pipelines import figures, findings, tables
    from pipelines.charts import COLOURS, signed
    from pipelines.stages import TEMPLATE

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "percent": lambda share: f"{share:.2%}" if share < 0.01 else f"{share:.1%}",
        "bare": lambda share: f"{share:.3f}".removeprefix("0"),  # .123, as intervals are printed
        "signed": signed,
    }
    return environment.get_template(TEMPLATE.name).render(
        run=evidence,
        changes=changes,
        title=findings.title,
        interval=findings.interval,
        headline=findings.headline(evidence),
        cards=tables.cards(evidence),
        columns=tables.COLUMNS,
        retrieval=tables.retrieval(evidence),
        branches=tables.branches(evidence),
        examples=tables.examples(evidence),
        training=figures.training(evidence),
        responsiveness=figures.responsiveness(evidence),
        frontiers=figures.frontiers(evidence, changes),
        colours=COLOURS,
        signals=findings.TITLES,
        paper=findings.PAPER,
    )


if __name__ == "__main__":
    app.run(main)
