"""Ranking trained by two processes, on either axis of the mesh, as by one; and mistakes that only one of them makes."""

import json

import jax
import numpy as np
import pytest

from data.impressions import ranked_positions
from ranking import checkpoint
from ranking import run as training
from runtime.errors import HostError, UsageError
from tests.helpers import several_hosts
from tests.logs import random_timelines
from tests.ranking.training_test import config_of

pytestmark = pytest.mark.long

# The data axis over both hosts, two devices each, and the model axis.
OVER = {"data": {"data": 4, "model": 1}, "model": {"data": 1, "model": 4}}
# Chance that is drawn where the rows are differs with their layout.
SAME = {"negatives": 0, "dropout": 0.0, "num_epochs": 1}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")


def run(data, folder, axis=None):
    mesh = {"mesh": OVER[axis]} if axis else {}
    return training.train(config_of(**SAME, **mesh), data=data, workdir=folder)


def both(data, other, folder):
    """What both processes run: trainings that one of them must not go on with, then one on each axis."""
    first = jax.process_index() == 0
    said = []
    for what, where, axis in (
        (data if first else f"{folder}/none", "refused", "data"),
        (data if first else other, "refused", "data"),
        (data, "refused" if first else "elsewhere", "data"),
        (data, "over_data", "data"),
        (data, "over_model", "model"),
    ):
        try:
            said.append(run(what, f"{folder}/{where}", axis))
        except (HostError, UsageError) as error:
            said.append(str(error))
    return json.dumps(said)


def test_two_hosts_train_what_one_trains_or_refuse_together(log, tmp_path):
    other = random_timelines.write(tmp_path / "other", seed=1).path
    call = f"here.both({str(log.path)!r}, {str(other)!r}, {str(tmp_path)!r})"
    ended = several_hosts.run(f"from tests.ranking import hosts_test as here; print({call})")
    assert [process.status for process in ended] == [0, 0], ended
    first, second = (json.loads(process.stdout.splitlines()[-1]) for process in ended)
    assert [said.startswith("process 1 has ended with an error") for said in first[:3]] == [True] * 3
    assert second[0].startswith(f"--data={tmp_path}/none: no timelines")
    assert "holds a run of another config or dataset" in second[1]
    assert second[2] == (
        f"--workdir={tmp_path}/elsewhere: not the folder of process 0; all hosts need one that they share"
    )
    assert first[3:] == second[3:]
    run(str(log.path), str(tmp_path / "alone"))
    positions = ranked_positions(log, "valid")
    expected = checkpoint.load(tmp_path / "alone", log).predict(positions)
    values = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    for axis in OVER:
        folder = tmp_path / f"over_{axis}"
        # Of predictions, not parameters: Adam moves by a whole step where a gradient is rounding alone.
        np.testing.assert_allclose(checkpoint.load(folder, log).predict(positions), expected, rtol=1e-3, err_msg=axis)
        found = json.loads((folder / "metrics.json").read_text())
        for name in ("steps", "best_step", "train_loss", "valid/auc", "valid/EVV/auc"):
            np.testing.assert_allclose(found[name], values[name], rtol=1e-5, err_msg=f"{axis} {name}")
