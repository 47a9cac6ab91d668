"""Trains two-tower retrieval on the joint objective; re-running the same command resumes.

    python -m retrieval.train --config=configs/retrieval.py:kuairand_pure,dislike_input_and_label \
        --data=TIMELINES --workdir=DIR

With --refit=TRAIN_WORKDIR it trains that run's config once more, on the training and the validation days, for as many
epochs as were best on the validation days.
"""

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for checkpoints and metrics.", required=True)
_REFIT = define_path("refit", "", "A complete run of this binary to repeat with the validation days, for --config.")
_COORDINATOR = flags.DEFINE_string("coordinator", "", "host:port of process 0, for training on several hosts.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", 1, "Hosts that train together.")
_PROCESS_ID = flags.DEFINE_integer("process_id", 0, "Number of this host.")


def main(argv):
    """Trains, or says that the run in --workdir is complete."""
    del argv
    # Imported here: --help must not wait for jax.
    from retrieval.run import refit_config, train
    from training.compilation import enable_compilation_cache, set_cpu_devices
    from training.hosts import join
    from training.watch import watched

    config = refit_config(_REFIT.value, _CONFIG.value) if _REFIT.value else _CONFIG.value
    set_cpu_devices(config.cpu_devices)
    enable_compilation_cache()
    join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    with watched():
        print(train(config, data=_DATA.value, workdir=_WORKDIR.value))


if __name__ == "__main__":
    app.run(main)
