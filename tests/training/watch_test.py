"""What the other host does where one fails, or stands still: it ends with one line."""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import pytest

from runtime import app
from runtime.errors import DataError
from tests.helpers import several_hosts
from training import run as training_run
from training.distributed import watch
from training.mesh import make_mesh


def train(way):
    """What both processes run: the second one fails, neither ends its restore, or neither makes a step, which
    between two trainings is right."""

    def main(argv):
        with watch.watched():
            watch.sign_of_life()
            if way == "fails" and jax.process_index() == 1:
                raise DataError("events.parquet: cut short")
            if way == "stuck":
                watch.rest()
                time.sleep(3)
                print("rested", flush=True)
                watch.sign_of_life()
            time.sleep(60)

    def restore(argv):
        # What is between the first sign of life and the first step: a checkpoint is read, here without an end.
        training_run.Checkpoints = lambda *_, **__: time.sleep(60)
        options = {"num_steps": 1, "save_every": 1, "seed": 0, "mesh": make_mesh()}
        with watch.watched():
            training_run.fit(
                lambda key: {"w": jnp.zeros(3)}, None, optax.sgd(0.1), None, folder=Path(), fingerprint={}, **options
            )

    if way in ("stuck", "restoring"):
        watch.STUCK_SECONDS = 1.0
    sys.argv = ["train"]
    app.run(restore if way == "restoring" else main)


@pytest.mark.parametrize(
    ("way", "number", "status", "line"),
    [
        ("fails", 0, 5, "train: process 1 has ended with an error, which its own last line names"),
        ("fails", 1, 3, "train: events.parquet: cut short"),
        ("stuck", 0, 5, "train: no step for 1 seconds: a host stands still; stop them all, then the same command"),
        ("restoring", 0, 5, "train: no step for 1 seconds: a host stands still; stop them all, then the same command"),
    ],
)
def test_hosts_end_together(way, number, status, line, ended):
    assert ended[way][number].status == status, ended[way]
    assert ended[way][number].stderr.splitlines()[-1].startswith(line)


def test_between_two_trainings_nobody_waits_for_a_step(ended):
    assert [one.stdout.splitlines()[-1] for one in ended["stuck"]] == ["rested"] * 2


@pytest.fixture(scope="module")
def ended():
    code = "from tests.training.watch_test import train; "
    return {way: several_hosts.run(f"{code} train({way!r})") for way in ("fails", "stuck", "restoring")}
