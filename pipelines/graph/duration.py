"""Estimates how long the stages that wait will take, from the seconds of those that have run."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from pipelines.graph.stage import Stage


def seconds_left(waiting: Iterable[Stage], measured: Mapping[str, Sequence[tuple[Stage, float]]]) -> float | None:
    """Σ of the seconds of `waiting`; None where nothing of weight has been measured.

    A stage is taken to last as its like (the same module) has in the median; where none of them has run, its effort
    times the seconds that a unit of effort took in all that has run.

    Args: measured: module -> the stages of it that have run, with their seconds.
    """
    ran = [pair for pairs in measured.values() for pair in pairs]
    effort = sum(stage.effort for stage, _ in ran)
    waiting = list(waiting)
    unknown = [stage for stage in waiting if stage.module not in measured]
    if unknown and effort < max(stage.effort for stage in unknown):
        return None  # the longest kind is among what nobody has seen yet: a guess would be none
    unit = sum(seconds for _, seconds in ran) / effort if effort else 0.0
    like = {module: statistics.median(seconds for _, seconds in pairs) for module, pairs in measured.items()}
    return sum(like.get(stage.module, stage.effort * unit) for stage in waiting)


def in_words(seconds: float) -> str:
    """`about 3 min`, `about 2.5 h`, `under a minute`."""
    if seconds < 60:
        return "under a minute"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
