"""Chooses the weight of the negative labels, on the validation days, by one stated rule."""

import os
from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.stage import PIPELINE
from pipelines.systems.retrieval.served import EXPORTED
from pipelines.systems.retrieval.stages import SELECTED, variants
from runtime.artifact import read_json, write_json


def choose_weight(recalls: Mapping[float, float], *, reference: float, keep: float) -> float:
    """The largest weight w with recalls[w] >= keep * reference; min(recalls) where there is none.

    recalls: weight -> validation Recall@100, not empty. NaN never qualifies.
    """
    return max((weight for weight, recall in recalls.items() if recall >= keep * reference), default=min(recalls))


def choose(workdir: Path) -> dict[str, float]:
    """Chooses a weight for each sweep of the pipeline run in `workdir`, writes selected/ and returns its metrics.

    Errors: DataError where a model has not been validated.
    """
    config = ConfigDict(read_json(workdir / PIPELINE))

    def recall(variant: str) -> float:
        return read_json(workdir / "validate" / variant / "metrics.json")["recall@100"]

    metrics, links = {}, {}
    for signals, sweep in config.sweeps.items():
        models = {v.weight: v.name for v in variants(config) if v.signals == signals and v.weight is not None}
        recalls = {weight: recall(name) for weight, name in models.items()}
        reference = recall(sweep.reference)
        weight = choose_weight(recalls, reference=reference, keep=config.keep_recall)
        links[signals] = Path("..") / "train" / models[weight]
        links[f"{signals}{EXPORTED}"] = Path("..") / "export" / models[weight]
        metrics[f"{signals}/negative_weight"] = weight
        metrics[f"{signals}/recall@100"] = recalls[weight]
        metrics[f"{signals}/recall@100/reference"] = reference

    file = workdir / SELECTED
    file.parent.mkdir(exist_ok=True)
    for name, target in links.items():
        _link(file.with_name(name), target)
    write_json(file, metrics)
    return metrics


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(link.name + ".partial")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
