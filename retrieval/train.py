"""Trains two-tower retrieval on the joint objective, and counts what stands beside it; the same command resumes.

    python -m retrieval.train --config=configs/retrieval.py:kuairand_pure,dislike_input_and_label \
        --data=TIMELINES --workdir=DIR

With --refit=TRAIN_WORKDIR it trains that run's config once more, on the training and the validation days, for as many
epochs as were best on the validation days.
"""

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path
from training.distributed.host_flags import define_hosts

_CONFIG = define_config("configs/retrieval.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for checkpoints and metrics.", required=True)
_REFIT = define_path("refit", "", "A complete run of this binary to repeat with the validation days, for --config.")
_ON_HOSTS = define_hosts()


def main(argv):
    """Trains, or says that the run in --workdir is complete."""
    del argv
    # Imported here: --help must not wait for jax.
    from data.timelines import Timelines
    from retrieval.run import refit_config, train

    config = _CONFIG.value
    if _REFIT.value:
        config = refit_config(_REFIT.value, config, Timelines.open(_DATA.value))
    with _ON_HOSTS(config.cpu_devices):
        print(train(config, data=_DATA.value, workdir=_WORKDIR.value))


if __name__ == "__main__":
    app.run(main)
