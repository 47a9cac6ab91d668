"""Artifacts with a row for every event of a log: satisfaction scores, true probabilities.

Their manifest says of which events: `vocabulary_hash`, and `events`, a digest of whose they are, of what and when.
Stages meet in such a folder.
"""

import json
import os
from typing import Any

from data.timelines import Timelines
from runtime import artifact
from runtime.errors import UsageError


def fields(timelines: Timelines) -> dict[str, Any]:
    """What such a manifest says of the events; how they are split into days, and what was felt, is no part of it."""
    crc32 = [timelines.manifest["files"][f"{name}.npy"]["crc32"] for name in ("offsets", "item", "timestamp_ms")]
    return {
        "vocabulary_hash": timelines.manifest["vocabulary_hash"],
        "events": artifact.checksum(json.dumps(crc32).encode()),
    }


def open_manifest(
    path: str | os.PathLike[str], timelines: Timelines, *, kind: str, version: int, flag: str
) -> dict[str, Any]:
    """The manifest of an artifact on the events of `timelines`.

    Errors: UsageError where it is of other events; besides, those of `artifact.open_manifest`.
    """
    manifest = artifact.open_manifest(path, kind=kind, version=version, flag=flag)
    if {name: manifest.get(name) for name in fields(timelines)} != fields(timelines):
        raise UsageError(f"{flag}={path}: of other events than --data={timelines.path} has; give its own")
    return manifest
