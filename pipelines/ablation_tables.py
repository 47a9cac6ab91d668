"""Rows of the ablations' tables, click loss by click loss, and the sentences that their figures bear out."""

from dataclasses import dataclass

from pipelines.findings import interval
from pipelines.satisfaction_evidence import Protocol
from pipelines.satisfaction_tables import COLUMNS, ROWS, apart, listed
from pipelines.tables import Row, marked
from satisfaction.experiments.variants import FULL, GROUPS

LOSSES = {
    "exact": "Exact softmax",
    "sampled": "Sampled softmax",
    "bce": "Binary cross entropy, the paper’s",
}
ROWS_OF = {
    FULL: "SAQRec, full",
    "no_unbiased": "without unbiased satisfaction",
    "no_sid": "without disentanglement (SID)",
    "no_mlse": "without levels (MLSE)",
    "no_mtl": "without satisfaction task (MTL)",
    "no_popularity": "without recent popularity (not in the paper)",
    **{name: ROWS[name] for name in ("gru_softmax", "item_knn", "popularity")},
}
GAINS = ("mrr", "hr@10")
VALID = "valid/mrr"


@dataclass(frozen=True)
class Ablations:
    """One click loss: figures a row, then what the full model gains over it."""

    loss: str
    rows: list[tuple[Row, Row]]
    verdict: str


def losses(protocol: Protocol) -> list[str]:
    """The click losses that were trained, in the order in which they are shown."""
    return [loss for loss in LOSSES if f"{loss}/{FULL}/mrr" in protocol.ablations]


def ablations(protocol: Protocol) -> list[Ablations]:
    """A table for each click loss; none where the pipeline has no such stage."""
    return [_of_loss(protocol, loss) for loss in losses(protocol)]


def _of_loss(protocol: Protocol, loss: str) -> Ablations:
    metrics = protocol.ablations
    found = []
    for name, label in ROWS_OF.items():
        if f"{loss}/{name}/mrr" in metrics:
            cells = [interval(metrics, f"{loss}/{name}/{metric}") for metric in (*(m for m, _ in COLUMNS), VALID)]
            gains = [interval(metrics, f"{loss}/gain_over/{name}/{metric}") for metric in GAINS]
            found.append((Row(label, cells, emphasis=name == FULL), Row(label, gains)))
    best = marked([row for row, _ in found], [True] * (len(COLUMNS) + 1))
    return Ablations(LOSSES[loss], list(zip(best, (gain for _, gain in found))), _verdict(protocol, loss))


def _verdict(protocol: Protocol, loss: str) -> str:
    # On the ablations alone: the baselines have their sentences beside the main table.
    names = [name for name in GROUPS["ablations"] if f"{loss}/{name}/mrr" in protocol.ablations]
    above, level, below = apart(protocol.ablations, names, prefix=f"{loss}/", labels=ROWS_OF)
    parts = [
        *([f"is better, beyond the interval, than the one {listed(above)}"] if above else []),
        *([f"cannot be told from the one {listed(level)}"] if level else []),
        *([f"is worse, beyond the interval, than the one {listed(below)}"] if below else []),
    ]
    return f"In MRR the full model {'; it '.join(parts)}." if parts else ""
