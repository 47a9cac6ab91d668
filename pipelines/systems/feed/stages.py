"""The stages of the log: the synthetic feed, where the pipeline has one, and the timelines of either feed or log.

[world] -> prepare
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from data import readers
from pipelines.graph.stage import Stage

PREPARE = "prepare"
WORLD, TIMELINES = Path("world"), Path("timelines")
FEED = WORLD / "tables" / "manifest.json"  # vouches for the truth beside it
LOG = TIMELINES / "manifest.json"
_AIM = "the log, as every model reads it"


def stages(config: ConfigDict, data: Path | None) -> list[Stage]:
    """From nothing, or from the user's logs in `data`, to timelines."""
    dataset, asked = readers.named(config.data), config.stages.prepare
    flags = {
        "schema": Path(asked.schema).absolute() if asked.get("schema") else None,
        "quarantine": asked.quarantine,
        "max_quarantine": asked.max_quarantine,
    }
    if not data:
        feed = world(config.world)
        return [feed, prepare(config.data, FEED.parent, flags=flags, inputs=feed.outputs)]
    # The synthetic feed's manifest vouches for its files; a user's are inputs one by one: those that are read, as there
    # may be others beside them, such as this pipeline's own.
    options = {name: usual if asked[name] is None else asked[name] for name, usual in dataset.options.items()}
    outside = {os.path.relpath(file, data): file for file in dataset.source_files(data, **options)}
    return [prepare(config.data, data.absolute(), flags=flags, outside=outside)]


def world(size: str, flags: Mapping[str, Any] | None = None) -> Stage:
    """The synthetic feed of this size, with its truth."""
    return Stage(
        name=WORLD.name,
        module="simulation.world",
        config=f"configs/world.py:{size}",
        flags=flags or {},
        writes=("tables/manifest.json", "metrics.json"),
        aim=_AIM,
    )


def prepare(dataset: str, data: Path, *, flags: Mapping[str, Any] | None = None, **files: Any) -> Stage:
    """The timelines of the log in `data`; `files`: what the stage depends on."""
    return Stage(
        name=PREPARE,
        module="data.prepare",
        config=f"configs/data.py:{dataset}",
        flags={"data": data, **(flags or {})},
        place=TIMELINES.name,
        writes=("manifest.json", "metrics.json"),
        aim=_AIM,
        **files,
    )
