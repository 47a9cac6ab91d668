"""Prints a pipeline: its stages, grouped by what they are for, and what was left out as the log could not carry it."""

from collections.abc import Iterator, Sequence

from pipelines.graph.stage import Stage
from pipelines.systems.left_out import LeftOut

TRAIN = (".train", ".ablate")  # the ends of the modules that train models


def of_plan(stages: Sequence[Stage], left_out: Sequence[LeftOut], *, fitted: bool) -> Iterator[str]:
    """What is run, in a few lines, before it is."""
    trained = sum(stage.module.endswith(TRAIN) for stage in stages)
    yield f"{len(stages)} stages, {trained} of them train models" + (
        "; how long it takes is said when the first has ended" if trained else ""
    )
    if not fitted:
        yield "what the log cannot carry is left out once it is prepared"
    yield from (f"left out: {lost}" for lost in left_out)


def by_aim(stages: Sequence[Stage], reasons: dict[str, str]) -> Iterator[str]:
    """Each stage, whether it would run and why, under what it is for; of one aim in the order in which they run."""
    for aim in dict.fromkeys(stage.aim for stage in stages):
        yield f"{aim or 'further stages'}:"
        for stage in (stage for stage in stages if stage.aim == aim):
            reason = reasons[stage.name]
            yield f"  to run      {stage.name}  ({reason})" if reason else f"  up to date  {stage.name}"
