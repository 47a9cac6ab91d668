"""Rows of the ranking section's tables, and the sentences that its figures bear out."""

from collections.abc import Mapping

from pipelines.charts import Point
from pipelines.findings import interval
from pipelines.ranking_evidence import RankingEvidence
from pipelines.tables import Row

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


def row_title(name: str) -> str:
    """What a reader calls a row; "" is the ranker itself."""
    if name.startswith("single_task_"):
        return f"Trained on {name.removeprefix('single_task_')} alone"
    return _TITLES.get(name, name.replace("_", " "))


def columns(evidence: RankingEvidence) -> list[tuple[str, str, bool]]:
    """Figure, heading, whether more is better."""
    tasks = [(f"{task}/{m}", f"{task} {m.upper()}", True) for task in evidence.tasks for m in ("auc", "gauc")]
    return [*tasks, *FUSED]


def rows(evidence: RankingEvidence) -> list[Row]:
    """The others first, then the ranker, on the test days."""
    return [_row(evidence, name) for name in (*(n for n in reversed(evidence.rows) if n != CEILING), "")]


def ceiling(evidence: RankingEvidence) -> list[Row]:
    """The row that none can beat, where there is one; it takes no part in what is the best."""
    return [_row(evidence, name) for name in evidence.rows if name == CEILING]


def _row(evidence: RankingEvidence, name: str) -> Row:
    shown = [metric for metric, _, _ in columns(evidence)]
    return Row(row_title(name), [interval(evidence.test, _of(name, metric)) for metric in shown], emphasis=not name)


def differences(evidence: RankingEvidence) -> list[Row]:
    """The ranker's figures minus each other row's, on the same drawn users."""
    shown = [metric for metric, _, _ in columns(evidence)]
    return [
        Row(row_title(name), [interval(evidence.test, f"{_of(name, metric)}/difference") for metric in shown])
        for name in evidence.rows
    ]


def calibration(evidence: RankingEvidence) -> list[Row]:
    """Logloss and ECE of each task, and the ECE before calibration."""
    names = ("{}/logloss", "{}/ece", "{}/uncalibrated/ece", f"{LIGHTGBM}/{{}}/logloss", f"{LIGHTGBM}/{{}}/ece")
    return [Row(task, [interval(evidence.test, name.format(task)) for name in names]) for task in evidence.tasks]


def groups(evidence: RankingEvidence) -> list[Row]:
    """AUC of each task in each group of impressions, and its difference from the ranker without feedback encoder."""
    size = {
        name.removesuffix("/impressions"): number
        for name, number in evidence.test.items()
        if name.startswith(("engagement/", "platform/")) and name.endswith("/impressions")
    }
    ordered = sorted(size, key=lambda name: (name.partition("/")[0], -size[name]))
    return [
        Row(
            f"{group.replace('/', ': ').replace('_', ' ')} ({size[group]:,.0f})",
            [
                interval(evidence.test, name)
                for task in evidence.tasks
                for name in (f"{group}/{task}/auc", f"{BASELINE}/{group}/{task}/auc/difference")
            ],
        )
        for group in ordered
    ]


def sentences(evidence: RankingEvidence) -> list[str]:
    """What the figures say, in words; what an interval with zero in it cannot tell is said too."""
    others = {LIGHTGBM: "LightGBM on the same information", BASELINE: "the same ranker without its feedback encoder"}
    others["popularity"] = "the popularity of the item, which learns nothing"
    said = []
    for name, words in others.items():
        for metric in ("auc", "gauc"):
            found = {task: interval(evidence.test, f"{name}/{task}/{metric}/difference") for task in evidence.tasks}
            points = {task: point for task, point in found.items() if point}
            if points:
                said.append(_against(words, metric.upper(), points))
    found = {task: interval(evidence.test, f"{CEILING}/{task}/auc") for task in evidence.tasks}
    known = [f"{task} {point.value:.4f}" for task, point in found.items() if point]
    if known:
        said.append(
            f"The probabilities by which the feed itself drew have an AUC of {', '.join(known)}: the rest is luck."
        )
    return said


def resampled(evidence: RankingEvidence) -> str:
    """What the intervals are over, in words."""
    seeds = round(evidence.test.get("seeds", 1))
    if seeds == 1:
        return "One training of each row: the intervals are over users, and another seed may move every figure"
    return f"Means over {seeds} trainings of each row, by seed; the intervals are over users and seeds"


def _against(words: str, metric: str, points: Mapping[str, Point]) -> str:
    kinds = {
        "higher on": [task for task, point in points.items() if point.low > 0],
        "lower on": [task for task, point in points.items() if point.high < 0],
        "not to be told apart on": [task for task, point in points.items() if point.low <= 0 <= point.high],
    }
    parts = [
        f"{relation} {', '.join(f'{task} ({points[task].value:+.4f})' for task in tasks)}".replace("-", "−")
        for relation, tasks in kinds.items()
        if tasks
    ]
    return f"Against {words}, {metric} is {'; '.join(parts)}."


def _of(row: str, metric: str) -> str:
    return f"{row}/{metric}" if row else metric
