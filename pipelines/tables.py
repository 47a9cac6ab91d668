"""Rows of the report's tables, from what the stages left behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.best import best_of
from pipelines.charts import Point, signed
from pipelines.evidence import Evidence, Metrics
from pipelines.findings import DISLIKE, KINDS, RULES, best_rule, change, interval, kinds, responds, title

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
_DIGITS = 3  # that the page prints of them


@dataclass(frozen=True)
class Row:
    """A line of a table; `cells` are None where nothing was measured, `emphasis` marks the chosen models, `best` says
    in which columns this line has the best value.
    """

    label: str
    cells: Sequence[Point | None]
    emphasis: bool = False
    best: frozenset[int] = frozenset()


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


def marked(rows: Sequence[Row], more_is_better: Sequence[bool]) -> list[Row]:
    """The same rows, each with the columns in which its value, as printed, is the best; `more_is_better` of each."""
    found = [
        best_of(
            [cell.value if (cell := row.cells[n]) else None for row in rows], better=1 if more else -1, digits=_DIGITS
        )
        for n, more in enumerate(more_is_better)
    ]
    return [replace(row, best=frozenset(n for n, best in enumerate(found) if best[k])) for k, row in enumerate(rows)]


def retrieval(evidence: Evidence) -> list[Row]:
    """Simple rules first, then the models, on the test days."""
    measured = [model for model in evidence.models if model.test]
    rows = [
        Row(label, [interval(measured[0].test, f"{name}/{metric}") for metric, _, _ in COLUMNS])
        for name, label in RULES.items()
        if measured and f"{name}/recall@100" in measured[0].test
    ]
    for model in measured:
        cells = [interval(model.test, metric) for metric, _, _ in COLUMNS]
        rows.append(Row(title(model), cells, emphasis=model.chosen and model.weight is not None))
    return marked(rows, [more for _, _, more in COLUMNS])


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
    similar = {"creator": "items of its creator", "vectors": "similarity"}.get(
        next(iter(kinds(evidence)), ""), "similar items"
    )
    found = []
    for signals, what in (
        (
            "dislike_input_and_label",
            f"{similar} in the next slate after one “not interested”, with the memory of dislikes",
        ),
        ("dislike_input_and_label_paper_tower", "the same loss on the paper’s own tower, without that memory"),
    ):
        if point := responds(evidence, evidence.chosen(signals)):
            found.append(Card(signed(point.value), what, _bounds(point)))
    served = evidence.chosen(evidence.pipeline["serve"])
    rule = best_rule(evidence)
    if served and rule and "recall@100" in served.test:
        figures = f"{served.test['recall@100']:.3f} vs {rule[1]:.3f}"
        found.append(Card(figures, f"Recall@100: the served model against the best simple rule, {rule[0]}", ""))
    if recall := change(changes, served, "recall@100"):
        what = "of Recall@100 kept, against the same model without negatives"
        found.append(Card(f"{1 + recall.value:.1%}", what, _bounds(recall, plus=1.0)))
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
