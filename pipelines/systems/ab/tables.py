"""Rows and sentences of the A/B section, of either test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.report.intervals import Point, interval, minus, precise
from pipelines.report.tables import best_of
from pipelines.systems.ab.evidence import Test
from pipelines.systems.ab.figures import EXPOSURE
from pipelines.systems.ab.published import LIVE, PUBLISHED, Published
from pipelines.systems.retrieval.models import TITLES

GROUPS = {"low_activity": "Low activity", "medium_activity": "Medium", "high_activity": "High activity"}
REWARDS = {"dislike": "Dislike rate", "long_view": "Long-view rate"}
ALPHA = 0.05  # what intervals of 95% should leave out where nothing differs
ORDERS = {
    "ranked": "The ranker",
    "aligned": "Ranker aligned with satisfaction",
    "retrieval": "Retrieval alone",
}
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "Doubly robust"}


@dataclass(frozen=True)
class Cell:
    """A metric of one arm: its level, its change from the control, the paper's, and the change by group; `best` of all
    arms' changes, the control's 0 among them.
    """

    arm: str
    level: str
    change: Point | None
    published: Sequence[Published]
    groups: Sequence[Point | None]
    verdict: int  # 1 where the change is clearly for the better, -1 clearly for the worse, 0 where it is neither
    best: bool = False


@dataclass(frozen=True)
class AbRow:
    """A metric: the control's level, the other arms, and the share of A/A tests that found a difference."""

    name: str
    title: str
    formula: str
    control: str
    cells: Sequence[Cell]
    false_positives: Point | None
    control_is_best: bool = False

    @property
    def misses(self) -> bool:
        """Whether the interval of that share leaves out the 5% that it should be."""
        found = self.false_positives
        return found is not None and not found.low <= ALPHA <= found.high


@dataclass(frozen=True)
class OffPolicyRow:
    """An estimate of one arm's rate, the truth where it is known, and how often such intervals hold it."""

    arm: str
    reward: str
    estimator: str
    estimate: Point
    truth: float | None
    coverage: Point | None


def arm_title(arm: str) -> str:
    """What a reader calls the model, or the order, of this arm."""
    return (TITLES | ORDERS).get(arm, arm.replace("_", " "))


def rows(test: Test, first: Sequence[str] = ()) -> list[AbRow]:
    """A row for each metric of the test: `first`, then in the order of their definitions."""
    return [
        _marked(
            AbRow(
                name=name,
                title=known["title"],
                formula=known["formula"],
                control=_level(test.metrics.get(f"{name}/{test.control}")),
                cells=[_cell(test, arm, name, better=known["better"]) for arm in test.treated],
                false_positives=interval(test.metrics, f"aa/{name}"),
            ),
            better=known["better"],
        )
        for name, known in _in_order(test.definitions, first)
    ]


def _marked(row: AbRow, *, better: int) -> AbRow:
    # The control's change from itself is 0; changes are printed to a tenth of a percent.
    changes = [0.0, *(cell.change.value if cell.change else None for cell in row.cells)]
    control, *arms = best_of(changes, better=better, digits=3)
    cells = [replace(cell, best=best) for cell, best in zip(row.cells, arms, strict=True)]
    return replace(row, cells=cells, control_is_best=control)


def sentences(test: Test) -> dict[str, list[str]]:
    """arm -> what the test says of the metrics for which a paper has a figure, where it can be told from nothing."""
    said: dict[str, list[str]] = {}
    for row in rows(test):
        for cell in row.cells:
            if cell.change is None or not cell.published:
                continue
            bounds = f"95% interval {precise(cell.change.low)} to {precise(cell.change.high)}"
            if cell.change.holds_zero:
                change = f"no measurable change ({bounds})"
            else:
                change = f"{precise(cell.change.value)} ({bounds})"
            said.setdefault(cell.arm, []).append(f"{row.title}: {change}; published: {printed(cell.published)}.")
    return said


def printed(published: Sequence[Published]) -> str:
    """−2.44% (homepage), −1.10% (immersive feed)."""
    return ", ".join(
        f"{precise(one.change)} ({one.surface}{'' if one.significant else ', not significant'})" for one in published
    )


def not_tested(test: Test) -> dict[str, str]:
    """What was published of arms that this test does not have: signals -> figures."""
    return {
        signals: "; ".join(f"{test.definitions[name]['title'].lower()} {printed(p)}" for name, p in found.items())
        for signals, found in LIVE.items()
        if signals not in test.arms and found.keys() <= test.definitions.keys()
    }


def slopes(test: Test) -> list[str]:
    """Of each arm, how the entropy changes with the dislikes, by exposure group, with its interval."""
    said = []
    for arm in test.arms:
        found = {group: interval(test.metrics, f"long_run/{arm}/{group}/slope") for group in EXPOSURE}
        parts = [
            f"{EXPOSURE[group].lower()} {_nats(point.value)} ({_nats(point.low)} to {_nats(point.high)})"
            for group, point in found.items()
            if point
        ]
        said += [f"{arm_title(arm)}: {', '.join(parts)}."] if parts else []
    return said


def off_policy(check: Test) -> list[OffPolicyRow]:
    """A row for each arm, reward and estimator that was estimated."""
    metrics = check.metrics
    found = []
    for arm in check.arms:
        for reward, reward_title in REWARDS.items():
            for estimator, title in ESTIMATORS.items():
                key = f"{arm}/{reward}/{estimator}"
                estimate = interval(metrics, key)
                if estimate:
                    truth, coverage = metrics.get(f"{arm}/{reward}/truth"), interval(metrics, f"{key}/coverage")
                    found.append(OffPolicyRow(arm_title(arm), reward_title, title, estimate, truth, coverage))
    return found


def _in_order(definitions: Mapping[str, Mapping], first: Sequence[str]) -> list[tuple[str, Mapping]]:
    # JSON files come sorted by name; a reader wants what the test is about first, then what people dislike.
    def place(entry: tuple[str, Mapping]) -> tuple[int, int]:
        name, known = entry
        return first.index(name) if name in first else len(first), known.get("place", 0)

    return sorted(definitions.items(), key=place)


def _cell(test: Test, arm: str, name: str, *, better: int) -> Cell:
    change = test.change(arm, name)
    clear = change is not None and not change.holds_zero
    return Cell(
        arm=arm,
        level=_level(test.metrics.get(f"{name}/{arm}")),
        change=change,
        published=PUBLISHED.get(arm, {}).get(name, ()),
        groups=[test.change(arm, f"group/{group}/{name}") for group in GROUPS],
        verdict=better * (1 if change.value > 0 else -1) if change and clear else 0,
    )


def _nats(value: float) -> str:
    return minus(f"{value:+.3f}")


def _level(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"
