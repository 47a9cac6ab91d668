r"""Measures a trained ranker on held-out days, beside other rankers, LightGBM and popularity.

    python -m ranking.evaluate --data=TIMELINES --checkpoint=TRAIN_WORKDIR --workdir=DIR --split=test \
        --compare=no_feedback_encoder=OTHER_TRAIN_WORKDIR,mlp=ANOTHER

A training has a seed, and a difference that another seed would not give is none: name the trainings of further seeds
too, --checkpoint=SEED0,SEED1,SEED2 --compare=mlp=SEED0,mlp=SEED1,mlp=SEED2. Figures are then means over seeds,
intervals are over users and seeds, and LightGBM is trained with as many. The first of each row is the one inspected.

Writes metrics.json (`<TASK>/auc|gauc|logloss|ece`, `fused/ndcg@10`, `fused/skip@10`, the others' under their name and a
slash; 95% bounds under /low and /high; `<row>/<figure>/difference`, the model's minus the row's, on the same drawn
users; of several seeds `<TASK>/auc/seeds_std`; the model's by engagement level and by platform; with --truth, of a
synthetic feed, `ceiling/<TASK>/…`, those of the true probabilities), per_user.npz, means over seeds, reliability.json
and curves.json (the trade-off of the fusion, which experts each task uses, the weights of the features).
Probabilities are calibrated, and γ is chosen, on the validation days, for every row and seed alike.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.paths import define_named_paths, define_path, define_paths

_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_paths("checkpoint", "The workdir of ranking.train, or several, of one seed each.", required=True)
_COMPARE = define_named_paths(
    "compare", "NAME=DIR of other runs of ranking.train, to be rows beside the model; a NAME once for each seed."
)
_TRUTH = define_path("truth", "", "The workdir of simulation.ceiling, of the synthetic feed of the log.")
_WORKDIR = define_path("workdir", None, "The folder where results go.")
_SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "The days to measure on.")
_GAMMA = flags.DEFINE_list("gamma", [], "TASK=WEIGHT of the fused score, like EVV=1,GVV=-1; chosen where not given.")
_PENALTY = flags.DEFINE_float("penalty", 1.0, "Of skip@10, beside the fused list's NDCG@10, where γ is chosen.")
_SATISFACTION_WEIGHT = flags.DEFINE_float(
    "satisfaction_weight", 0.0, "Of satisfaction@10, beside them, for a model with the task satisfaction."
)
_LIGHTGBM = flags.DEFINE_boolean("lightgbm", True, "Train and measure LightGBM too.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    # Imported here: --help must not wait for jax.
    from ranking.comparison import run

    run(
        data=_DATA.value,
        checkpoint=_CHECKPOINT.value,
        compare=_COMPARE.value,
        workdir=_WORKDIR.value,
        split=_SPLIT.value,
        gamma=_GAMMA.value,
        penalty=_PENALTY.value,
        satisfaction_weight=_SATISFACTION_WEIGHT.value,
        with_lightgbm=_LIGHTGBM.value,
        truth=_TRUTH.value,
    )


if __name__ == "__main__":
    app.run(main)
