"""The workdir of an export: written whole, once, and again only where what is there is damaged or gone."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime import artifact
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, METRICS, is_complete, open_workdir


def export_once(
    workdir: str | os.PathLike[str] | None,
    identity: Mapping[str, Any],
    *,
    name: str,
    kind: str,
    version: int,
    write: Callable[[Path], Mapping[str, float]],
) -> str:
    """Has `write` put the artifact `kind` at `workdir`/`name`, unless it is there; returns the line that says where.

    Args: identity, what is exported, as runtime/workdir.py has it; write(path) -> metrics.
    Errors: UsageError where the workdir holds another export, and those of `write`, after which it holds none.
    """
    folder = open_workdir(workdir, identity)
    path = folder / name
    if is_complete(folder):
        try:
            artifact.open_manifest(path, kind=kind, version=version, flag="--workdir")
            return f"complete already: {path}"
        except (DataError, UsageError) as error:
            print(f"{error}: exporting again")
    try:
        metrics = write(path)
    except BaseException:
        (folder / CONFIG).unlink()  # nothing is half done here, so an export with other settings may come next
        raise
    artifact.write_json(folder / METRICS, dict(metrics))
    figures = ", ".join(f"{metric} {value:,.4g}" for metric, value in metrics.items())
    return f"{name}: {path}" + (f" ({figures})" if figures else "")
