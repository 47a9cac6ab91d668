"""Rows and sentences of the A/B section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.ab_evidence import AbEvidence
from pipelines.charts import Point
from pipelines.findings import interval
from pipelines.published import LIVE, Published

GROUPS = {"low_activity": "Low activity", "medium_activity": "Medium", "high_activity": "High activity"}
REWARDS = {"dislike": "Dislike rate", "long_view": "Long-view rate"}
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "Doubly robust"}


@dataclass(frozen=True)
class AbRow:
    """A metric: levels of both arms, its change, the paper's, the change by group, the share of A/A false positives."""

    name: str
    title: str
    formula: str
    control: str
    treatment: str
    change: Point | None
    published: Published | None
    groups: Sequence[Point | None]
    false_positives: Point | None
    verdict: int  # 1 where the change is clearly for the better, -1 clearly for the worse, 0 where it is neither


@dataclass(frozen=True)
class OffPolicyRow:
    """An estimate of one arm's rate, the truth where it is known, and how often such intervals hold it."""

    arm: str
    reward: str
    estimator: str
    estimate: Point
    truth: float | None
    coverage: Point | None


def precise(share: float) -> str:
    """−2.44%, with a true minus sign."""
    return f"{share:+.2%}".replace("-", "−")


def rows(evidence: AbEvidence) -> list[AbRow]:
    """A row for each metric of the test, in the order of their definitions."""
    published = LIVE.get(evidence.treatment, {})
    found = []
    for name, known in _in_order(evidence.definitions):
        change = interval(evidence.ab, f"{name}/relative")
        clear = change is not None and not change.low <= 0 <= change.high
        found.append(
            AbRow(
                name=name,
                title=known["title"],
                formula=known["formula"],
                control=_level(evidence.ab.get(f"{name}/control")),
                treatment=_level(evidence.ab.get(f"{name}/treatment")),
                change=change,
                published=published.get(name),
                groups=[interval(evidence.ab, f"group/{group}/{name}/relative") for group in GROUPS],
                false_positives=interval(evidence.ab, f"aa/{name}"),
                verdict=known["better"] * (1 if change.value > 0 else -1) if change and clear else 0,
            )
        )
    return found


def sentences(evidence: AbEvidence) -> list[str]:
    """What the test says of the metrics for which the paper has a figure; whether it can be told from nothing."""
    said = []
    for row in rows(evidence):
        if row.change is None or row.published is None:
            continue
        bounds = f"95% interval {precise(row.change.low)} to {precise(row.change.high)}"
        if row.change.low <= 0 <= row.change.high:
            change = f"no measurable change ({bounds})"
        else:
            change = f"{precise(row.change.value)} ({bounds})"
        said.append(f"{row.title}: {change}; published: {precise(row.published.change)}.")
    return said


def off_policy(evidence: AbEvidence) -> list[OffPolicyRow]:
    """A row for each arm, reward and estimator that was estimated."""
    metrics = evidence.off_policy
    found = []
    for arm in ("control", "treatment"):
        for reward, reward_title in REWARDS.items():
            for estimator, title in ESTIMATORS.items():
                key = f"{arm}/{reward}/{estimator}"
                estimate = interval(metrics, key)
                if estimate:
                    truth, coverage = metrics.get(f"{arm}/{reward}/truth"), interval(metrics, f"{key}/coverage")
                    found.append(OffPolicyRow(arm, reward_title, title, estimate, truth, coverage))
    return found


def _in_order(definitions: Mapping[str, Mapping]) -> list[tuple[str, Mapping]]:
    # JSON files come sorted by name; a reader wants what people dislike first.
    return sorted(definitions.items(), key=lambda entry: entry[1].get("place", 0))


def _level(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"
