"""The metrics of an A/B test, each defined here and nowhere else, and their relative changes.

Every metric is Σ_users numerator / Σ_users denominator of one arm, over a day, over all days, or over some users;
its relative change is treatment / control − 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from metrics.intervals import Interval, divide
from metrics.two_samples import relative_changes

Sums = Mapping[str, np.ndarray]  # simulation/ab_test/tallies.py: name -> [n, days]
Part = Callable[[Sums], np.ndarray]  # -> [n, days]

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Metric:
    """numerator / denominator of the sums; `better` is 1 where more is better, -1 where less is, 0 where neither."""

    title: str
    numerator: Part
    denominator: Part
    better: int
    formula: str


@dataclass(frozen=True)
class Change:
    """A metric of two arms over some days and users, and its relative change with a 95% interval; NaN: undefined."""

    control: float
    treatment: float
    relative: Interval


def known(number: float) -> float | None:
    """The number, None where it is undefined: JSON has no NaN."""
    return float(number) if np.isfinite(number) else None


def assigned(sums: Sums) -> np.ndarray:
    """1 for every user of the arm and day, there or not."""
    return np.ones_like(sums["impressions"])


def counted(name: str) -> Part:
    """The sum of that name."""
    return lambda sums: sums[name]


def on_day(name: str, least: float = 1.0) -> Part:
    """1 where a user's sum of the day is `least` or more."""
    return lambda sums: (sums[name] >= least).astype(np.float64)


def all_metrics(*, long_day_ms: float) -> dict[str, Metric]:
    """name -> metric; a long day has that much watch time."""

    def per_impression(title: str, name: str, better: int, text: str, unit: str = "") -> Metric:
        return Metric(title, counted(name), counted("impressions"), better, f"{text} / impressions{unit}")

    def per_user_day(title: str, part: Part, better: int, text: str, unit: str = "") -> Metric:
        return Metric(title, part, assigned, better, f"{text} / user-days assigned{unit}")

    def watching(title: str, least_ms: float) -> Metric:
        text = f"user-days with at least {least_ms / 60_000:g} minutes of watch time"
        return per_user_day(title, on_day("play_ms", least_ms), 1, text)

    again = "a creator whom the user had {} before, in the log or since"
    windows = "mean entropy of content clusters over full windows of consecutive impressions, nats"
    return {
        "dislike_rate": per_impression("Dislike rate", "dislikes", -1, "dislikes"),
        "repeated_dislike_rate": per_impression(
            "Repeated dislikes, same creator", "repeated_dislikes", -1, f"dislikes on {again.format('disliked')}"
        ),
        "skip_rate": per_impression("Skip rate", "skips", -1, "plays under 3 s without a positive action"),
        "repeated_skip_rate": per_impression(
            "Repeated skips, same creator", "repeated_skips", -1, f"skips of {again.format('skipped')}"
        ),
        "dismissing_users": per_user_day(
            "Dismissing users",
            on_day("dismissals"),
            -1,
            "user-days on which the user closed the feed on an item that disappointed",
        ),
        "viewers": per_user_day("Viewers", on_day("clicks"), 1, "user-days with a click"),
        "active_users": per_user_day("Active users", on_day("impressions"), 1, "user-days with an impression"),
        "long_day_users": watching("Users with a long day", long_day_ms),
        "hour_users": watching("Users with an hour or more", _HOUR_MS),
        "satisfied_consumption": per_user_day(
            "Satisfied consumption", counted("satisfied_plays"), 1, "clicks that satisfied (the feed's truth)"
        ),
        "unsatisfied_consumption": per_user_day(
            "Unsatisfied consumption",
            counted("unsatisfied_plays"),
            -1,
            "clicks that did not satisfy (the feed's truth)",
        ),
        "enjoyment": per_user_day(
            "Enjoyment", counted("satisfied_ms"), 1, "watch time of plays that satisfied", ", ms"
        ),
        "watch_time": per_user_day("Watch time a user", counted("play_ms"), 1, "watch time", ", ms"),
        "watch_time_per_item": per_impression("Watch time an item", "play_ms", 1, "watch time", ", ms"),
        "likes": per_user_day("Likes", counted("likes"), 1, "likes"),
        "diversity": Metric("Diversity", counted("window_entropy"), counted("windows"), 1, windows),
        "positive_to_negative": Metric(
            "Positive to negative",
            counted("positives"),
            counted("dislikes"),
            1,
            "(likes + comments + follows + shares) / dislikes",
        ),
        "true_satisfaction": Metric(
            "True satisfaction",
            counted("satisfaction"),
            counted("impressions"),
            1,
            "mean P(satisfied) of impressions (the feed's truth)",
        ),
    }


# What the papers call them, where they have any: [R] Wang et al., RecSys '23, section 3; [M] Pan et al., CIKM '23,
# tables 2 to 4; [S] Zhang et al., CIKM '24, table 4.
PAPERS_WORDS = {
    "dislike_rate": "[R] dislike rate",
    "repeated_dislike_rate": "[R] repeated dislike rate on the same creator",
    "repeated_skip_rate": "[R] repeated skips from the same creator",
    "dismissing_users": "[R] dismissing users",
    "viewers": "[R] viewers",
    "active_users": "[M] active users",
    "hour_users": "[R] daily active users with at least 1 hour of daily activities",
    "satisfied_consumption": "[R] satisfied consumption, by a model",
    "unsatisfied_consumption": "[R] unsatisfied consumption, by a model",
    "enjoyment": "[R] overall user enjoyment, not defined there",
    "watch_time": "[S] average user watch time; [M] play duration",
    "watch_time_per_item": "[S] average video watch time",
    "likes": "[M] like times",
    "diversity": "[M] diversity entropy of each time window containing 100 videos; [R] diversity",
    "positive_to_negative": "[S] positive-to-negative feedback ratio",
}


def changes(
    metrics: Mapping[str, Metric], control: Sums, treatment: Sums, *, by_day: bool = False, samples: int, seed: int
) -> dict[str, list[Change]]:
    """Each metric's changes: over all days, then, `by_day`, on each of them. Users are resampled arm by arm."""
    before, after = (_columns(metrics, sums, by_day=by_day) for sums in (control, treatment))
    relative = relative_changes(before, after, samples=samples, seed=seed)
    levels = [divide(*(part.sum(axis=0) for part in group)).tolist() for group in (before, after)]
    spans = 1 + (control["impressions"].shape[1] if by_day else 0)
    rows = [Change(*change) for change in zip(*levels, relative, strict=True)]
    return {name: rows[n * spans : (n + 1) * spans] for n, name in enumerate(metrics)}


def _columns(metrics: Mapping[str, Metric], sums: Sums, *, by_day: bool) -> tuple[np.ndarray, np.ndarray]:
    # numerators and denominators [n, metrics * spans]
    def spread(part: Part) -> np.ndarray:
        daily = part(sums)
        total = daily.sum(axis=1, keepdims=True)
        return np.concatenate([total, daily], axis=1) if by_day else total

    return (
        np.concatenate([spread(metric.numerator) for metric in metrics.values()], axis=1),
        np.concatenate([spread(metric.denominator) for metric in metrics.values()], axis=1),
    )
