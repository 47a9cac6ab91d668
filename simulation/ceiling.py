"""The true probability of each reaction at each impression of a synthetic feed: what no ranker can beat.

    python -m simulation.ceiling --world=WORLD --data=TIMELINES --workdir=DIR
    python -m ranking.evaluate ... --truth=DIR/truth

Of the validation and test days, users as they were at each moment, aversions included. Writes DIR/truth:
probabilities.npy, float32 [E, K], NaN on other days, for ranking.evaluate; and metrics.json, of the test days:
`<TASK>/auc`, `<TASK>/probability`, the mean, and beside it `<TASK>/observed`, the share that came true.
"""

from collections.abc import Sequence

from runtime import app
from runtime.errors import UsageError
from runtime.paths import define_path

_WORLD = define_path("world", "", "The workdir of the simulation.world that the timelines were made of.")
_DATA = define_path("data", None, "The timelines.")
_WORKDIR = define_path("workdir", None, "The folder where truth/ goes.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    if not _DATA.value or not _WORLD.value:
        raise UsageError(f"--{'world' if _DATA.value else 'data'} is required: see --help")
    # Imported here: --help must not wait for them.
    from simulation.world.true_probabilities import run

    run(world=_WORLD.value, data=_DATA.value, workdir=_WORKDIR.value)


if __name__ == "__main__":
    app.run(main)
