"""Whole training runs of the ranker: killed and resumed, on several devices, and with mistakes in the command."""

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.ranking import get_config
from data import event_artifacts
from data import timelines as timelines_format
from data.impressions import ImpressionBatches, ranked_positions
from data.timelines import Timelines
from metrics import binary
from ranking import checkpoint, log_statistics, tasks
from ranking import run as training
from ranking.inputs import Impressions, TrainingInputs
from ranking.objective import make_loss
from runtime import artifact
from runtime.errors import DataError, UsageError
from runtime.formats import SATISFACTION_SCORES
from tests.helpers.killed_training import kill_at, results
from tests.helpers.plain_optimizer import plain_optimizer
from tests.logs import random_timelines
from training.mesh import make_mesh, shard_batch
from training.names import named_leaves
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.step import create_state, make_train_step

MESHES = ((4, 1), (2, 2))
STEPS = 2


def config_of(**options):
    config = get_config("tiny")
    config.update({"tasks": ("EVV", "like"), "history_feedback": ("EVV", "like"), "hidden": (6,), "tower": (4,)})
    config.update({"length": 6, "batch_size": 16, "num_epochs": 2, "negatives": 1, "dropout": 0.2})
    config.update({"blocks": 0, "experts": 1, "context": False})  # quick to compile
    config.update({"save_every": 2, "warmup_steps": 2, "patience": 10, "learning_rate": 0.02, **options})
    return config


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")


def run(log, folder, satisfaction=None, **options):
    return training.train(config_of(**options), data=str(log.path), workdir=str(folder), satisfaction=satisfaction)


@pytest.fixture(scope="module")
def uninterrupted(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "workdir"
    assert run(log, folder).startswith("trained ")
    return folder


def saved(folder, log, *, best):
    made = log_statistics.LogStatistics.open(folder / log_statistics.FOLDER)
    params, step = restore_params(folder / CHECKPOINTS, checkpoint.build(config_of(), log, made).shapes, best=best)
    return {name: np.asarray(leaf).tobytes() for name, leaf in named_leaves(params).items()}, step


def killed(data, folder):
    """What the subprocess of the next test runs: SIGKILL before step 5, when a checkpoint is on disk."""
    kill_at(5, folder)
    training.train(config_of(), data=data, workdir=folder)


def in_a_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"from tests.ranking.training_test import *; {code}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_killed_and_started_again_is_bit_identical(log, uninterrupted, tmp_path):
    folder = tmp_path / "workdir"
    done = in_a_process(f"killed({str(log.path)!r}, {str(folder)!r})")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (folder / "metrics.json").exists()
    with pytest.raises(UsageError, match="no complete training run here"):
        checkpoint.load(folder, log)
    run(log, folder)
    assert results(folder) == results(uninterrupted)
    assert results(folder)["steps"] > 5
    for best in (True, False):
        assert saved(folder, log, best=best) == saved(uninterrupted, log, best=best)


def test_what_was_trained_is_loaded_and_nothing_is_done_twice(log, uninterrupted):
    ranker = checkpoint.load(uninterrupted, log)
    positions = ranked_positions(log, "test")
    assert ranker.tasks == ("EVV", "like")
    found = ranker.predict(positions)
    assert found.shape == (len(positions), 2)
    # It is the model whose validation was the best: its areas there are those that were logged.
    valid = ranked_positions(log, "valid")
    scores, (known, asked) = ranker.predict(valid), ranker.labels(valid)
    areas = [binary.auc(scores[:, k], known[:, k], where=asked[:, k]) for k in range(2)]
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(areas) == pytest.approx(max(line["value"] for line in lines if line["name"] == "valid/auc"))
    values, where = ranker.labels(positions)
    np.testing.assert_array_equal(values[:, 1], (log.feedback[positions] >> 2) & 1)
    np.testing.assert_array_equal(where[:, 0], log.play_ms[positions] >= 0)
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    assert run(log, uninterrupted) == f"already complete: {uninterrupted}"
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_every_task_is_logged_and_its_weights_sum_to_one(uninterrupted):
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    last = {line["name"]: line["value"] for line in lines}
    assert {"train/EVV_loss", "train/like_loss", "valid/auc", "valid/EVV/auc", "valid/like/auc"} <= last.keys()
    np.testing.assert_allclose(last["train/EVV_weight"] + last["train/like_weight"], 1.0, rtol=1e-6)


def trained(data, mesh):
    """Losses of a few steps and the parameters after them, without the rows that fill up the tables."""
    log, config = Timelines.open(data), config_of(blocks=1, dropout=0.0)
    made = log_statistics.build(log, config.history_feedback)
    labels = tasks.labels(config.tasks, log, made.thresholds, None)
    gather = TrainingInputs(Impressions(log, made, length=config.length), log, labels, negatives=0)
    batches = ImpressionBatches(ranked_positions(log, "train"), gather, batch_size=16, num_epochs=STEPS, seed=0)
    # The same first parameters whatever the tables are rounded up to.
    narrow, model = (checkpoint.build(config, log, made, model_shards=n) for n in (1, mesh.shape["model"]))
    first = jax.device_get(jax.jit(narrow.init)(jax.random.key(0)))

    def init(key):
        return jax.tree.map(
            lambda leaf, shape: jnp.pad(leaf, [(0, n - m) for m, n in zip(leaf.shape, shape.shape, strict=True)]),
            first,
            model.shapes,
        )

    optimizer = plain_optimizer(learning_rate=1e-2, total_steps=STEPS, warmup_steps=1)
    rules = training.RULES if mesh.shape["model"] > 1 else ()
    state = create_state(init, optimizer, key=jax.random.key(0), mesh=mesh, rules=rules)
    step = make_train_step(make_loss(model.merge, config, config.tasks), optimizer, state)
    losses = []
    for index in range(STEPS):
        state, metrics = step(state, shard_batch(batches[index], mesh), jax.random.key(0))
        losses.append(float(metrics["loss"]))
    leaves = named_leaves(state.params)
    shapes = {name: leaf.shape for name, leaf in named_leaves(narrow.shapes).items()}
    return {"losses": losses, **{n: np.asarray(leaf)[: shapes[n][0]] for n, leaf in leaves.items()}}


def on_four_devices(data, file):
    """What the subprocess of the next test runs."""
    arrays: dict[str, Any] = {}
    for shape in MESHES:
        mesh = make_mesh(data=shape[0], model=shape[1], devices=jax.devices()[: shape[0] * shape[1]])
        arrays |= {f"{shape}:{name}": array for name, array in trained(data, mesh).items()}
    np.savez(file, **arrays)


@pytest.mark.long
def test_several_devices_agree_with_one(log, tmp_path):
    file = tmp_path / "arrays.npz"
    flags = "--xla_force_host_platform_device_count=4"
    done = in_a_process(
        f"on_four_devices({str(log.path)!r}, {str(file)!r})",
        XLA_FLAGS=flags,
        NPROC="128",
        JAX_COMPILATION_CACHE_DIR=str(tmp_path / "compiled"),
    )
    assert done.returncode == 0, done.stderr
    found = np.load(file)
    expected = trained(log.path, make_mesh(devices=jax.devices()[:1]))
    assert len(found) == len(MESHES) * len(expected)
    for key in found:
        np.testing.assert_allclose(found[key], expected[key.partition(":")[2]], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ("EVV", "love")}, r"--config\.tasks: no task 'love'; one of EVV, "),
        ({"tasks": ("EVV", "EVV")}, "name each task once"),
        ({"tasks": ("satisfaction",)}, "task satisfaction needs --satisfaction, .* remain the tasks EVV, FVV, GVV, "),
        ({"history_feedback": ("EVV", "hate")}, r"--config\.history_feedback: no feedback 'hate'; one of EVV, "),
        ({"mesh": {"data": 3, "model": 1}}, r"--config\.mesh: a mesh of 3 x 1 .* does not fit 1 device"),
        ({"train_on": ("test",)}, r"--config\.train_on=\('test',\): \('train',\) or \('train', 'valid'\)"),
        ({"length": 0}, r"--config\.length=0: must be at least 1"),
        ({"heads": 4, "blocks": 1}, r"--config: 4 heads do not divide 6 dimensions"),
        ({"slots": 7, "context": True}, r"--config: 7 slots do not divide \d+ feature dimensions"),
        ({"task_weights": (1.0,)}, r"--config: 2 tasks: as many weights of at least 0"),
        ({"loss": "hinge"}, r"--config\.loss=hinge: one of logloss, bpr"),
        ({"loss": "bpr", "negatives": 0}, r"--config\.loss=bpr orders pairs .* --config\.later .* of at least 1"),
        ({"later": -2}, r"--config\.later=-2: must be a whole number, 0 or more"),
        ({"negatives": -1}, r"--config\.negatives=-1: must be a whole number, 0 or more"),
    ],
)
def test_mistakes_in_the_config(log, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        run(log, tmp_path / "workdir", **options)


def rewritten(log, folder, *, logged=None, **arrays):
    """The timelines with other arrays, or a manifest that says that only the feedback `logged` is in them."""
    names = (*timelines_format.EVENT_DTYPES, *timelines_format.USER_DTYPES)
    fields = {"vocabulary_hash": "x", "item_features": log.manifest["item_features"]}
    timelines_format.write(
        folder,
        arrays={**{name: getattr(log, name) for name in names}, **arrays},
        items=log.items,
        users=log.users,
        fields={**fields, "feedback": logged or log.manifest["feedback"]},
    )
    return Timelines.open(folder)


def test_a_log_without_watch_time_names_what_is_left(log, tmp_path):
    silent = rewritten(log, tmp_path / "silent", play_ms=np.full(len(log.item), -1), logged=["click", "like"])
    with pytest.raises(DataError, match=r"no watch time \(column play_ms\), which EVV need; .* the tasks click, like:"):
        run(silent, tmp_path / "workdir")
    assert tasks.default(silent) == ("click", "like")
    assert tasks.default(log) == ("EVV", "FVV", "GVV")
    mute = rewritten(log, tmp_path / "mute", play_ms=np.full(len(log.item), -1), logged=["share"])
    with pytest.raises(DataError, match="nothing to predict"):
        tasks.default(mute)


def test_a_log_without_a_feedback_names_its_column(log, tmp_path):
    silent = rewritten(log, tmp_path / "silent", logged=["click"])
    with pytest.raises(
        DataError, match="the log has no column like; without it remain the tasks EVV, FVV, GVV, click: set --config"
    ):
        run(silent, tmp_path / "workdir")


def test_a_task_of_one_class_is_named(log, tmp_path):
    cold = rewritten(log, tmp_path / "cold", play_ms=np.full(len(log.item), 1))  # nobody watched longer than others
    with pytest.raises(DataError, match="task EVV has only the label 0 on the train days"):
        run(cold, tmp_path / "workdir")


def satisfaction_scores(folder, log, scores, **fields):
    manifest = {**event_artifacts.fields(log), "protocol": "time", **fields}
    with artifact.writing(folder, **SATISFACTION_SCORES._asdict(), fields=manifest) as path:
        np.save(path / "satisfaction.npy", np.asarray(scores, np.float32))
    return str(folder)


def test_satisfaction_is_a_task(log, tmp_path):
    scores = satisfaction_scores(tmp_path / "scores", log, np.random.default_rng(0).random(len(log.item)))
    options = {"tasks": ("like", "satisfaction"), "num_epochs": 1}
    assert run(log, tmp_path / "workdir", satisfaction=scores, **options).startswith("trained ")
    ranker = checkpoint.load(tmp_path / "workdir", log)
    positions = ranked_positions(log, "test")
    assert ranker.predict(positions).shape == (len(positions), 2)
    np.testing.assert_array_equal(ranker.labels(positions)[0][:, 1], np.load(f"{scores}/satisfaction.npy")[positions])

    shutil.rmtree(scores)
    satisfaction_scores(tmp_path / "scores", log, np.ones(len(log.item)))
    with pytest.raises(UsageError, match=r"--checkpoint=.*: learned from the satisfaction scores in .* others by now"):
        checkpoint.load(tmp_path / "workdir", log)
    with pytest.raises(UsageError, match=r"holds a run of another config or dataset \(satisfaction\.digest"):
        run(log, tmp_path / "workdir", satisfaction=scores, **options)


@pytest.mark.parametrize("fields", [{"vocabulary_hash": "y"}, {"events": "00000000"}])
def test_satisfaction_of_other_events(log, tmp_path, fields):
    scores = satisfaction_scores(tmp_path / "scores", log, np.zeros(len(log.item)), **fields)
    with pytest.raises(UsageError, match=r"--satisfaction=.*: of other events than --data=.* has; give its own"):
        run(log, tmp_path / "workdir", satisfaction=scores)


def test_satisfaction_that_has_learned_from_the_held_out_days(log, tmp_path):
    scores = satisfaction_scores(tmp_path / "scores", log, np.zeros(len(log.item)), protocol="leave_one_out")
    with pytest.raises(UsageError, match=r"--satisfaction=.*: made with .*=leave_one_out, .*; give .*=time") as raised:
        run(log, tmp_path / "workdir", satisfaction=scores)
    assert "\n" not in str(raised.value)


def test_satisfaction_that_is_no_probability(log, tmp_path):
    scores = satisfaction_scores(tmp_path / "scores", log, np.full(len(log.item), 2.0))
    with pytest.raises(DataError, match=r"satisfaction\.npy: not one number between 0 and 1 for each event"):
        run(log, tmp_path / "workdir", satisfaction=scores)


def test_a_checkpoint_of_another_log(log, uninterrupted, tmp_path):
    other = random_timelines.write(tmp_path / "other", vocabulary_hash="other")
    with pytest.raises(UsageError, match="trained on another log than --data="):
        checkpoint.load(uninterrupted, other)


def test_the_same_log_split_elsewhere_is_another_log(log, uninterrupted, tmp_path):
    later = rewritten(log, tmp_path / "later", valid_start=np.minimum(log.valid_start + 1, log.test_start))
    with pytest.raises(UsageError, match=r"holds a run of another config or dataset \(timelines"):
        run(later, uninterrupted)
    with pytest.raises(UsageError, match="trained on another log than --data="):
        checkpoint.load(uninterrupted, later)


def test_a_workdir_of_another_config(log, uninterrupted):
    with pytest.raises(UsageError, match=r"holds a run of another config or dataset \(config\.dim"):
        run(log, uninterrupted, dim=5)
