"""Chooses the weight of the negative labels, on the validation days, by one stated rule.

    python -m pipelines.choose --workdir=runs/demo

For each sweep the largest weight whose validation Recall@100 is at least `keep_recall` times that of the sweep's
reference, the model with positive labels alone, and `keep_recall_said_no` times among the users who had said no before;
the smallest weight where none is, or where a sweep has no reference. `selected/<sweep>` becomes a link to the chosen
model's training folder, `selected/<sweep>-export` one to its export, and `selected/metrics.json` holds the weights and
the two shares.
"""

from collections.abc import Sequence
from pathlib import Path

from runtime import app
from runtime.paths import define_path

_WORKDIR = define_path("workdir", None, "The folder of a pipelines.run, with its validation metrics.", required=True)


def main(argv: Sequence[str]) -> None:
    """Chooses, and says what was chosen."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.systems.retrieval.selection import choose

    workdir = Path(_WORKDIR.value)
    for name, value in choose(workdir).items():
        print(f"{name:<48}{value:>12.6g}")
    print(f"the chosen models: {workdir / 'selected'}")


if __name__ == "__main__":
    app.run(main)
