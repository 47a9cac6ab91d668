"""The synthetic feed that benchmarks train on where nobody gives a log."""

import sys
from pathlib import Path

from benchmarks.suite.harness import finished
from runtime.errors import UsageError

_MINUTES = 10.0


def timelines(name: str, workdir: Path) -> Path:
    """The timelines of the feed `name` (tiny, demo, standard) in `workdir`, made where they are not there.

    Errors: UsageError with the last line of what failed.
    """
    folder = workdir.absolute() / name
    world, prepared = folder / "world", folder / "timelines"
    for module, flags in (
        ("simulation.world", [f"--config=configs/world.py:{name}", f"--workdir={world}"]),
        ("data.prepare", ["--config=configs/data.py:tables", f"--data={world}/tables", f"--workdir={prepared}"]),
    ):
        ended = finished([sys.executable, "-m", module, *flags], seconds=60 * _MINUTES, quiet=True)
        if ended["failure"]:
            raise UsageError(f"--dataset={name}: its feed cannot be made: {ended['failure']}")
    return prepared
