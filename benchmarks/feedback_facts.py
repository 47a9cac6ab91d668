"""The facts that the synthetic feed is set from, on real logs and on the feed side by side.

  python -m benchmarks.feedback_facts --data=KuaiRand-Pure --explicit=LOG.csv [--config=configs/world.py:standard]

`--explicit` is a KuaiRand log of likes and hates only: it knows what comes with a like or a hate, no rates.
Read with care: KuaiRand-Pure keeps 7,583 of millions of videos, so that most of what a user saw between two of its rows
is not in it. Its stickiness is what is left after that thinning. The feed is sticky by premise.
"""

from collections.abc import Sequence
from pathlib import Path

from runtime import app, table
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_path

_DATA = define_path("data", None, "KuaiRand-Pure in its official layout.")
_EXPLICIT = define_path("explicit", None, "A KuaiRand log (CSV) of likes and hates only.")
_CONFIG = define_config("configs/world.py:demo", "The synthetic feed.")


def kuairand_facts(folder: str) -> dict[str, float]:
    """All facts of KuaiRand-Pure; rows that repeat a user, an item and a time count once."""
    from data.raw.quarantine import Quarantine
    from data.raw.tables import merge_relogged
    from data.readers.kuairand.layout import read_kuairand
    from simulation.world.facts import log_facts

    log = read_kuairand(folder, "pure", earlier_history=False, quarantine=Quarantine()).whole()
    assert log.items is not None
    return log_facts(merge_relogged(log.events), log.items)


def explicit_facts(path: str) -> dict[str, float]:
    """Of a log of likes and hates only: what comes with them. What needs rows of neither is left out."""
    import polars as pl

    from simulation.world.facts import given_feedback

    if not Path(path).is_file():
        raise UsageError(f"--explicit={path}: no such file")
    names = {"time_ms": "timestamp_ms", "play_time_ms": "play_ms"}
    names |= {"is_click": "click", "is_like": "like", "is_hate": "dislike"}
    facts = given_feedback(pl.read_csv(path, glob=False).rename(names))
    return {name: value for name, value in facts.items() if "clicked/median" not in name}


def synthetic_facts() -> dict[str, float]:
    """All facts of the feed that --config describes."""
    from simulation.world.facts import log_facts
    from simulation.world.feed import simulate
    from simulation.world.tables import tables

    log = tables(simulate(_CONFIG.value))
    return log_facts(log["events"], log["items"])


def main(argv: Sequence[str]) -> None:
    """Prints one row a fact, one column a log."""
    del argv
    columns = {}
    if _DATA.value:
        columns["KuaiRand-Pure"] = kuairand_facts(_DATA.value)
    if _EXPLICIT.value:
        columns["likes and hates"] = explicit_facts(_EXPLICIT.value)
    columns["synthetic"] = synthetic_facts()
    rows = {
        name: [f"{column[name]:,.4g}" if name in column else "-" for column in columns.values()]
        for name in columns["synthetic"]
    }
    print(table.text("", list(columns), rows))


if __name__ == "__main__":
    app.run(main)
