r"""Measures one trained SAQRec on held-out clicks, beside popularity, item-kNN, the base recommender and another GRU.

    python -m satisfaction.evaluate --data=TIMELINES --checkpoint=TRAIN_WORKDIR --workdir=DIR

Writes metrics.json: hr@1|5|10, ndcg@5|10 and mrr of the held-out click among 99 sampled items; under full/ the same
among all items; under G1/ … G4/ by user activity; popularity/, item_knn/ and item_knn_popularity/, their settings
chosen on the validation clicks; base/ and gru_softmax/, which satisfaction.train trained with all that SAQRec has; the
rows of --compare; gain_over/<row>/, what SAQRec gains over each, paired, and gain_over/<row>/full/; satisfaction/auc;
95% bounds over users under /low and /high (over seeds too: satisfaction.compare).

Beside it negatives.npz, what was drawn; per_user.npz, every user's places; examples.json, clicks and what the
satisfaction model thinks of them. Protocol and answers are those that the model was trained with. A run that was
refitted with the validation clicks is asked for test clicks as it is then, and for validation clicks as it was before.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.paths import define_named_paths, define_path, named_once

_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of satisfaction.train.", required=True)
_COMPARE = define_named_paths("compare", "More rows: NAME=DIR, other workdirs of satisfaction.train (ablations).")
_WORKDIR = define_path("workdir", None, "The folder where results go.")
_SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "Which held-out clicks to measure on.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the sampled items; figures compare only on the same ones.")
_SATISFACTION_WEIGHT = flags.DEFINE_float(
    "satisfaction_weight",
    0.0,
    "Weight of log predicted satisfaction in the ranking of SAQRec, the rows of --compare too; 0, the paper, ranks by "
    "clicks.",
    lower_bound=0.0,
)


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    # Imported here: --help must not wait for jax.
    from satisfaction.experiments.measurement import RESERVED, run
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    run(
        data=_DATA.value,
        checkpoint=_CHECKPOINT.value,
        compare=named_once(_COMPARE.value, flag="--compare", writer="satisfaction.train", reserved=RESERVED),
        workdir=_WORKDIR.value,
        split=_SPLIT.value,
        seed=_SEED.value,
        satisfaction_weight=_SATISFACTION_WEIGHT.value,
    )


if __name__ == "__main__":
    app.run(main)
