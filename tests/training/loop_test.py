"""The loop on a toy model: what it computes does not depend on kills, signals and restarts, and bad numbers stop it."""

import functools
import json
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runtime.errors import DataError
from tests.helpers.plain_optimizer import plain_optimizer
from training.loop import DivergedError, Validation, train
from training.mesh import make_mesh
from training.metric_log import MetricLog
from training.saving.checkpoints import Checkpoints, restore_params
from training.step import create_state, make_train_step

WIDTH = 64


class Batches:
    """Batch n is a function of n alone. `trouble(n)` is called before batch n is given out."""

    def __init__(self, trouble=lambda n: None):
        self._n, self._trouble = 0, trouble

    def __next__(self):
        self._trouble(self._n)
        x = np.random.default_rng(self._n).normal(size=(8, WIDTH)).astype(np.float32)
        self._n += 1
        return {"x": x, "y": x.sum(axis=1)}

    def get_state(self):
        return {"next_index": self._n}

    def set_state(self, state):
        self._n = state["next_index"]


def loss_fn(params, batch, key):
    noise = 0.1 * jax.random.normal(key, (8,))
    prediction = jnp.tanh(batch["x"] @ params["w"]) @ params["v"]
    return jnp.mean((prediction - batch["y"] - noise) ** 2), {"labels": jnp.float32(8)}


def init_fn(key):
    return {"w": 0.1 * jax.random.normal(key, (WIDTH, WIDTH)), "v": jnp.full(WIDTH, 0.1)}


@functools.cache
def compiled():
    """First state and step, compiled once for all tests of a process."""
    mesh = make_mesh(devices=jax.devices()[:1])
    optimizer = plain_optimizer(learning_rate=1e-2, total_steps=12, warmup_steps=2, weight_decay=0.1)
    state = create_state(init_fn, optimizer, key=jax.random.key(0), mesh=mesh)
    return state, make_train_step(loss_fn, optimizer, state)


def run(folder, batches, *, save_every=3, log_every=2, **options):
    """Trains in `folder` as a binary would."""
    state, step = compiled()
    state = jax.tree.map(jnp.copy, state)  # the first step takes its memory
    with Checkpoints(folder / "checkpoints", fingerprint={}) as checkpoints, MetricLog(folder) as log:
        return train(
            state,
            step,
            batches,
            num_steps=12,
            key=jax.random.key(1),
            checkpoints=checkpoints,
            metric_log=log,
            save_every=save_every,
            log_every=log_every,
            **options,
        )


def logged(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_identical(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, run(folder, Batches())


def killed(folder):
    """What the subprocess of the next test runs: SIGKILL while step 8 waits for its batch, a save perhaps in flight."""
    run(folder, Batches(lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == 7 else None))


def test_killed_and_started_again_is_bit_identical(tmp_path, uninterrupted):
    code = f"import pathlib; from tests.training.loop_test import killed; killed(pathlib.Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    result = run(tmp_path, Batches())
    assert result.step == 12
    assert_identical(result.state, uninterrupted[1].state)
    steps = [line["step"] for line in logged(tmp_path) if line["name"] == "train_loss"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 12


def test_sigterm_saves_the_step_and_exits_143(tmp_path, uninterrupted):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, Batches(lambda n: signal.raise_signal(signal.SIGTERM) if n == 4 else None))
    assert stopped.value.code == 143
    assert (tmp_path / "checkpoints" / "5").is_dir()  # not a multiple of save_every: saved because of the signal
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert_identical(run(tmp_path, Batches()).state, uninterrupted[1].state)


def test_complete_run_started_again_does_nothing(uninterrupted):
    folder, result = uninterrupted

    def no_batches(n):
        raise AssertionError("asked for a batch")

    again = run(folder, Batches(no_batches))
    assert_identical(again.state, result.state)
    assert again.metrics == result.metrics


def test_metrics(uninterrupted):
    folder, result = uninterrupted
    losses = {line["step"]: line["value"] for line in logged(folder) if line["name"] == "train_loss"}
    assert result.metrics["steps"] == 12
    assert result.metrics["train_loss"] == losses[12]
    # 8 labels and 8 rows a batch
    assert result.metrics["labels_per_second"] == result.metrics["examples_per_second"] > 0
    assert list((folder / "tensorboard").glob("events*"))


@pytest.mark.parametrize("log_every", [1, 100])
def test_non_finite_loss_stops_and_is_never_saved(tmp_path, log_every):
    class Poisoned(Batches):
        def __next__(self):
            batch = super().__next__()
            return {**batch, "y": batch["y"] * np.float32(np.nan)} if self._n == 8 else batch

    with pytest.raises(
        DivergedError, match=r"loss is nan at step 8, on batch 7 .* good checkpoint: step 6 in"
    ) as error:
        run(tmp_path, Poisoned(), log_every=log_every)
    assert error.value.step == 8
    norms = [line["value"] for line in logged(tmp_path) if line["name"] == "train/grad_norm_max"]
    assert error.value.metrics["grad_norm/max"] == max(norms)
    assert not (tmp_path / "checkpoints" / "9").exists()


def test_input_that_ends(tmp_path):
    def end(n):
        if n == 2:
            raise StopIteration

    with pytest.raises(DataError, match="ended before step 3"):
        run(tmp_path, Batches(end))


SCORES = {2: 0.5, 4: 0.7, 6: float("nan"), 8: 0.6, 10: 0.1, 12: 0.9}


def test_early_stopping_keeps_the_best_and_survives_a_restart(tmp_path):
    evaluated = []

    def measure(params):
        evaluated.append(2 + evaluated[-1] if evaluated else 2)
        return {"recall": SCORES[evaluated[-1]]}

    options = {"validation": Validation(measure, every=2, best="recall", patience=3)}
    with pytest.raises(SystemExit):  # after one evaluation without improvement
        run(tmp_path, Batches(lambda n: signal.raise_signal(signal.SIGTERM) if n == 6 else None), **options)
    result = run(tmp_path, Batches(), **options)
    # Best at 4; 6 (NaN), 8 and 10 are no better: three evaluations, so 12 is never reached.
    assert evaluated == [2, 4, 6, 8, 10]
    assert (result.step, result.best_step, result.metrics["valid/recall"]) == (10, 4, 0.7)
    assert run(tmp_path, Batches(), **options).step == 10
    assert evaluated == [2, 4, 6, 8, 10]

    _, step = restore_params(tmp_path / "checkpoints", result.state.params)
    assert step == 4
    _, step = restore_params(tmp_path / "checkpoints", result.state.params, best=False)
    assert step == 10
    assert {"step": 6, "name": "valid/recall", "value": None} in logged(tmp_path)
