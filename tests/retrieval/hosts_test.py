"""Retrieval trained by two processes: asked to stop, killed, resumed by two and by one, on either axis of the mesh."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from data.events_read import Reader
from retrieval import checkpoint
from retrieval import run as training
from tests.helpers import several_hosts
from tests.helpers.killed_training import kill_at
from tests.logs import random_timelines
from tests.retrieval.training_test import config_of
from training import run as training_run
from training.saving.checkpoints import CHECKPOINTS

pytestmark = pytest.mark.long

# The data axis over both hosts, two devices each, and the model axis.
OVER = {"data": {"data": 4, "model": 1}, "model": {"data": 1, "model": 4}}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")


def run(data, folder, axis=None):
    mesh = {"mesh": OVER[axis]} if axis else {}
    return training.train(config_of(batch_size=4, **mesh), data=data, workdir=folder)


@pytest.fixture(scope="module")
def alone(log, tmp_path_factory):
    """One process's run from beginning to end."""
    folder = tmp_path_factory.mktemp("run") / "alone"
    run(str(log.path), str(folder))
    return folder


def on_hosts(call):
    return several_hosts.run(f"from tests.retrieval import hosts_test as here; print(here.{call})")


def signalled(step, data, folder):
    """What both processes run: SIGTERM reaches the second one before it takes the batch of `step`."""
    iterate = training_run.iterate

    class Signalling:
        def __init__(self, *arguments):
            self._batches, self._step = iterate(*arguments), 0

        def __next__(self):
            self._step += 1
            if self._step == step and jax.process_index() == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return next(self._batches)

        def __getattr__(self, name):
            return getattr(self._batches, name)

    training_run.iterate = Signalling
    return run(data, folder, "data")


def killed(step, data, folder):
    """What both processes run: SIGKILL ends the second one before its batch of that number."""
    if jax.process_index() == 1:
        kill_at(step, folder)
    return run(data, folder, "data")


def finished(data, folder, other):
    """What both processes run: one run to its end on the data axis, then another from its beginning on the model axis,
    then the first one again."""
    return [run(data, folder, "data"), run(data, other, "model"), run(data, folder, "data")]


def scores(folder, log):
    """What the best step's model says of every item to every user."""
    model = checkpoint.load(folder, log)
    histories = log.histories(np.arange(log.num_users), log.test_start, Reader(log.feedback, model.reading))
    return np.asarray(model.encode(histories)) @ model.item_vectors().T


def metrics(folder):
    found = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in found.items() if not name.endswith("_per_second")}


def agree(folder, alone, log):
    expected, found = metrics(alone), metrics(folder)
    assert found.keys() == expected.keys()
    for name in ("steps", "best_step", "train_loss", "grad_norm/max", *(n for n in expected if n.startswith("valid/"))):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)
    # Of scores, not parameters: Adam moves by a whole step where a gradient is rounding alone.
    np.testing.assert_allclose(scores(folder, log), scores(alone, log), rtol=1e-3, atol=1e-3)
    # Each step is logged once: one of the processes wrote.
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = [(line["step"], line["name"]) for line in lines]
    assert len(logged) == len(set(logged))


def test_stopped_killed_and_resumed_by_two_and_by_one(log, alone, tmp_path):
    folder, other, left = tmp_path / "run", tmp_path / "model", tmp_path / "left"
    data = str(log.path)
    stopped = on_hosts(f"signalled(2, {data!r}, {str(folder)!r})")
    assert [ended.status for ended in stopped] == [143, 143], stopped
    saved = [int(path.name) for path in (folder / CHECKPOINTS).iterdir() if path.name.isdigit()]
    assert saved
    assert max(saved) < metrics(alone)["steps"]

    survivor, lost = on_hosts(f"killed(2, {data!r}, {str(folder)!r})")
    assert lost.status == -signal.SIGKILL, lost
    assert survivor.status != 0, survivor  # it does not wait for the other
    assert not (folder / "metrics.json").exists()

    shutil.copytree(folder, left)
    both = on_hosts(f"finished({data!r}, {str(folder)!r}, {str(other)!r})")
    assert [ended.status for ended in both] == [0, 0], both
    ends = [ended.stdout.splitlines()[-1] for ended in both]
    assert ends[0] == ends[1]  # the same steps, the same best step
    assert f"already complete: {folder}" in ends[0]
    agree(folder, alone, log)
    agree(other, alone, log)

    run(data, str(left))
    agree(left, alone, log)
