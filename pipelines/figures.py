"""Which numbers go into which chart. A chart without its numbers is an empty string, and the report says why."""

from collections.abc import Mapping, Sequence

from pipelines import charts
from pipelines.charts import Point
from pipelines.evidence import Evidence
from pipelines.findings import DISLIKE, PAPER, TITLES, interval, kinds, responds

_NEGATIVE = "Mean p of the negative labels"
_CURVES = {
    "train_loss": "Training loss",
    "valid/recall@100": "Validation Recall@100",
    "train/negative_p": _NEGATIVE,
}


def training(evidence: Evidence) -> str:
    """Loss, validation recall and, of models that have them, the probability of negative labels, by step."""
    panels = {}
    for metric, heading in _CURVES.items():
        lines = [
            (model.variant.signals, _points(model.curves.get(metric, ()), heading))
            for model in evidence.models
            if model.reference or heading != _NEGATIVE
        ]
        if any(points for _, points in lines):
            panels[heading] = [(signals, points) for signals, points in lines if points]
    return charts.curves(panels, logarithmic=_NEGATIVE) if panels else ""


def _points(curve: Sequence[tuple[int, float]], heading: str) -> list[tuple[int, float]]:
    # A batch without a negative label logs a mean of 0, which is none, and has no place on a logarithmic axis.
    return [(step, value) for step, value in curve if value > 0 or heading != _NEGATIVE]


def responsiveness(evidence: Evidence) -> str:
    """The configs of the paper, on its own tower and with Heed's memory, beside the paper's figures, by the kinds of
    similarity that the run has.
    """
    models = {signals: evidence.chosen(signals) for signals in PAPER}
    measured = {signals: model.counterfactual for signals, model in models.items() if model and model.counterfactual}
    shown = [kind for kind in kinds(evidence) if all(f"{DISLIKE}/{kind}" in found for found in measured.values())]
    if not measured or not shown:
        return ""
    groups = {
        signals: [point for kind in shown if (point := interval(found, f"{DISLIKE}/{kind}", _lines(signals)))]
        for signals, found in measured.items()
    }
    paper = {signals: [PAPER[signals].get(kind) for kind in shown] for signals in groups}
    return charts.bars(groups, paper=paper, kinds=[f"by {kind}" for kind in shown])


def _lines(signals: str) -> str:
    # A label beside a bar: what is learned from above which tower it is.
    return TITLES[signals].replace(", ", ",\n", 1)


def frontiers(evidence: Evidence, changes: Mapping[str, float]) -> dict[str, str]:
    """What a heavier negative weight buys and costs: a chart for each thing it buys."""
    kind = next(iter(kinds(evidence)), "")
    return {
        name: chart
        for name, chart in {
            "skip": _frontier(evidence, changes, "skip@100", "Skip@100, relative to no negatives"),
            "dislike": _frontier(evidence, changes, "dislike@100", "Dislike@100, relative to no negatives"),
            "responsiveness": _frontier(evidence, changes, "", f"Similar items after a dislike ({kind})"),
        }.items()
        if chart
    }


def _frontier(evidence: Evidence, changes: Mapping[str, float], metric: str, y_label: str) -> str:
    # metric "": responsiveness, which is already relative to the model's own baseline.
    series: dict[str, list[tuple[float, Point]]] = {}
    chosen: list[tuple[float, float]] = []
    references: dict[str, tuple[float, float]] = {}
    for model in evidence.models:
        if model.variant.final or f"change/{model.name}/recall@100" not in changes:
            continue
        point = interval(changes, f"change/{model.name}/{metric}") if metric else responds(evidence, model)
        if point is None:
            continue
        x = 1 + changes[f"change/{model.name}/recall@100"]
        labelled = Point(point.value, point.low, point.high, f"{model.variant.weight:g}")
        series.setdefault(model.variant.signals, []).append((x, labelled))
        base = evidence.model(model.reference)
        y = 0.0 if metric else getattr(responds(evidence, base), "value", None)
        if base and y is not None:
            references[base.variant.signals] = (1.0, y)
        if model.chosen:
            chosen.append((x, point.value))
    if not series:
        return ""
    return charts.frontier(
        series,
        references=references,
        goal=evidence.pipeline["keep_recall"],
        chosen=chosen,
        x_label="Recall@100 kept",
        y_label=y_label,
    )
