"""Trains the multi-feedback ranker; re-running the same command resumes.

python -m ranking.train --config=configs/ranking.py:kuairand_pure --data=TIMELINES --workdir=DIR
"""

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/ranking.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for checkpoints and metrics.", required=True)
_SATISFACTION = define_path("satisfaction", "", "Folder of satisfaction scores, for that task or feature.")
_COORDINATOR = flags.DEFINE_string("coordinator", "", "host:port of process 0, for training on several hosts.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", 1, "Hosts that train together.")
_PROCESS_ID = flags.DEFINE_integer("process_id", 0, "Number of this host.")


def main(argv):
    """Trains, or says that the run in --workdir is complete."""
    del argv
    # Imported here: --help must not wait for jax.
    from ranking.run import train
    from training.compilation import enable_compilation_cache, set_cpu_devices
    from training.hosts import join
    from training.watch import watched

    set_cpu_devices(_CONFIG.value.cpu_devices)
    enable_compilation_cache()
    join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    with watched():
        print(train(_CONFIG.value, data=_DATA.value, workdir=_WORKDIR.value, satisfaction=_SATISFACTION.value or None))


if __name__ == "__main__":
    app.run(main)
