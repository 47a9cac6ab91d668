"""A binary's workdir: its config, its metrics, and whether it is complete.

`config.json` says what the run is of; a workdir that holds a run of something else is refused. `metrics.json` is
written last, so its presence means that the run is complete.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.artifact import read_json, write_json
from runtime.errors import UsageError

CONFIG = "config.json"
METRICS = "metrics.json"
MODEL = "model.json"  # beside an evaluation's metrics: of which training its model is


def open_workdir(path: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> Path:
    """Creates or reopens the workdir of the run that `identity` describes (config, dataset hash, ...; JSON values).

    Errors: UsageError where the workdir holds another run; the message names the first entry that differs.
    """
    if not path:
        raise UsageError("--workdir is required: the folder where results go")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CONFIG).exists():
        difference = _first_difference(read_json(folder / CONFIG), _plain(identity))
        if difference:
            raise UsageError(
                f"--workdir={path}: holds a run of another config or dataset ({difference}); "
                "choose another --workdir or delete this one"
            )
    else:
        write_json(folder / CONFIG, _plain(identity))
    return folder


def begin(path: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> tuple[Path, bool]:
    """The workdir, and whether the measurement that `identity` describes is complete there, which is then said."""
    folder = open_workdir(path, identity)
    complete = is_complete(folder)
    if complete:
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
    return folder, complete


def is_complete(folder: str | os.PathLike[str]) -> bool:
    """True where the run in this workdir has written its metrics, which it does last."""
    return (Path(folder) / METRICS).exists()


def _plain(value: Any) -> Any:
    # What JSON makes of it: tuples become lists, keys become strings.
    return json.loads(json.dumps(value, default=dict))


def _first_difference(old: Any, new: Any, where: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            found = _first_difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
            if found:
                return found
        return ""
    return "" if old == new else f"{where}: {old!r} there, {new!r} now"
