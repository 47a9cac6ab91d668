r"""SAQRec beside popularity, item-kNN, the base recommender and a GRU over ids, each with the same chances.

    python -m satisfaction.compare --config=configs/satisfaction.py:kuairand_pure --config.protocol=leave_one_out \
        --data=TIMELINES --workdir=DIR --seeds=3

Every model reads whole histories of the same clicks, has the same logit of recent popularity and the same weights of
labels, is tuned on the validation clicks over as many settings, and is then refitted with these clicks, for each seed,
from the base recommender, propensities and satisfactions of that seed. The rules are tuned on the same clicks. Test
clicks are asked for once, at the end, among 99 sampled items and among all items of the corpus.

Writes metrics.json: <row>/ and hr@1|5|10, ndcg@5|10, mrr, and full/ and these against all items, with 95% bounds over
users and seeds under /low and /high; gain_over/<row>/, what SAQRec gains, paired over users; tuning/ and chosen/. Rows:
saqrec, base, gru_softmax, item_knn_popularity, item_knn, popularity. Killed at any point, the same command goes on.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/satisfaction.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for all trainings and metrics.json.", required=True)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each model.", lower_bound=1)
_STOP_AFTER = flags.DEFINE_integer("stop_after", 0, "Trainings to do in this call, 0 for all that are left.")


def main(argv: Sequence[str]) -> None:
    """Trains what is left, then measures."""
    del argv
    # Imported here: --help must not wait for jax.
    from satisfaction.experiments.rows import run
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    run(_CONFIG.value, data=_DATA.value, workdir=_WORKDIR.value, seeds=_SEEDS.value, stop_after=_STOP_AFTER.value)


if __name__ == "__main__":
    app.run(main)
