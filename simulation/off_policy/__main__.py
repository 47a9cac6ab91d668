"""Estimates, from randomly exposed items in a log, how often users would dislike or watch what a recommender shows.

  python -m simulation.off_policy --config=configs/off_policy.py --data=TIMELINES --arms=a=DIR,b=DIR --workdir=DIR
  python -m simulation.off_policy ... --world=WORLD --coverage_seeds=50

The evaluated policy (simulation/exported/serving.py): softmax of the exported logits over the exact top slate_size
items that are new to the user, read from the last events before each random exposure of the test days. Arms may know
nothing else of these days: they are exported with --counted_until=test. The logging propensity of a random exposure: 1
/ N, uniform over the N items that are uploaded by then. IPS, SNIPS and DR (simulation/off_policy/estimators.py) with
95% intervals over users. With --world, the synthetic feed that the log came from, the truth stands beside them, and
--coverage_seeds draws new random exposures that often and counts how many intervals hold it.

Writes into --workdir: metrics.json (`<arm>/<dislike|long_view>/<ips|snips|dr>` with `/low` and `/high`, `.../truth`,
`.../<estimator>/coverage` with bounds and `.../<estimator>/bias`, of the rate `<arm>/<reward>/pool_truth`;
`<arm>/effective_size`; `<arm>/mean_weight` with bounds, which leave out 1 where the exposures were not uniform;
`random/<reward>`: the rate of random exposure itself; `exposures`, `users`: how many).
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_named_paths, define_path

_CONFIG = define_config("configs/off_policy.py", "Settings: FILE or FILE:SIZE.")
_DATA = define_path("data", None, "The timelines, with randomly exposed events.", required=True)
_ARMS = define_named_paths("arms", "NAME=DIR for each recommender: folders that retrieval.export wrote.")
_WORLD = define_path("world", "", "The workdir of the simulation.world that the timelines were made of.")
_COVERAGE_SEEDS = flags.DEFINE_integer("coverage_seeds", 0, "Draw new exposures this often; needs --world.")
_WORKDIR = define_path("workdir", None, "The folder where results go.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    if _COVERAGE_SEEDS.value < 0 or (_COVERAGE_SEEDS.value and not _WORLD.value):
        raise UsageError(f"--coverage_seeds={_COVERAGE_SEEDS.value}: 0 or more, and above 0 only with --world")
    # Imported here: --help must not wait for jax.
    from simulation.off_policy.check import run

    run(
        _CONFIG.value,
        data=_DATA.value,
        arms=_ARMS.value,
        world=_WORLD.value,
        coverage_seeds=_COVERAGE_SEEDS.value,
        workdir=_WORKDIR.value,
    )


if __name__ == "__main__":
    app.run(main)
