"""What the stages have left behind, read into plain data: the report shows this and nothing else.

A stage that has not run is `None` or empty here; the report says so in its place.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from data.feedback import BITS, has
from data.timelines import SPLITS, Timelines
from pipelines.graph.stage import PIPELINE
from pipelines.systems.retrieval.stages import Variant, variants
from runtime.artifact import MANIFEST, read_json

_DAY_MS = 86_400_000

Metrics = Mapping[str, float]
Curves = Mapping[str, list[tuple[int, float]]]


@dataclass(frozen=True, kw_only=True)
class Model:
    """One variant and its stages' results."""

    variant: Variant
    weight: float | None  # of its negative labels
    reference: str | None  # name of the variant that its sweep is held up against
    chosen: bool  # by the rule, on validation days; true of variants without a weight, and of final ones
    train: Metrics
    curves: Curves  # metric -> (step, value) in order of steps
    validate: Metrics
    test: Metrics
    test_users: Mapping[str, np.ndarray]  # metric -> [users] of the test days, NaN where a user has none
    counterfactual: Metrics
    examples: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return self.variant.name


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A whole pipeline run."""

    pipeline: Mapping[str, Any]
    world: Metrics
    timelines: Mapping[str, Any] | None  # manifest
    log: Metrics  # what the events look like
    models: list[Model]
    selected: Metrics
    serve: Mapping[str, Any] | None  # manifest of the exported recommender
    serve_metrics: Metrics
    simulation: Mapping[str, Any]  # config of the counterfactual simulation
    gate: Mapping[str, Any] | None  # the verdict on the model to be served; None where there is no gate, or none yet
    gate_metrics: Metrics

    @property
    def refused(self) -> bool:
        """Whether the gate has refused the model: nothing is served, whatever an earlier run has left."""
        return self.gate is not None and not self.gate["passed"]

    def model(self, name: str | None) -> Model | None:
        """The variant of this name."""
        return next((model for model in self.models if model.name == name), None)

    def chosen(self, signals: str) -> Model | None:
        """The variant of these signals whose weight was chosen, or that has none; the final one, where there is one."""
        found = [model for model in self.models if model.variant.signals == signals and model.chosen]
        return found[-1] if found else None


def gather(workdir: Path) -> Evidence:
    """Reads the workdir of a pipelines.run. Errors: DataError where there is none, or a file is broken."""
    pipeline = read_json(workdir / PIPELINE)
    config = ConfigDict(pipeline)
    selected = _json(workdir / "selected" / "metrics.json") or {}
    models = [_model(workdir, variant, config, selected) for variant in variants(config)]
    gated = bool(pipeline.get("gate"))
    configs = (_json(workdir / "counterfactual" / model.name / "config.json") for model in models)
    return Evidence(
        pipeline=pipeline,
        world=_json(workdir / "world" / "metrics.json") or {},
        timelines=_json(workdir / "timelines" / "manifest.json"),
        log=_log(workdir / "timelines"),
        models=models,
        selected=selected,
        serve=_json(workdir / "serve" / "recommender" / "manifest.json"),
        serve_metrics=_json(workdir / "serve" / "metrics.json") or {},
        simulation=next((c["config"] for c in configs if c), {}),
        gate=_json(workdir / "gate" / "verdict.json") if gated else None,
        gate_metrics=(_json(workdir / "gate" / "metrics.json") or {}) if gated else {},
    )


def flat(evidence: Evidence) -> dict[str, float]:
    """Every number of every stage under one flat name: `test/dislike_input/recall@100`."""
    numbers = {f"world/{k}": v for k, v in evidence.world.items()}
    numbers |= {f"log/{k}": v for k, v in evidence.log.items()}
    numbers |= {f"selected/{k}": v for k, v in evidence.selected.items()}
    numbers |= {} if evidence.refused else {f"serve/{k}": v for k, v in evidence.serve_metrics.items()}
    numbers |= evidence.gate_metrics
    for model in evidence.models:
        for stage in ("train", "validate", "test", "counterfactual"):
            numbers |= {f"{stage}/{model.name}/{k}": v for k, v in getattr(model, stage).items()}
    return numbers


def _model(workdir: Path, variant: Variant, config: ConfigDict, selected: Metrics) -> Model:
    name, sweep = variant.name, config.sweeps.get(variant.signals)
    chosen_weight = selected.get(f"{variant.signals}/negative_weight")
    return Model(
        variant=variant,
        weight=chosen_weight if variant.final else variant.weight,
        reference=Variant(signals=sweep.reference, final=variant.final).name if sweep else None,
        chosen=variant.weight in (None, chosen_weight),
        train=_json(workdir / "train" / name / "metrics.json") or {},
        curves=read_curves(workdir / "train" / name / "metrics.jsonl"),
        validate=_json(workdir / "validate" / name / "metrics.json") or {},
        test=_json(workdir / "test" / name / "metrics.json") or {},
        test_users=_arrays(workdir / "test" / name / "per_user.npz"),
        counterfactual=_json(workdir / "counterfactual" / name / "metrics.json") or {},
        examples=_json(workdir / "counterfactual" / name / "examples.json") or [],
    )


def _log(folder: Path) -> dict[str, float]:
    if not (folder / MANIFEST).exists():
        return {}
    log = Timelines.open(folder)
    known = log.timestamp_ms > 0  # earlier history has no times
    feedback_rates = {f"rate/{name}": float(has(log.feedback[known], name).mean()) for name in BITS}
    days = (log.timestamp_ms[known].max() - log.timestamp_ms[known].min()) / _DAY_MS
    return {
        "users": log.num_users,
        "items": log.num_items,
        "events": len(log.item),
        "events/earlier_history": int((~known).sum()),
        **{f"events/{split}": int((log.in_split(split) & known).sum()) for split in SPLITS},
        "days": math.ceil(days),
        "rate/randomly_exposed": float(log.randomly_exposed[known].mean()),
        **feedback_rates,
    }


def _json(path: Path) -> Any:
    return read_json(path) if path.exists() else None


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """A run's metrics.jsonl: metric -> (step, value) in order of steps; nothing where there is no file.

    A run that was killed and resumed logs some steps twice, with equal values: the later line stands.
    """
    if not path.exists():
        return {}
    curves: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the line that a kill cut short
            continue
        curves.setdefault(entry["name"], {})[entry["step"]] = entry["value"]
    return {name: sorted(points.items()) for name, points in curves.items()}


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}
