"""The workdir of a measurement: what it is a measurement of, and whether it has been made already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.artifact import MANIFEST, digest
from runtime.workdir import METRICS, is_complete, open_workdir


def fingerprint(path: str) -> str:
    """sha256 of the file, or of the manifest that vouches for the files of the folder, a world's being its truth's."""
    candidates = (Path(path), Path(path) / MANIFEST, Path(path) / "truth" / MANIFEST)
    return next((digest(candidate) for candidate in candidates if candidate.is_file()), "")


def begin(workdir: str | None, identity: Mapping[str, Any]) -> tuple[Path, bool]:
    """(the folder, whether the measurement that `identity` describes is complete there, which is then said).

    Errors: UsageError where the workdir holds another measurement, or none is given.
    """
    folder = open_workdir(workdir, identity)
    complete = is_complete(folder)
    if complete:
        print(f"{folder / METRICS}: complete already; delete the workdir to make it again")
    return folder, complete
