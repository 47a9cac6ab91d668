"""Says how satisfying impressions are likely to be: all of the timelines, or a list of users and items.

    python -m satisfaction.score --data=TIMELINES --run=TRAIN_WORKDIR --workdir=DIR [--pairs=PAIRS.parquet]

Without --pairs DIR/scores is the artifact that ranking reads; with it, DIR/satisfaction.parquet (or .csv) is the list
with a column `satisfaction`.
"""

from collections.abc import Sequence

from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_RUN = define_path("run", None, "The workdir of satisfaction.train.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where scores go.", required=True)
_PAIRS = define_path("pairs", "", "Parquet or CSV with user_id and item_id; all impressions by default.")


def main(argv: Sequence[str]) -> None:
    """Scores, or says that it is done."""
    del argv
    # Imported here: --help must not wait for jax.
    from satisfaction.unbiased.predictions import run
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    print(run(data=_DATA.value, run=_RUN.value, workdir=_WORKDIR.value, pairs=_PAIRS.value))


if __name__ == "__main__":
    app.run(main)
