"""Generates the synthetic feed: canonical tables for models, and the truth beside them for whoever measures.

    python -m simulation.world --config=configs/world.py:demo --workdir=runs/world
    python -m data.prepare --dataset=tables --data=runs/world/tables ...

`WORKDIR/tables` holds events, items and users; `WORKDIR/truth` what no log knows, row for row with events.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from runtime import app

if TYPE_CHECKING:
    from simulation.feed import World

_CONFIG = config_flags.DEFINE_config_file(
    "config", "configs/world.py:demo", "The feed to generate: configs/world.py:tiny|demo|standard.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the tables and the truth.")


def write_world(world: "World", folder: Path, config: Any) -> None:
    """Writes `folder`/tables and `folder`/truth; each appears whole or not at all. Same config, same bytes."""
    from runtime.artifact import writing

    for name, tables in (("truth", world.truth), ("tables", world.tables)):
        with writing(folder / name, kind=f"world_{name}", version=1, fields={"config": config}) as path:
            for table, frame in tables.items():
                frame.write_parquet(path / f"{table}.parquet", compression="zstd", statistics=True)


def main(argv: Sequence[str]) -> int | None:
    """Generates, writes, and prints what the log looks like."""
    del argv
    # Imported here so that --help does not wait for them.
    from runtime.artifact import write_json
    from runtime.workdir import METRICS, is_complete, open_workdir
    from simulation.feed import facts, simulate

    config = _CONFIG.value.to_dict()
    workdir = open_workdir(_WORKDIR.value, {"config": config})
    if is_complete(workdir):
        print(f"complete already: {workdir}")
        return None
    world = simulate(_CONFIG.value)
    write_world(world, workdir, config)
    numbers = facts(world)
    for name, value in numbers.items():
        print(f"{name:<44}{value:>14,.4f}" if isinstance(value, float) else f"{name:<44}{value:>14,}")
    write_json(workdir / METRICS, numbers)
    print(f"tables: {workdir / 'tables'}  truth: {workdir / 'truth'}")
    return None


if __name__ == "__main__":
    app.run(main)
