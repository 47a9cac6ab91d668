"""Writes report.html, one self-contained page, and metrics.json, every number on it, from what the stages left behind.

python -m pipelines.report --workdir=runs/demo
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from runtime import app

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of a pipelines.run; the report is written there.")


def main(argv: Sequence[str]) -> None:
    """Gathers, renders, writes."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.ab_evidence import flat_ab, gather_ab
    from pipelines.evidence import flat, gather
    from pipelines.findings import against_reference
    from pipelines.page import render
    from pipelines.ranking_evidence import flat_ranking, gather_ranking
    from pipelines.response_evidence import flat_responses, gather_responses
    from pipelines.satisfaction_evidence import flat_satisfaction, gather_satisfaction
    from runtime.artifact import write_json
    from runtime.errors import UsageError

    if not _WORKDIR.value:
        raise UsageError("--workdir is required: the folder of a pipelines.run")
    workdir = Path(_WORKDIR.value)
    evidence, responses = gather(workdir), gather_responses(workdir)
    changes = against_reference(evidence)
    ranking, satisfaction = gather_ranking(workdir), gather_satisfaction(workdir)
    # An earlier run may have served, and tested, another model than the one that the gate has refused.
    ab = None if evidence.refused else gather_ab(workdir)
    (workdir / "report.html").write_text(
        render(evidence, changes, ranking, ab, satisfaction, responses), encoding="utf-8"
    )
    numbers = {**flat(evidence), **changes, **flat_responses(responses)}
    numbers |= {**flat_ranking(ranking), **flat_ab(ab), **flat_satisfaction(satisfaction)}
    write_json(workdir / "metrics.json", numbers)
    print(f"report: {workdir / 'report.html'}")


if __name__ == "__main__":
    app.run(main)
