"""Generates the synthetic feed: canonical tables for models, and the truth beside them for whoever measures.

    python -m simulation.world --config=configs/world.py:demo --workdir=runs/world
    python -m data.prepare --dataset=tables --data=runs/world/tables ...

`WORKDIR/tables` holds events, items and users; `WORKDIR/truth` what no log knows, row for row with events.
"""

from collections.abc import Sequence

from runtime import app
from runtime.artifact import write_json
from runtime.config import define_config
from runtime.paths import define_path
from runtime.workdir import METRICS, begin

_CONFIG = define_config("configs/world.py:demo", "The feed to generate: configs/world.py:tiny|demo|standard.")
_WORKDIR = define_path("workdir", None, "The folder where tables/ and truth/ go.")


def main(argv: Sequence[str]) -> int | None:
    """Generates, writes, and prints what the log looks like."""
    del argv
    # Imported here so that --help does not wait for them.
    from simulation.world.facts import log_facts, truth_facts
    from simulation.world.feed import check, simulate
    from simulation.world.tables import tables, truth, write

    config = _CONFIG.value
    check(config)
    workdir, complete = begin(_WORKDIR.value, {"config": config.to_dict()})
    if complete:
        return None
    feed = simulate(config)
    log, known = tables(feed), truth(feed, config)
    write(workdir / "tables", log, kind="tables", config=config.to_dict())
    write(workdir / "truth", known, kind="truth", config=config.to_dict())
    facts = log_facts(log["events"], log["items"]) | truth_facts(log["events"], known["impressions"])
    for name, value in facts.items():
        print(f"{name:<44}{value:>12,.4g}")
    write_json(workdir / METRICS, {name: value for name, value in facts.items() if value == value})
    print(f"tables: {workdir / 'tables'}  truth: {workdir / 'truth'}")
    return None


if __name__ == "__main__":
    app.run(main)
