"""What the trainings of the alternatives have left behind: numbers of each, over seeds, and whether they diverged.

A training has diverged where its loss or gradient was not finite; where validation Recall@100 ends below half of its
best; or where the training loss ends further below zero than it began above, which no loss with a lower bound of 0
does. The last is not asked of REINFORCE, whose loss is a number without a meaning.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.alternatives.runs import Row
from pipelines.report.run_folder import curves
from retrieval.run import DIVERGED
from runtime.artifact import read_json

_OF_TRAINING = ("steps", "train_loss", "grad_norm/", "valid/positive_gradient_norm", "valid/negative_gradient_norm")
_OF_TEST = ("recall@100", "dislike@100", "next_item/recall@100", "next_item/delta_hr@10")
_BOUNDS = ("/low", "/high")
# From deaf to responsive: with Heed's memory of dislikes, and on the paper's own tower.
_ORDERS = {
    "order": ("no_dislike_signal", "dislike_input", "dislike_input_and_label"),
    "order/paper_tower": (
        "no_dislike_signal",
        "dislike_input_paper_tower",
        "dislike_input_and_label_paper_tower",
    ),
}
LEAST_KEPT = 0.5  # of the best validation recall


def collect(row: Row) -> dict[str, float]:
    """A training's numbers; those of one that ended at a loss that is not finite are the step and the norms before."""
    diverged = row.folder("train") / DIVERGED
    if diverged.exists():
        found = read_json(diverged)
        return {"diverged": 1.0, "diverged_at_step": found.pop("step"), **found}
    train, test, simulated = (_json(row.folder(s) / "metrics.json") for s in ("train", "test", "counterfactual"))
    kept = {name: value for name, value in test.items() if name.startswith(_OF_TEST)}
    kept |= {name: value for name, value in simulated.items() if name.startswith("long_watch+dislike/")}
    kept |= {name: value for name, value in train.items() if name.startswith(_OF_TRAINING)}
    # Their disliked items stand in the positives' own term: 0, as a matter of course.
    if row.signals in ("softmax_negatives", "contrastive"):
        kept.pop("valid/negative_gradient_norm", None)
    logged = curves(row.folder("train"))
    if recall := logged.get("valid/recall@100"):
        best = max(value for _, value in recall)
        kept["recall_kept"] = recall[-1][1] / best if best > 0 else 0.0
    if (loss := logged.get("train_loss")) and row.signals != "reinforce":
        kept["loss_sank"] = float(loss[-1][1] < -abs(loss[0][1]))
    return {**kept, "diverged": float(kept.get("recall_kept", 1.0) < LEAST_KEPT or kept.get("loss_sank", 0.0) > 0)}


def how(metrics: Mapping[str, float]) -> str:
    """In which way a training diverged, in a few words; "no" where it did not."""
    if "diverged_at_step" in metrics:
        return f"not finite at step {metrics['diverged_at_step']:g}"
    ways = ["loss without bound"] if metrics.get("loss_sank") else []
    if metrics.get("recall_kept", 1.0) < LEAST_KEPT:
        ways.append(f"recall fell to {metrics['recall_kept']:.0%}")
    return ", ".join(ways) or "no"


def over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each number over the trainings that have it, and of several its standard deviation, `<name>/spread`.

    "seeds" is how many there are, "diverged" the share of them that did; a training that ended at a loss that is not
    finite has no more than its norms. Bounds are those of one training: of several there are none, for the mean of
    bounds is no interval of the mean.
    """
    if len(found) == 1:
        return {**found[0], "seeds": 1.0}
    pooled: dict[str, float] = {"seeds": float(len(found))}
    for name in dict.fromkeys(name for metrics in found for name in metrics if not name.endswith(_BOUNDS)):
        values = [metrics[name] for metrics in found if name in metrics]
        pooled[name] = statistics.fmean(values)
        if len(values) > 1 and name != "diverged":
            pooled[f"{name}/spread"] = statistics.stdev(values)
    return pooled


def order(measured: Mapping[Row, Mapping[str, float]]) -> dict[str, float]:
    """`order/<kind>`: in which share of the seeds |no signal| < |input| < |input and label| holds; of the paper's own
    tower `order/paper_tower/<kind>`.

    Of rows that are trained with clipping, and nothing where one of them is not among the rows or the last has several
    weights. Seeds with a row that lacks the figure count as seeds in which it does not hold.
    """
    found: dict[str, float] = {}
    clipped = {(row.signals, row.weight) for row in measured if row.clip_norm is None}
    for name, signals in _ORDERS.items():
        rows = [row for row in clipped if row[0] in signals]
        if len(rows) == len(signals) == len({of for of, _ in rows}):
            found |= {f"{name}/{kind}": _share_in_order(measured, signals, kind) for kind in ("content", "creator")}
    return found


def _share_in_order(measured: Mapping[Row, Mapping[str, float]], order: Sequence[str], kind: str) -> float:
    name, held = f"long_watch+dislike/{kind}", []
    for seed in dict.fromkeys(row.seed for row in measured):
        rows = [
            next((m for r, m in measured.items() if (r.signals, r.seed, r.clip_norm) == (signals, seed, None)), {})
            for signals in order
        ]
        changes = [abs(metrics[name]) for metrics in rows if name in metrics]
        held.append(len(changes) == len(order) and changes[0] < changes[1] < changes[2])
    return sum(held) / len(held)


def by_label(measured: Mapping[Row, Mapping[str, float]]) -> dict[str, list[Mapping[str, float]]]:
    """The rows of the table: label -> the numbers of each seed."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for row, metrics in measured.items():
        found.setdefault(row.label, []).append(metrics)
    return found


def flat(measured: Mapping[Row, Mapping[str, float]]) -> dict[str, float]:
    """Every number under one flat name: `<row>/<metric>`, of several seeds `<row>/seed3/<metric>`, and the order."""
    pooled = {label: over_seeds(found) for label, found in by_label(measured).items()}
    numbers = {f"{label}/{name}": value for label, metrics in pooled.items() for name, value in metrics.items()}
    if len({row.seed for row in measured}) > 1:
        for row, metrics in measured.items():
            numbers |= {f"{row.label}/seed{row.seed}/{name}": value for name, value in metrics.items()}
    return numbers | order(measured)


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
