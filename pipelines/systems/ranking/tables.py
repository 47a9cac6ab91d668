"""Rows of the ranking section's tables, and sentences that its figures bear out."""

from collections.abc import Mapping

from pipelines.report.intervals import Point, apart, interval, minus
from pipelines.report.tables import Row, marked, row
from pipelines.systems.ranking.results import Ranking

FUSED = (("fused/ndcg@10", "NDCG@10", True), ("fused/skip@10", "Skip@10", False))
BASELINE, LIGHTGBM, CEILING = "no_feedback_encoder", "lightgbm", "ceiling"
_TITLES = {
    "": "The ranker",
    "no_feedback_encoder": "Without the feedback encoder",
    "shared_bottom": "Shared bottom instead of experts",
    "mlp": "Plain MLP",
    "lightgbm": "LightGBM",
    "popularity": "Popularity",
    "ceiling": "The feed’s own probabilities",
}

# Tasks of watch time in words (Pan et al., CIKM '23, table 1).
_WATCHED = {
    "EVV": "watched longer than half of the item’s viewers",
    "FVV": "watched longer than 60% of them",
    "GVV": "watched for under three seconds",
}


def watched(ranking: Ranking) -> dict[str, str]:
    """The ranker's tasks of watch time, in words."""
    return {task: words for task, words in _WATCHED.items() if task in ranking.tasks}


def wanted(ranking: Ranking) -> str:
    """What NDCG@10 of the fused list counts, in words."""
    return " and ".join(f"{name.replace('_', ' ')}s" for name in ranking.wanted)


def row_title(name: str) -> str:
    """What a reader calls a row; "" is the ranker itself."""
    if name.startswith("single_task_"):
        return f"Trained on {name.removeprefix('single_task_')} alone"
    return _TITLES.get(name, name.replace("_", " "))


def columns(ranking: Ranking) -> list[tuple[str, str, bool]]:
    """Figure, heading, whether more is better."""
    tasks = [(f"{task}/{m}", f"{task} {m.upper()}", True) for task in ranking.tasks for m in ("auc", "gauc")]
    return [*tasks, *FUSED]


def rows(ranking: Ranking) -> list[Row]:
    """The others first, then the ranker, on the test days; last what none can beat, which has no part in the best."""
    names = [*(name for name in reversed(ranking.rows) if name != CEILING), ""]
    ceiling = [_row(ranking, name) for name in ranking.rows if name == CEILING]
    return [*marked([_row(ranking, name) for name in names], [more for _, _, more in columns(ranking)]), *ceiling]


def _row(ranking: Ranking, name: str) -> Row:
    prefix = f"{name}/" if name else ""
    metrics = [f"{prefix}{metric}" for metric, _, _ in columns(ranking)]
    return row(row_title(name), ranking.test, metrics, emphasis=not name)


def differences(ranking: Ranking) -> list[Row]:
    """The ranker's figures minus each other row's, on the same drawn users."""
    return [
        row(row_title(name), ranking.test, [f"{name}/{metric}/difference" for metric, _, _ in columns(ranking)])
        for name in ranking.rows
    ]


def calibration(ranking: Ranking) -> list[Row]:
    """Logloss and ECE of each task, and the ECE before calibration."""
    names = ("{}/logloss", "{}/ece", "{}/uncalibrated/ece", f"{LIGHTGBM}/{{}}/logloss", f"{LIGHTGBM}/{{}}/ece")
    return [row(task, ranking.test, [name.format(task) for name in names]) for task in ranking.tasks]


def groups(ranking: Ranking) -> list[Row]:
    """AUC of each task in each group of impressions, and its difference from the ranker without feedback encoder."""
    size = {
        name.removesuffix("/impressions"): number
        for name, number in ranking.test.items()
        if name.startswith(("engagement/", "platform/")) and name.endswith("/impressions")
    }
    lines = []
    for group in sorted(size, key=lambda name: (name.partition("/")[0], -size[name])):
        label = f"{group.replace('/', ': ').replace('_', ' ')} ({size[group]:,.0f})"
        pairs = [(f"{group}/{task}/auc", f"{BASELINE}/{group}/{task}/auc/difference") for task in ranking.tasks]
        lines.append(row(label, ranking.test, [name for pair in pairs for name in pair]))
    return lines


def sentences(ranking: Ranking) -> list[str]:
    """What the figures say, in words; what an interval with zero in it cannot tell is said too."""
    others = {
        LIGHTGBM: "LightGBM on the same information",
        BASELINE: "the same ranker without its feedback encoder",
        "popularity": "the popularity of the item, which learns nothing",
    }
    said = []
    for name, words in others.items():
        for metric in ("auc", "gauc"):
            if points := _by_task(ranking, f"{name}/{{}}/{metric}/difference"):
                said.append(_against(words, metric.upper(), points))
    if best := _by_task(ranking, f"{CEILING}/{{}}/auc"):
        known = ", ".join(f"{task} {point.value:.4f}" for task, point in best.items())
        said.append(f"The probabilities by which the feed itself drew have an AUC of {known}: the rest is luck.")
    return said


def resampled(ranking: Ranking) -> str:
    """What the intervals are over, in words."""
    seeds = round(ranking.test.get("seeds", 1))
    if seeds == 1:
        return "One training of each row: the intervals are over users, and another seed may move every figure"
    return f"Means over {seeds} trainings of each row, by seed; the intervals are over users and seeds"


def _by_task(ranking: Ranking, name: str) -> dict[str, Point]:
    return {task: point for task in ranking.tasks if (point := interval(ranking.test, name.format(task)))}


def _against(words: str, metric: str, points: Mapping[str, Point]) -> str:
    higher, level, lower = apart(points)
    relations = {"higher on": higher, "lower on": lower, "not to be told apart on": level}
    parts = [
        minus(f"{relation} {', '.join(f'{task} ({point.value:+.4f})' for task, point in of_relation.items())}")
        for relation, of_relation in relations.items()
        if of_relation
    ]
    return f"Against {words}, {metric} is {'; '.join(parts)}."
