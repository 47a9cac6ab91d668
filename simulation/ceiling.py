"""The true probability of each reaction at each impression of a synthetic feed: what no ranker can beat.

    python -m simulation.ceiling --world=WORLD --data=TIMELINES --workdir=DIR
    python -m ranking.evaluate ... --truth=DIR/truth

Of the validation and test days, users as they were at each moment, aversions included. Writes DIR/truth:
probabilities.npy, float32 [E, K], NaN on other days, for ranking.evaluate; and metrics.json, of the test days:
`<TASK>/auc`, `<TASK>/probability`, the mean, and beside it `<TASK>/observed`, the share that came true.
"""

from collections.abc import Sequence

from runtime import app
from runtime.paths import define_path

_WORLD = define_path("world", None, "The workdir of the simulation.world behind the timelines.", required=True)
_DATA = define_path("data", None, "The timelines.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where truth/ goes.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    # Imported here: --help must not wait for them.
    from simulation.world.true_probabilities import run

    run(world=_WORLD.value, data=_DATA.value, workdir=_WORKDIR.value)


if __name__ == "__main__":
    app.run(main)
