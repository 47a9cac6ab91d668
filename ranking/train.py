"""Trains the multi-feedback ranker; re-running the same command resumes.

python -m ranking.train --config=configs/ranking.py:kuairand_pure --data=TIMELINES --workdir=DIR
"""

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path
from training.distributed.host_flags import define_hosts

_CONFIG = define_config("configs/ranking.py", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "Folder for checkpoints and metrics.", required=True)
_SATISFACTION = define_path("satisfaction", "", "Folder of satisfaction scores, for the task of that name.")
_ON_HOSTS = define_hosts()


def main(argv):
    """Trains, or says that the run in --workdir is complete."""
    del argv
    # Imported here: --help must not wait for jax.
    from ranking.run import train

    with _ON_HOSTS(_CONFIG.value.cpu_devices):
        print(train(_CONFIG.value, data=_DATA.value, workdir=_WORKDIR.value, satisfaction=_SATISFACTION.value or None))


if __name__ == "__main__":
    app.run(main)
