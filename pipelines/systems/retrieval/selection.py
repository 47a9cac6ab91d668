"""Chooses the weight of the negative labels, on the validation days, by one stated rule."""

import os
from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.stage import PIPELINE
from pipelines.systems.retrieval.served import EXPORTED
from pipelines.systems.retrieval.stages import SELECTED, variants
from runtime.artifact import read_json, write_json

# In selected/metrics.json: the shares of Recall@100 that were to be kept, over all and of those who had said no.
KEPT, KEPT_OF_SAID_NO = "keep_recall", "keep_recall_said_no"

RECALL, OF_SAID_NO = "recall@100", "recall@100/said_no"


def choose_weight(
    measured: Mapping[float, Mapping[str, float]], *, reference: Mapping[str, float], keep: Mapping[str, float]
) -> float:
    """The largest weight w with measured[w][m] >= keep[m] * reference[m] for every metric m; min(measured) without one.

    measured: weight -> validation metrics, not empty. What the reference was not measured by is not asked for; NaN, and
    what is missing of a weight, never qualifies.
    """
    asked = {metric: share * reference[metric] for metric, share in keep.items() if share and metric in reference}
    kept = (
        weight
        for weight, of in measured.items()
        if all(of.get(metric, float("nan")) >= least for metric, least in asked.items())
    )
    return max(kept, default=min(measured))


def choose(workdir: Path) -> dict[str, float]:
    """Chooses a weight for each sweep of the pipeline run in `workdir`, writes selected/ and returns its metrics.

    Errors: DataError where a model has not been validated.
    """
    config = ConfigDict(read_json(workdir / PIPELINE))
    keep = {RECALL: config.keep_recall, OF_SAID_NO: config.keep_recall_said_no}

    def validated(variant: str) -> dict[str, float]:
        return read_json(workdir / "validate" / variant / "metrics.json")

    metrics = {KEPT: config.keep_recall, KEPT_OF_SAID_NO: config.keep_recall_said_no}
    links = {}
    for signals, sweep in config.sweeps.items():
        models = {v.weight: v.name for v in variants(config) if v.signals == signals and v.weight is not None}
        measured = {w: validated(name) for w, name in models.items()}
        reference = validated(sweep.reference) if sweep.reference else {}
        weight = choose_weight(measured, reference=reference, keep=keep) if reference else min(measured)
        links[signals] = Path("..") / "train" / models[weight]
        links[f"{signals}{EXPORTED}"] = Path("..") / "export" / models[weight]
        metrics[f"{signals}/negative_weight"] = weight
        for metric in keep:
            if metric in measured[weight]:
                metrics[f"{signals}/{metric}"] = measured[weight][metric]
            if metric in reference:
                metrics[f"{signals}/{metric}/reference"] = reference[metric]

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
