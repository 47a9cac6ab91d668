"""Rows of the A/B section's tables, for the test of models and that of rankers, and sentences about them."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipelines.report.intervals import Point, in_words, interval, minus, precise
from pipelines.report.tables import best_of
from pipelines.systems.ab.charts import EXPOSURE
from pipelines.systems.ab.published import LIVE, PUBLISHED, Published
from pipelines.systems.ab.results import Test
from pipelines.systems.retrieval.models import title_of

GROUPS = {"low_activity": "Low activity", "medium_activity": "Medium", "high_activity": "High activity"}
REWARDS = {"dislike": "Dislike rate", "long_view": "Long-view rate"}
ALPHA = 0.05  # what intervals of 95% should leave out where nothing differs
ORDERS = {"ranked": "The ranker", "aligned": "Ranker aligned with satisfaction", "retrieval": "Retrieval alone"}
FIRST = ("true_satisfaction", "watch_time")  # rows that come first in the test of rankers
ALIGNED = "aligned"  # of its arms
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "Doubly robust"}


class Cell(NamedTuple):
    """A metric of one arm: its level, its change from the control, the paper's, and the change by group."""

    arm: str
    level: str
    change: Point | None
    published: Sequence[Published]
    groups: Sequence[Point | None]
    verdict: int  # 1 where the change is clearly for the better, -1 clearly for the worse, 0 where it is neither
    best: bool  # of all arms' changes, the control's 0 among them


class AbRow(NamedTuple):
    """A metric: the control's level, the other arms, and the share of A/A tests that found a difference."""

    name: str
    title: str
    formula: str
    control: str
    control_is_best: bool
    cells: Sequence[Cell]
    false_positives: Point | None

    @property
    def misses(self) -> bool:
        """Whether the interval of that share leaves out the 5% that it should be."""
        share = self.false_positives
        return share is not None and not share.low <= ALPHA <= share.high


class OffPolicyRow(NamedTuple):
    """An estimate of one arm's rate, the truth where it is known, and how often such intervals hold it."""

    arm: str
    reward: str
    estimator: str
    estimate: Point
    truth: float | None
    coverage: Point | None


def arm_title(arm: str) -> str:
    """What a reader calls the model, or the order, of this arm."""
    return ORDERS.get(arm) or title_of(arm)


def rows(test: Test, first: Sequence[str] = ()) -> list[AbRow]:
    """A row for each metric of the test: `first`, then what people dislike, and the rest as it is defined."""

    def place(name: str) -> tuple[int, int]:  # JSON files come sorted by name
        return first.index(name) if name in first else len(first), test.definitions[name].get("place", 0)

    return [_row(test, name, **test.definitions[name]) for name in sorted(test.definitions, key=place)]


def _row(test: Test, name: str, *, title: str, formula: str, better: int, **_: Any) -> AbRow:
    changes = [test.change(arm, name) for arm in test.treated]
    # The control's change from itself is 0.
    control, *best = best_of([0.0, *(change.value if change else None for change in changes)], better=better)
    cells = [
        Cell(
            arm=arm,
            level=_level(test.metrics.get(f"{name}/{arm}")),
            change=change,
            published=PUBLISHED.get(arm, {}).get(name, ()),
            groups=[test.change(arm, f"group/{group}/{name}") for group in GROUPS],
            verdict=better * (1 if change.value > 0 else -1) if change and not change.holds_zero else 0,
            best=is_best,
        )
        for arm, change, is_best in zip(test.treated, changes, best, strict=True)
    ]
    level, misled = _level(test.metrics.get(f"{name}/{test.control}")), interval(test.metrics, f"aa/{name}")
    return AbRow(name, title, formula, level, control, cells, misled)


def sentences(test: Test) -> dict[str, list[str]]:
    """arm -> what the test says of the metrics for which a paper has a figure, where it can be told from nothing."""
    said: dict[str, list[str]] = {}
    for row in rows(test):
        for cell in row.cells:
            if cell.change is None or not cell.published:
                continue
            change = "no measurable change" if cell.change.holds_zero else precise(cell.change.value)
            change += f" (95% interval {precise(cell.change.low)} to {precise(cell.change.high)})"
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
        signals: "; ".join(f"{test.definitions[name]['title'].lower()} {printed(p)}" for name, p in of_arm.items())
        for signals, of_arm in LIVE.items()
        if signals not in test.arms and of_arm.keys() <= test.definitions.keys()
    }


def slopes(test: Test) -> list[str]:
    """Of each arm, how the entropy changes with the dislikes, by exposure group, with its interval."""
    said = []
    for arm in test.arms:
        points = {group: interval(test.metrics, f"long_run/{arm}/{group}/slope") for group in EXPOSURE}
        parts = [
            f"{EXPOSURE[group].lower()} {_nats(point.value)} ({_nats(point.low)} to {_nats(point.high)})"
            for group, point in points.items()
            if point
        ]
        said += [f"{arm_title(arm)}: {', '.join(parts)}."] if parts else []
    return said


def finding(test: Test) -> str:
    """What each arm does to true satisfaction and to watch time, and what that says of the aligned ranker."""
    said = [_changes(test, arm) for arm in test.treated]
    if ALIGNED in test.treated:
        said.insert(1 + list(test.treated).index(ALIGNED), _verdict(*(test.change(ALIGNED, name) for name in FIRST)))
    return " ".join(sentence for sentence in said if sentence)


def _changes(test: Test, arm: str) -> str:
    points = {name: test.change(arm, name) for name in FIRST}
    parts = [f"{test.definitions[name]['title'].lower()} {in_words(p)}" for name, p in points.items() if p]
    return f"{arm_title(arm)}, against {arm_title(test.control).lower()}: {', '.join(parts)}." if parts else ""


def _verdict(satisfaction: Point | None, watch_time: Point | None) -> str:
    if satisfaction is None or watch_time is None:
        return ""
    if satisfaction.holds_zero:
        return "So whether it satisfies more cannot be told from these users."
    if satisfaction.high < 0:
        return "So it satisfies less."
    if watch_time.holds_zero:
        return "So it satisfies more, at a watch time that cannot be told from equal."
    return f"So it satisfies more, and is watched {'longer' if watch_time.low > 0 else 'for a shorter time'}."


def off_policy(check: Test) -> list[OffPolicyRow]:
    """A row for each arm, reward and estimator that was estimated."""
    rows = []
    for arm, reward, estimator in itertools.product(check.arms, REWARDS, ESTIMATORS):
        key = f"{arm}/{reward}/{estimator}"
        if estimate := interval(check.metrics, key):
            truth, coverage = check.metrics.get(f"{arm}/{reward}/truth"), interval(check.metrics, f"{key}/coverage")
            titles = (arm_title(arm), REWARDS[reward], ESTIMATORS[estimator])
            rows.append(OffPolicyRow(*titles, estimate, truth, coverage))
    return rows


def mean_weights(check: Test) -> list[tuple[str, Point]]:
    """Of each arm's weights the mean: 1 where exposures are uniform over the catalogue."""
    found = ((arm_title(arm), interval(check.metrics, f"{arm}/mean_weight")) for arm in check.arms)
    return [(title, weight) for title, weight in found if weight]


def _nats(value: float) -> str:
    return minus(f"{value:+.3f}")


def _level(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}" if value >= 10 else f"{value:.4f}"
