"""What a run folder knows of its stages, all of it in `<workdir>/.pipeline`: a lock, and of each stage how it was run.

`stages/<stage>.json` is a record: the stage, the recipe (empty where that was another when the stage ended), when it
began, the commit of the checkout then, the exit status (null until it has ended) and the seconds that it took.
`stages/<stage>.log` is all that it printed. What a stage made by another recipe lies in `aside/<stage>/<key of that
recipe>`, with its record and its log.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.graph.recipe import Recipe, key
from pipelines.graph.stage import Stage
from runtime.artifact import read_json, write_json
from runtime.errors import UsageError

STATE = ".pipeline"
COMMAND = Path(STATE) / "command.json"  # what was typed to run all of it, to be run again
KEPT = 3  # results of other recipes, of each stage
_LOCK_SECONDS = 20  # the stage of a pipeline that was killed saves before it ends


def record_of(name: str) -> Path:
    """Where in a run folder the record of a stage is."""
    return Path(STATE) / "stages" / f"{name.replace('/', '.')}.json"


def log_of(name: str) -> Path:
    """Where in a run folder that is which a stage printed."""
    return record_of(name).with_suffix(".log")


class Records:
    """The records of the stages of one run folder."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir

    def read(self, name: str) -> dict[str, Any]:
        """The record of a stage, empty where there is none."""
        path = self._workdir / record_of(name)
        return read_json(path) if path.exists() else {}

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Replaces the record of a stage, in one step."""
        path = self._workdir / record_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)

    def has_aside(self, stage: Stage, recipe: Recipe) -> bool:
        """Whether what the stage has made by this recipe is set aside."""
        return self._shelf(stage, recipe).is_dir()

    def exchange(self, stage: Stage, recipe: Recipe | None) -> bool:
        """Sets aside what the stage has made, and brings back what it had made by `recipe`, finished or not.

        Of each stage the last KEPT results stay aside. Returns whether there was something to bring back.
        """
        self._move(stage, self._workdir, self._shelf(stage, self.read(stage.name).get("recipe", {})))
        shelf = self._shelf(stage, recipe or {})
        found = recipe is not None and self.has_aside(stage, recipe)
        if found:
            self._move(stage, shelf, self._workdir)
            shutil.rmtree(shelf)
        aside = sorted(shelf.parent.glob("*"), key=lambda folder: folder.stat().st_mtime_ns)
        for old in aside[:-KEPT]:
            shutil.rmtree(old)
        return found

    def _move(self, stage: Stage, source: Path, target: Path) -> None:
        parts = [path for path in self._parts(stage) if (source / path).exists() or (source / path).is_symlink()]
        if parts and target != self._workdir:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
        # The record goes first and comes last: what has been moved in part is never taken for finished.
        for path in parts if target != self._workdir else reversed(parts):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source / path, target / path)

    def _parts(self, stage: Stage) -> list[Path]:
        return [record_of(stage.name), log_of(stage.name), *stage.owns]

    def _shelf(self, stage: Stage, recipe: Recipe) -> Path:
        return self._workdir / STATE / "aside" / stage.name.replace("/", ".") / key(recipe)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[int]:
    """Holds the lock of a run folder and yields its file descriptor; stages inherit it: it outlives a killed pipeline.

    Errors: UsageError where another pipeline still holds it after 20 seconds.
    """
    path = workdir / STATE / "lock"
    path.parent.mkdir(exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(_LOCK_SECONDS * 10):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
        else:
            raise UsageError(f"--workdir={workdir}: another pipeline runs here; wait for it or stop it")
        yield lock
    finally:
        os.close(lock)
