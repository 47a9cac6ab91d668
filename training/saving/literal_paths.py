"""Makes Orbax take the folder of a run as it is written.

Orbax looks for the parts of a checkpoint with `glob` of etils' paths, which takes the folder's own name for a pattern
too: of a step in `runs[1]/` it finds no part, and nothing is said. So here the folder's name is escaped.
"""

import functools
import glob
import os
from collections.abc import Iterator

from etils import epath


@functools.cache
def take_literally() -> None:
    """From now on `glob` of a path on this machine expands its argument alone, as that of pathlib does."""
    of_this_machine = type(epath.Path())
    expand = of_this_machine.glob

    def literal(folder: epath.Path, pattern: str) -> Iterator[epath.Path]:
        if "://" in os.fspath(folder):  # a bucket
            return expand(folder, pattern)
        return (folder / name for name in glob.glob(pattern, root_dir=os.fspath(folder)))

    setattr(of_this_machine, "glob", literal)  # noqa: B010 (mypy: a method)
