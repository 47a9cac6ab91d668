"""An A/B test on the synthetic feed: new people, each in one arm, served by its exported recommender for days.

  python -m simulation.ab_test --config=configs/ab_test.py --world=WORLD --arms=control=DIR,treatment=DIR --workdir=DIR

  python -m simulation.ab_test ... --rankers=treatment=DIR --aa_tests=50

WORLD is the workdir of the simulation.world whose log the recommenders were trained on. As many new people as
--config.users are drawn as those of its log were, live through the log's days under its logging policy, and go on from
there (simulation/world/newcomers.py). The first arm is the one that the others are held up against. An arm in --rankers
has its slates ordered by the ranker that ranking.export wrote (simulation/exported/serving.py says how).

--aa_tests=50 makes 50 more such tests, each of --config.aa_users new people with the control in both arms: the share in
which a metric's interval leaves out zero should be 5%. Each takes about 5 seconds of CPU on the demo feed.

Writes into --workdir: metrics.json (`<metric>/relative` with `/low` and `/high`, `<metric>/<arm>`;
`group/<activity>/<metric>/relative`; from the third arm on its name comes first, `<arm>/<metric>/relative`; with
--aa_tests `aa/<metric>`, the share of false positives, and `aa/mean` over metrics, each with `/low` and `/high`;
`long_run/<arm>/<low_exposure|high_exposure>/slope`, of groups of 30 people or more), by_day.json, long_run.json,
definitions.json and per_user.npz (`arm`, `activity`, events before the test, and every sum [users, days]). The metrics:
simulation/ab_test/metrics.py.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_named_paths, define_path

_CONFIG = define_config("configs/ab_test.py", "Settings: FILE or FILE:SIZE.")
_WORLD = define_path("world", None, "The workdir of the simulation.world that the arms were trained on.", required=True)
_ARMS = define_named_paths("arms", "NAME=DIR for each arm: folders that retrieval.export wrote; control first.")
_RANKERS = define_named_paths("rankers", "ARM=DIR for each arm with a ranker: folders that ranking.export wrote.")
_AA_TESTS = flags.DEFINE_integer("aa_tests", 0, "A/A tests: whole tests of new people with the control in both arms.")
_WORKDIR = define_path("workdir", None, "The folder where results go.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    if _AA_TESTS.value < 0:
        raise UsageError(f"--aa_tests={_AA_TESTS.value}: 0 or more")
    # Imported here: --help must not wait for jax.
    from simulation.ab_test.experiment import run

    run(
        _CONFIG.value,
        world=_WORLD.value,
        arms=_ARMS.value,
        rankers=_RANKERS.value,
        aa_tests=_AA_TESTS.value,
        workdir=_WORKDIR.value,
    )


if __name__ == "__main__":
    app.run(main)
