"""Rows of the satisfaction section's tables, and the sentences that its figures bear out."""

from pipelines.charts import Point
from pipelines.findings import interval
from pipelines.satisfaction_evidence import Protocol
from pipelines.tables import Row

COLUMNS = (
    ("hr@1", "HR@1"),
    ("hr@5", "HR@5"),
    ("hr@10", "HR@10"),
    ("ndcg@5", "NDCG@5"),
    ("ndcg@10", "NDCG@10"),
    ("mrr", "MRR"),
)
FULL_COLUMNS = (("full/hr@10", "HR@10,<br>all items"), ("full/mrr", "MRR,<br>all items"))
GROUPS = ("G1", "G2", "G3", "G4")
TITLES = {
    "leave_one_out": "Leave one out: the last click of each user",
    "time": "By time: the first click of each user on the test days",
}
_ROWS = {
    "popularity": "Popularity",
    "item_knn": "Item-kNN",
    "base": "Base recommender",
    "gru_softmax": "GRU, exact softmax",
}


def rows(protocol: Protocol) -> list[Row]:
    """The baselines, then the main model, each among 99 sampled items and among all of them."""
    metrics = [metric for metric, _ in (*COLUMNS, *FULL_COLUMNS)]
    found = [
        Row(_ROWS.get(name, name), [interval(protocol.test, f"{name}/{metric}") for metric in metrics])
        for name in protocol.rows
    ]
    return [*found, Row("SAQRec", [interval(protocol.test, metric) for metric in metrics], emphasis=True)]


def gains(protocol: Protocol) -> list[Row]:
    """What the main model gains over each row, paired over users."""
    metrics = [metric for metric, _ in (*COLUMNS, *FULL_COLUMNS)]
    return [
        Row(_ROWS.get(name, name), [interval(protocol.test, f"gain_over/{name}/{metric}") for metric in metrics])
        for name in protocol.rows
    ]


def groups(protocol: Protocol, metric: str = "hr@10") -> list[Row]:
    """A metric by user activity, a column for each group."""
    named = [*((name, f"{name}/") for name in protocol.rows), ("SAQRec", "")]
    return [
        Row(
            _ROWS.get(name, name),
            [interval(protocol.test, f"{prefix}{group}/{metric}") for group in GROUPS],
            emphasis=not prefix,
        )
        for name, prefix in named
    ]


def sentences(protocol: Protocol) -> list[str]:
    """What can be said of the main model, a sentence for each baseline that it was measured beside."""
    better: list[tuple[str, Point]] = []
    level: list[tuple[str, Point]] = []
    worse: list[tuple[str, Point]] = []
    for name in protocol.rows:
        gain = interval(protocol.test, f"gain_over/{name}/mrr")
        if gain is None:
            continue
        (better if gain.low > 0 else worse if gain.high < 0 else level).append((_ROWS.get(name, name), gain))
    found = []
    if better:
        found.append(f"In MRR SAQRec is ahead of {_listed(better)}.")
    if level:
        found.append(f"It cannot be told from {_listed(level)}.")
    if worse:
        found.append(f"It is behind {_listed(worse)}.")
    return found


def _listed(named: list[tuple[str, Point]]) -> str:
    return ", ".join(
        f"{name} (by {gain.value:+.4f}, 95% interval {gain.low:+.4f} to {gain.high:+.4f})".replace("-0.", "−0.")
        for name, gain in named
    )
