"""Trains satisfaction step by step: base recommender, propensities, satisfaction, alignment; re-running resumes.

    python -m satisfaction.train --config=configs/satisfaction.py:kuairand_pure --data=TIMELINES --workdir=DIR

DIR/scores holds what is thought of every impression (satisfaction.npy, propensity.npy), DIR/align the main model. With
--config.align.refit=True that is trained twice: to choose the number of epochs, then on the validation clicks too.
On several hosts the same command runs on each, with --coordinator and the like, and with one DIR that all share.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path
from training.distributed.host_flags import define_hosts

_CONFIG = define_config("configs/satisfaction.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for checkpoints, scores and metrics.", required=True)
_ONLY = flags.DEFINE_enum("only", "", ["", "base", "propensity", "satisfaction", "align"], "Run this step alone.")
_ON_HOSTS = define_hosts()


def main(argv: Sequence[str]) -> None:
    """Trains, or says that the run in --workdir is complete."""
    del argv
    # Imported here: --help must not wait for jax.
    from satisfaction.run import train

    with _ON_HOSTS(_CONFIG.value.cpu_devices):
        print(train(_CONFIG.value, data=_DATA.value, workdir=_WORKDIR.value, only=_ONLY.value))


if __name__ == "__main__":
    app.run(main)
