"""Rows of the satisfaction section's tables, and sentences that its figures bear out."""

from collections.abc import Iterable, Mapping

from pipelines.report.intervals import Metrics, Point, apart, interval, minus
from pipelines.report.tables import Row, marked, row
from pipelines.systems.satisfaction.results import Protocol

Points = Mapping[str, Point]

COLUMNS = {"hr@1": "HR@1", "hr@5": "HR@5", "hr@10": "HR@10", "ndcg@5": "NDCG@5", "ndcg@10": "NDCG@10", "mrr": "MRR"}
ALL_COLUMNS = {**COLUMNS, "full/hr@10": "HR@10,<br>all items", "full/mrr": "MRR,<br>all items"}
GROUPS = ("G1", "G2", "G3", "G4")
TITLES = {
    "leave_one_out": "Leave one out: the last click of each user",
    "time": "By time: the first click of each user on the test days",
}
ROWS = {
    "popularity": "Popularity",
    "item_knn": "Item-kNN",
    "item_knn_popularity": "Item-kNN × popularity",
    "base": "Base recommender, with all that SAQRec has",
    "gru_softmax": "GRU over ids, likewise",
}


def rows(protocol: Protocol) -> list[Row]:
    """The baselines, then the main model, each among 99 sampled items and among all of them."""
    return marked(_rows(protocol, protocol.rows, ALL_COLUMNS)) if protocol.test else []


def groups(protocol: Protocol, metric: str = "hr@10") -> list[Row]:
    """A metric by user activity, a column for each group."""
    return marked(_rows(protocol, protocol.rows, [f"{group}/{metric}" for group in GROUPS]))


def gains(protocol: Protocol) -> list[Row]:
    """What the main model gains over each row, paired over users."""
    return [
        row(ROWS.get(name, name), protocol.test, [f"gain_over/{name}/{metric}" for metric in ALL_COLUMNS])
        for name in protocol.rows
    ]


def _rows(protocol: Protocol, names: Iterable[str], metrics: Iterable[str]) -> list[Row]:
    others = [row(ROWS.get(name, name), protocol.test, [f"{name}/{metric}" for metric in metrics]) for name in names]
    return [*others, row("SAQRec", protocol.test, metrics, emphasis=True)]


def sentences(protocol: Protocol) -> list[str]:
    """What can be said of the main model, a sentence for each baseline that it was measured beside."""
    relations = ("is ahead of", "cannot be told from", "is behind")
    compared = apart(gains_in_mrr(protocol.test, protocol.rows))
    parts = [f"{relation} {listed(points)}." for relation, points in zip(relations, compared) if points]
    return [f"{'It' if n else 'In MRR SAQRec'} {part}" for n, part in enumerate(parts)]


def gains_in_mrr(metrics: Metrics, rows: Iterable[str], prefix: str = "", labels: Mapping[str, str] = ROWS) -> Points:
    """What is gained over each of these rows."""
    gains = {labels.get(name, name): interval(metrics, f"{prefix}gain_over/{name}/mrr") for name in rows}
    return {label: point for label, point in gains.items() if point}


def listed(points: Points) -> str:
    """Each with the gain over it and its interval."""
    return ", ".join(
        f"{name} (by {minus(f'{gain.value:+.4f}')}, 95% interval {minus(f'{gain.low:+.4f} to {gain.high:+.4f}')})"
        for name, gain in points.items()
    )
