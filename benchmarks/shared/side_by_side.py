"""Several sides in turns in one run: machines are shared, and what slows one side down should slow the others too."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

Side = TypeVar("Side", bound=Hashable)


def in_turns(runs: Mapping[Side, Callable[[], float]], repeats: int) -> dict[Side, list[float]]:
    """Side -> what each of its `repeats` runs returned; every side has its turn before any has its next.

    Whatever a first run sets up, such as a compiled program, is the caller's to run before.
    """
    found: dict[Side, list[float]] = {side: [] for side in runs}
    for _ in range(repeats):
        for side, run in runs.items():
            found[side].append(run())
    return found


def seconds(run: Callable[[], object]) -> float:
    """That it takes, once."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def ratios(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """a / b of each turn; none where a side was not run."""
    return tuple(one / other for one, other in zip(a, b, strict=True)) if a and b else ()
