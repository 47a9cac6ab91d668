"""Judges the model that a pipeline is to serve: whether it responds enough, at a price that was said beforehand.

    python -m pipelines.gate --workdir=runs/demo

The limits are `gate` in configs/pipeline.py. Responsiveness is that of the counterfactual simulation; the recall lost
is that on the test days, against the same model without negative labels. Writes gate/verdict.json, which goes into the
manifest of what is served, and gate/metrics.json; a model that falls short ends with exit status 4.
"""

from collections.abc import Sequence
from pathlib import Path

from runtime import app
from runtime.errors import FellShortError
from runtime.paths import define_path

_WORKDIR = define_path(
    "workdir", None, "The folder of a pipelines.run, with the measurements of its models.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Judges, and says what was found."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.systems.serving.judgement import judge
    from pipelines.systems.serving.stages import VERDICT
    from simulation.counterfactual.gate import shortfall

    verdict = judge(Path(_WORKDIR.value))
    for check in verdict["checks"]:
        print(f"{check['name']:<32}{check['value']:>+9.1%}   at most {check['limit']:+.1%}")
    for reason in verdict["unjudged"].values():
        print(f"not judged, {reason}")
    where = Path(_WORKDIR.value) / VERDICT
    if not verdict["passed"]:
        raise FellShortError(f"{shortfall(verdict)}; {verdict['model']} is not to be served, the verdict is in {where}")
    print(f"{verdict['model']} passes the gate: {where}")


if __name__ == "__main__":
    app.run(main)
