"""Chooses the weight of the negative labels, on the validation days, by one stated rule.

    python -m pipelines.choose --workdir=runs/demo

For each sweep the largest weight whose validation Recall@100 is at least `keep_recall` times that of the sweep's
reference, the model with positive labels alone; the smallest weight where none is. `selected/<sweep>` becomes a link to
the chosen model's training folder, and `selected/metrics.json` holds the weights.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from runtime import app

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of the pipeline, with the validation metrics of its models.")


def choose_weight(recalls: Mapping[float, float], *, reference: float, keep: float) -> float:
    """The largest weight w with recalls[w] >= keep * reference; min(recalls) where there is none.

    recalls: weight -> validation Recall@100, not empty. NaN never qualifies.
    """
    return max((weight for weight, recall in recalls.items() if recall >= keep * reference), default=min(recalls))


def main(argv: Sequence[str]) -> None:
    """Reads validate/<variant>/metrics.json and writes selected/."""
    del argv
    # Here, so that --help stays fast.
    from ml_collections import ConfigDict

    from pipelines.stages import PIPELINE, variants
    from runtime.artifact import read_json, write_json
    from runtime.errors import UsageError

    if not _WORKDIR.value:
        raise UsageError("--workdir is required: the folder of a pipelines.run")
    workdir = Path(_WORKDIR.value)
    config = ConfigDict(read_json(workdir / PIPELINE))

    def recall(variant: str) -> float:
        return read_json(workdir / "validate" / variant / "metrics.json")["recall@100"]

    metrics = {}
    folder = workdir / "selected"
    folder.mkdir(exist_ok=True)
    for signals, sweep in config.sweeps.items():
        models = {v.weight: v.name for v in variants(config) if v.signals == signals and v.weight is not None}
        recalls = {weight: recall(name) for weight, name in models.items()}
        reference = recall(sweep.reference)
        weight = choose_weight(recalls, reference=reference, keep=config.keep_recall)
        _link(folder / signals, Path("..") / "train" / models[weight])
        metrics[f"{signals}/negative_weight"] = weight
        metrics[f"{signals}/recall@100"] = recalls[weight]
        metrics[f"{signals}/recall@100/reference"] = reference
        print(f"{signals}: weight {weight:g}, Recall@100 {recalls[weight]:.4f}; {reference:.4f} without negatives")
    write_json(folder / "metrics.json", metrics)
    print(f"the chosen models are in {folder}")


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(link.name + ".partial")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)


if __name__ == "__main__":
    app.run(main)
