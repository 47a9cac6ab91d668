"""Where one dislike does what it does in the paper: over the rate of dislikes, the size of the log and the weight.

    python -m benchmarks.reach --config=configs/reach.py:demo --workdir=runs/reach

Trains, on every feed of the config, Wang et al.'s own tower and Heed's with its memory of dislikes (retrieval/
aversion.py), both with dislikes as input and label, and measures Recall@100 on the test days and the change of similar
items after one dislike (RecSys '23, section 4). Killed at any point, the same command goes on. Writes metrics.json,
`<feed>/<row>/<metric>` as `benchmarks.alternatives` names them and `<feed>/rate/dislike`, and prints a table.
"""

from collections.abc import Sequence

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/reach.py:demo", "The comparison: configs/reach.py:demo|tiny.")
_WORKDIR = define_path("workdir", None, "Folder that gets a folder for each feed.")


def main(argv: Sequence[str]) -> int:
    """Runs every row of every feed, then writes and prints the table."""
    del argv
    # Here, so that --help stays fast.
    from benchmarks.alternatives.results import by_label, collect, over_seeds
    from benchmarks.alternatives.runs import run_all
    from benchmarks.reach.rows import Feed, feeds, markdown, rows
    from runtime.artifact import read_json, write_json
    from runtime.workdir import METRICS, open_workdir

    config = _CONFIG.value
    workdir = open_workdir(_WORKDIR.value, {"reach": config.to_dict()})
    of_feed: dict[Feed, list] = {feed: rows(config, feed, workdir) for feed in feeds(config)}
    if status := run_all(config, [row for found in of_feed.values() for row in found], workdir):
        return status
    measured: dict[str, dict[str, dict[str, float]]] = {}
    metrics: dict[str, float] = {}
    for feed, found in of_feed.items():
        world = read_json(found[0].workdir / "world" / METRICS)
        metrics |= {f"{feed.name}/{name}": world[name] for name in ("rate/dislike", "events")}
        of_rows = by_label({row: collect(row) for row in found})
        measured[feed.name] = {label: over_seeds(of_seeds) for label, of_seeds in of_rows.items()}
        metrics |= {
            f"{feed.name}/{label}/{name}": value
            for label, numbers in measured[feed.name].items()
            for name, value in numbers.items()
        }
    write_json(workdir / METRICS, metrics)
    print(markdown(measured, metrics))
    print(workdir / METRICS)
    return 0


if __name__ == "__main__":
    app.run(main)
