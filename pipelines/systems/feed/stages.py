"""The stages of the log: the synthetic feed, where the pipeline has one, and the timelines of either feed or log.

[world] -> prepare
"""

import os
from pathlib import Path

from ml_collections import ConfigDict

from data import readers
from pipelines.graph.stage import Stage

WORLD, TIMELINES = Path("world"), Path("timelines")
FEED = WORLD / "tables" / "manifest.json"  # vouches for the truth beside it
LOG = TIMELINES / "manifest.json"
_AIM = "the log, as every model reads it"


def stages(config: ConfigDict, data: Path | None) -> list[Stage]:
    """From nothing, or from the user's logs in `data`, to timelines."""
    world = Stage(
        name="world",
        module="simulation.world",
        config=f"configs/world.py:{config.world}",
        writes=("tables/manifest.json", "metrics.json"),
        aim=_AIM,
    )
    # The synthetic feed's manifest vouches for its files; a user's are inputs one by one: those that are read, as there
    # may be others beside them, such as this pipeline's own.
    dataset, asked = readers.named(config.data), config.stages.prepare
    options = {name: usual if asked[name] is None else asked[name] for name, usual in dataset.options.items()}
    files = dataset.source_files(data, **options) if data else []
    prepare = Stage(
        name="prepare",
        module="data.prepare",
        config=f"configs/data.py:{config.data}",
        flags={
            "data": data.absolute() if data else FEED.parent,
            "schema": Path(asked.schema).absolute() if asked.get("schema") else None,
            "quarantine": asked.quarantine,
            "max_quarantine": asked.max_quarantine,
        },
        place=TIMELINES.name,
        inputs=() if data else world.outputs,
        outside={os.path.relpath(file, data): file for file in files} if data else {},
        writes=("manifest.json", "metrics.json"),
        aim=_AIM,
    )
    return [*([] if data else [world]), prepare]
