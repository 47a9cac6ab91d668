"""A training run that is killed at a chosen step, for tests that start it again."""

import json
import os
import signal
import time
from pathlib import Path

from training import run
from training.saving.checkpoints import CHECKPOINTS


def kill_at(step, folder):
    """From now on SIGKILL ends this process before it trains on that batch, with a checkpoint saved."""
    iterate = run.iterate

    class Killing:
        def __init__(self, *arguments):
            self._batches, self._step = iterate(*arguments), 0

        def __next__(self):
            self._step += 1
            while self._step == step:
                if any(path.name.isdigit() for path in Path(folder, CHECKPOINTS).iterdir()):
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(0.01)
            return next(self._batches)

        def __getattr__(self, name):
            return getattr(self._batches, name)

    run.iterate = Killing


def results(folder):
    """Metrics of the finished run in `folder`, without rates, which differ from run to run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if not name.endswith("_per_second")}
