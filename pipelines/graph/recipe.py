"""What a stage's results depend on, as plain data: where nothing of it has changed, they stand.

A recipe is flat, name -> value, so that a reader is told which part of it has changed. No path of this machine is in
it: files count by their content and their name in the run folder, or in the user's.
"""

import functools
import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.graph import sources
from pipelines.graph.configs import config_of
from pipelines.graph.stage import Stage
from runtime.artifact import digest, read_json, write_json

Recipe = Mapping[str, Any]
MISSING = ""  # in place of the content of a file that is not there
_FRESH_SECONDS = 2.0  # a file written since may be written again within one tick of its clock


class Contents:
    """The sha256 of files, remembered in `memory` by device, inode, size and time of change: a move changes none."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, str] = read_json(memory) if memory.exists() else {}
        self._used: dict[str, str] = {}

    def digest(self, file: Path) -> str:
        """What `file` holds, MISSING where there is none."""
        if not file.is_file():
            return MISSING
        status = file.stat()
        key = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        found = self._known.get(key) or digest(file)
        if time.time() - status.st_mtime > _FRESH_SECONDS:
            self._used[key] = self._known[key] = found
        return found

    def save(self) -> None:
        """Keeps what was asked for since the beginning, and forgets the rest."""
        write_json(self._memory, self._used)


def recipes(stages: Sequence[Stage]) -> dict[str, Recipe]:
    """Of each stage all but its input files: command line, values of config and settings, code, package versions."""
    made_of = {module: _made_of(module) for module in {stage.module for stage in stages}}
    return {
        stage.name: {
            "command": stage.command(lambda path: "" if path.is_absolute() else path.as_posix()),
            "settings": _plain(stage.settings),
            **{f"config {name}": value for name, value in _values(stage.config).items()},
            **made_of[stage.module],
        }
        for stage in stages
    }


def with_inputs(recipe: Recipe, stage: Stage, workdir: Path, contents: Contents) -> Recipe:
    """The whole recipe: that of `recipes` and what the input files hold now."""
    files = {file.as_posix(): workdir / file for file in stage.inputs} | dict(stage.outside)
    return {**recipe, **{f"input {name}": contents.digest(file) for name, file in files.items()}}


def _made_of(module: str) -> Recipe:
    files, others = sources.trace(module)
    return {
        **{f"code {file}": sources.code(sources.ROOT / file) for file in files},
        "package python": platform.python_version(),
        **{f"package {name}": version for name, version in sources.versions(others).items()},
    }


def key(recipe: Recipe) -> str:
    """A name for a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def difference(old: Recipe, new: Recipe) -> list[str]:
    """The parts in which two recipes differ."""
    return [name for name in {**new, **old} if old.get(name) != new.get(name)]


@functools.cache
def _values(config: str) -> Recipe:
    # The values count, not the file that holds them: a new config in the same file changes no stage.
    return _plain(config_of(config).to_dict()) if config else {}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
