"""What a synthetic feed's own truth would find: the ceiling of retrieval, by the measure of `retrieval.evaluate`.

    python -m pipelines.retrieval_ceiling --config=configs/retrieval.py:demo --data=DIR --world=DIR --workdir=DIR

The recommender that is measured knows what the feed will show to whom, and what they will like of it
(simulation/world/expectation/), so no other finds more, but for approximations that make it slightly too low.
It is asked what models are asked (retrieval/queries.py) on the test days. Writes metrics.json with their names.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py", "Settings, of which `positive` is read: FILE or FILE:NAME.")
_DATA = define_path("data", None, "The timelines of the feed.", required=True)
_WORLD = define_path("world", None, "The workdir of the simulation.world behind the timelines.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where metrics.json goes.")
_USERS = flags.DEFINE_integer("users", 20_000, "As of retrieval.evaluate.", lower_bound=1)
_EVENTS = flags.DEFINE_integer("events", 2_000, "As of retrieval.evaluate.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Measures, and writes."""
    del argv
    # Here, so that --help stays fast.
    from pipelines.systems.retrieval.ceiling import run

    run(
        positive=_CONFIG.value.positive,
        data=_DATA.value,
        world=_WORLD.value,
        workdir=_WORKDIR.value,
        users=_USERS.value,
        events=_EVENTS.value,
    )


if __name__ == "__main__":
    app.run(main)
