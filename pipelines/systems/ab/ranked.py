"""The A/B test of rankers in a sentence: whether the aligned one satisfies more, at an equal watch time."""

from pipelines.report.intervals import Point, in_words
from pipelines.systems.ab.results import Test
from pipelines.systems.ab.tables import arm_title

SATISFACTION, WATCH_TIME = FIRST = ("true_satisfaction", "watch_time")  # rows of the table that come first
ALIGNED = "aligned"


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
