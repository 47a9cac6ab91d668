"""Progress bars: one look for all stages. Silent in `--help`, plain lines when nobody at a terminal reads them."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None = None,
    *,
    label: str,
    total: int | None = None,
    unit: str = "it",
    quiet: bool = False,
) -> tqdm:
    """A tqdm bar on stderr; where that is a file, a line at most every 10 seconds instead of one per refresh.

    A pipeline that copies the file to its terminal as it grows says so by HEED_TERMINAL=1, and gets its refreshes.
    quiet: no bar, for work that is one step of another's.
    """
    terminal = sys.stderr.isatty() or os.environ.get("HEED_TERMINAL") == "1"
    return tqdm(
        items,
        desc=label,
        total=total,
        unit=unit,
        unit_scale=True,
        dynamic_ncols=terminal,
        mininterval=0.2 if terminal else 10.0,
        file=sys.stderr,
        leave=True,
        disable=quiet,
    )


def chunks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(total) in order."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
