"""Rows of the report's tables, from what the stages left behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.charts import Point, signed
from pipelines.evidence import Evidence, Metrics
from pipelines.findings import DISLIKE, KINDS, change, interval, kinds, responds, title

# metric, heading, whether more is better
COLUMNS = (
    ("recall@10", "Recall@10", True),
    ("recall@50", "Recall@50", True),
    ("recall@100", "Recall@100", True),
    ("ndcg@10", "NDCG@10", True),
    ("ndcg@100", "NDCG@100", True),
    ("mrr", "MRR", True),
    ("skip@100", "Skip@100", False),
    ("dislike@100", "Dislike@100", False),
    ("coverage@100", "Coverage@100", True),
)
_BASELINES = {
    "popularity_7d": "Popularity, last 7 days",
    "item_knn": "Item-kNN",
    "item_knn_popularity": "Item-kNN × popularity",
}


@dataclass(frozen=True)
class Row:
    """A line of a table; `cells` are None where nothing was measured, `emphasis` marks the chosen models."""

    label: str
    cells: Sequence[Point | None]
    emphasis: bool = False


@dataclass(frozen=True)
class Check:
    """What a gate asks of the served model: `value` is to be at most `limit`."""

    label: str
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True)
class Card:
    """A number to remember."""

    figure: str
    caption: str
    detail: str


def retrieval(evidence: Evidence) -> list[Row]:
    """Baselines first, then the models, on the test days."""
    measured = [model for model in evidence.models if model.test]
    rows = [
        Row(label, [interval(measured[0].test, f"{name}/{metric}") for metric, _, _ in COLUMNS])
        for name, label in _BASELINES.items()
        if measured and f"{name}/recall@100" in measured[0].test
    ]
    for model in measured:
        cells = [interval(model.test, metric) for metric, _, _ in COLUMNS]
        rows.append(Row(title(model), cells, emphasis=model.chosen and model.weight is not None))
    return rows


def branches(evidence: Evidence) -> tuple[list[str], list[Row]]:
    """Relative change of similarity for every branch and kind: headings, and a row per model."""
    known = kinds(evidence)
    keys = list(dict.fromkeys(f"{b}/{k}" for b in evidence.simulation.get("branches", ()) for k in known))
    measured = [model for model in evidence.models if model.counterfactual]
    rows = [
        Row(
            title(model),
            [interval(model.counterfactual, key) for key in keys],
            emphasis=model.chosen and model.weight is not None,
        )
        for model in measured
    ]
    return keys, rows


def gate(evidence: Evidence) -> list[Check]:
    """What the gate asked of the model to be served, and what was found; nothing where there is none."""
    labels = {"recall_loss": "Recall@100 lost on the test days, against no negatives"}
    labels |= {f"{DISLIKE}/{kind}": f"Change in similar items after a dislike, by {kind}" for kind in KINDS}
    return [
        Check(labels.get(check["name"], check["name"]), check["value"], check["limit"], check["passed"])
        for check in (evidence.gate or {}).get("checks", ())
    ]


def cards(evidence: Evidence, changes: Metrics) -> list[Card]:
    """The few numbers at the top."""
    found = []
    if point := responds(evidence, evidence.chosen("dislike_input_and_label")):
        similar = {"creator": "items of its creator", "vectors": "similarity"}.get(kinds(evidence)[0], "similar items")
        found.append(
            Card(signed(point.value), f"{similar} in the next slate after one “not interested”", _bounds(point))
        )
    served = evidence.chosen(evidence.pipeline["serve"])
    if recall := change(changes, served, "recall@100"):
        found.append(Card(f"{1 + recall.value:.1%}", "of Recall@100 kept", _bounds(recall, plus=1.0)))
    for metric, what in (("dislike@100", "disliked"), ("skip@100", "skipped")):
        if fewer := change(changes, served, metric):
            found.append(Card(signed(fewer.value), f"{what} items in the top 100", _bounds(fewer)))
    return found


def examples(evidence: Evidence, *, users: int = 5) -> list[dict[str, Any]]:
    """The first users' slates of the served model, after a long watch and after the same watch with a dislike, with how
    much of each whole slate (`size`) shares the item's content and creator (`shares`).
    """
    model = evidence.chosen(evidence.pipeline["serve"])
    baseline, size = evidence.simulation.get("baseline", ""), evidence.simulation.get("slate_size", 0)
    shown = []
    for example in (model.examples if model else [])[:users]:
        slates = {name: example["slates"][name] for name in (baseline, DISLIKE) if name in example["slates"]}
        shown.append({**example, "slates": slates, "baseline": baseline, "size": size})
    return shown


def _bounds(point: Point, *, plus: float = 0.0) -> str:
    if point.low == point.high:
        return ""
    form = signed if not plus else "{:.1%}".format
    return f"95% interval {form(plus + point.low)} to {form(plus + point.high)}"
