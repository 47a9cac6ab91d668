"""What a stage's results depend on, as plain data: where nothing of it has changed, they stand.

A recipe is flat, name -> value, so that a reader is told which part of it has changed. No path of this machine is in
it: files count by their content and their name in the run folder, or in the user's.
"""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.graph import configs, sources
from pipelines.graph.stage import Stage
from runtime.artifact import digest

Recipe = Mapping[str, Any]
MISSING = ""  # in place of the content of a file that is not there


def recipes(stages: Sequence[Stage]) -> dict[str, Recipe]:
    """Of each stage all but its input files: command line, values of config and settings, code, package versions."""
    made_of = {module: _made_of(module) for module in {stage.module for stage in stages}}
    return {
        stage.name: {
            "command": stage.command(lambda path: "" if path.is_absolute() else path.as_posix()),
            "settings": _plain(stage.settings),
            **_of_config(stage.config),
            **made_of[stage.module],
        }
        for stage in stages
    }


def _of_config(config: str) -> Recipe:
    # The values count, not the file that holds them: a new config in the same file changes no stage.
    return {f"config {name}": value for name, value in configs.values(config).items()} if config else {}


def with_inputs(recipe: Recipe, stage: Stage, workdir: Path) -> Recipe:
    """The whole recipe: that of `recipes` and what the input files hold now."""
    files = {file.as_posix(): workdir / file for file in stage.inputs} | dict(stage.outside)
    return {**recipe, **{f"input {name}": digest(file) if file.is_file() else MISSING for name, file in files.items()}}


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


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
