"""Whether a synthetic feed could be a real log: what simple rules find in it, how sticky it is, how people say no.

  python -m benchmarks.realism --data=TIMELINES --log=TIMELINES [--model=DIR --log_model=DIR] [--world=WORLD]

`--data` are timelines of a feed (`simulation.world`, `data.prepare`), `--log` those of a real log that it is held
against. The test, stated before any feed was tuned to it: Recall@100 of the simple rules relative to that of what was
popular in the last 7 days, by both ways of asking (retrieval/queries.py), that of a plain GRU among them, how often the
next item is of the same cluster, within a minute and hours later, and how often a dislike is followed by another, lie
within 15% of the log's. What stands below that is shown, not tested. `--model` and `--log_model` are workdirs of
`retrieval.evaluate` on either, of plain GRUs (`no_dislike_signal_paper_tower`: without `_paper_tower` a model has what
is counted beside it), asked for as many users as the rules are: `--users` is to be the same. With `--world`, the
workdir of the latent feed's simulation.world, the row `ceiling` is what its own truth finds
(simulation/world/expectation/latent.py).

Nothing here knows how any model responds to a dislike: the feed is not to be tuned by that.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", None, "Timelines of the synthetic feed.", required=True)
_LOG = define_path("log", None, "Timelines of a real log.")
_MODEL = define_path("model", None, "Workdir of a retrieval.evaluate on --data: a row `plain GRU`.")
_LOG_MODEL = define_path("log_model", None, "The same on --log.")
_WORLD = define_path("world", None, "Workdir of the simulation.world that --data was made of: a row `ceiling`.")
_USERS = flags.DEFINE_integer("users", 20_000, "Users that are asked for at most, drawn.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Measures both and prints."""
    del argv
    # Here, so that --help stays fast.
    from benchmarks.realism.comparison import facts, lines
    from data.timelines import Timelines

    feed = facts(Timelines.open(_DATA.value), users=_USERS.value, model=_MODEL.value, world=_WORLD.value)
    log = facts(Timelines.open(_LOG.value), users=_USERS.value, model=_LOG_MODEL.value) if _LOG.value else None
    for line in lines(feed, log):
        print(line)


if __name__ == "__main__":
    app.run(main)
