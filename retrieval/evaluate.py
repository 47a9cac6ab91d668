r"""Measures a trained retrieval model on held-out days, beside popularity and item-kNN.

    python -m retrieval.evaluate --config=configs/retrieval.py:kuairand_pure --data=TIMELINES \
        --checkpoint=TRAIN_WORKDIR --workdir=DIR --split=test

Writes metrics.json (recall@10|50|100, ndcg@10|100, mrr, skip@100, dislike@100, coverage@100, diversity; the baselines'
under popularity_7d/, item_knn/ and item_knn_popularity/; 95% bounds under /low and /high) and per_user.npz, the model's
figures user by user, with which two models are compared in pairs (retrieval/full_corpus.py: compare).
Of the config only `positive`, what counts as a target, is read; the model's own is in its checkpoint.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py", "Settings: FILE or FILE:NAME.")
_DATA = define_path("data", None, "The timelines that the model was trained on.")
_CHECKPOINT = define_path("checkpoint", None, "The workdir of retrieval.train.")
_WORKDIR = define_path("workdir", None, "The folder where results go.")
_SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "The days to measure on.")
_BASELINES = flags.DEFINE_boolean("baselines", True, "Measure popularity and item-kNN too.")


def main(argv: Sequence[str]) -> None:
    """Checks the flags and runs."""
    del argv
    if not _DATA.value or not _CHECKPOINT.value:
        raise UsageError(f"--{'checkpoint' if _DATA.value else 'data'} is required: see --help")
    # Imported here: --help must not wait for jax.
    from retrieval.measurement import run

    run(
        positive=_CONFIG.value.positive,
        data=_DATA.value,
        checkpoint=_CHECKPOINT.value,
        workdir=_WORKDIR.value,
        split=_SPLIT.value,
        with_baselines=_BASELINES.value,
    )


if __name__ == "__main__":
    app.run(main)
