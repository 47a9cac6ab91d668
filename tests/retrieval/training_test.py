"""Whole training runs: killed and resumed, on meshes of eight devices, and with mistakes in the command."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs.retrieval import get_config
from data.events_read import Reader, Reading
from data.loader import PackedBatches
from data.timelines import Timelines
from nn import gru_kernels
from nn.gru import GRU
from nn.softmax import label_margins
from retrieval import checkpoint
from retrieval import run as training
from retrieval.objective import make_loss
from runtime.errors import DataError, UsageError
from tests.helpers.killed_training import kill_at, results
from tests.helpers.plain_optimizer import plain_optimizer
from tests.logs import random_timelines
from tests.nn.softmax_test import KERNELS, kernels
from training.compilation import CONCURRENT_COLLECTIVES, set_cpu_devices
from training.mesh import make_mesh, replicated, shard_batch
from training.names import named_leaves
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.step import create_state, make_train_step

MESHES = ((8, 1), (4, 2), (2, 4), (1, 8))
STEPS = 3


def config_of(**options):
    config = get_config("tiny,dislike_input_and_label")
    config.update({"dim": 6, "hidden": 7, "length": 16, "batch_size": 2, "block_size": 5, "num_epochs": 3})
    config.update({"save_every": 2, "warmup_steps": 2, "patience": 10, "learning_rate": 0.03})
    config.update({"positive": ("long_view", "like"), **options})
    return config


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines")


def run(log, folder, **options):
    return training.train(config_of(**options), data=str(log.path), workdir=str(folder))


@pytest.fixture(scope="module")
def uninterrupted(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "workdir"
    assert run(log, folder).startswith("trained ")
    return folder


def saved(folder, log, *, best):
    shapes = checkpoint.build(config_of(), log).shapes
    params, step = restore_params(folder / CHECKPOINTS, shapes, best=best)
    return {name: np.asarray(leaf).tobytes() for name, leaf in named_leaves(params).items()}, step


def killed(data, folder):
    """What the subprocess of the next test runs: SIGKILL before step 6, when a checkpoint is on disk."""
    kill_at(6, folder)
    training.train(config_of(), data=data, workdir=folder)


def test_killed_and_started_again_is_bit_identical(log, uninterrupted, tmp_path):
    folder = tmp_path / "workdir"
    code = f"from tests.retrieval.training_test import killed as f; f({str(log.path)!r}, {str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (folder / "metrics.json").exists()
    with pytest.raises(UsageError, match="no complete training run here"):
        checkpoint.load(folder, log)
    run(log, folder)
    assert results(folder) == results(uninterrupted)
    assert results(folder)["steps"] > 6
    for best in (True, False):
        assert saved(folder, log, best=best) == saved(uninterrupted, log, best=best)


def test_what_was_trained_is_loaded_and_nothing_is_done_twice(log, uninterrupted):
    retriever = checkpoint.load(uninterrupted, log)
    users = np.arange(log.num_users)
    queries = np.asarray(retriever.encode(log.histories(users, log.test_start, Reader(log.feedback, Reading(16)))))
    dim = retriever.item_vectors().shape[1]
    assert dim > 6  # of the towers alone
    assert queries.shape == (log.num_users, dim)
    assert retriever.item_vectors().shape == (log.num_items + 1, dim)
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    assert run(log, uninterrupted) == f"already complete: {uninterrupted}"
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_a_run_is_repeated_on_the_validation_days_too(log, uninterrupted, tmp_path):
    with pytest.raises(UsageError, match=rf"--refit={tmp_path}: no complete training run here"):
        training.refit_config(str(tmp_path), config_of(), log)
    other = random_timelines.write(tmp_path / "other", lengths=[9] * 9, num_items=log.num_items)
    with pytest.raises(UsageError, match=rf"--refit={uninterrupted}: trained on another log than --data={other.path}"):
        training.refit_config(str(uninterrupted), config_of(), other)
    before = results(uninterrupted)
    config = training.refit_config(str(uninterrupted), get_config("tiny,no_dislike_signal"), log)
    assert tuple(config.train_on) == ("train", "valid")
    assert config.num_epochs == before["best_step"] / before["steps_per_epoch"] <= 3
    assert (config.learning_rate, tuple(config.negative)) == (0.03, ("dislike",))  # of the run, not of the defaults
    training.train(config, data=str(log.path), workdir=str(tmp_path / "final"))
    assert results(tmp_path / "final")["labels_per_epoch"] > before["labels_per_epoch"]
    checkpoint.load(uninterrupted, log, until="valid")
    checkpoint.load(tmp_path / "final", log)
    with pytest.raises(UsageError, match=r"final: has learned from the valid days, .* use --split=test"):
        checkpoint.load(tmp_path / "final", log, until="valid")

    # Items first met on the validation days are told apart by ids of their own, once a model has learned from these.
    known, later = (log.item_counts(days) > 0 for days in (("train",), ("train", "valid")))
    first_met = later & ~known
    assert first_met.any()
    assert not ids_of(uninterrupted, config_of(), log)[~known].any()
    repeated = ids_of(tmp_path / "final", config, log)
    assert repeated[later].any(axis=1).all()
    assert not repeated[~later].any()


def ids_of(folder, config, log):
    """What ids add to the vectors of the trained model's items, [N + 1, D]: zero where an item is its content alone."""
    built = checkpoint.build(config, log)
    model = built.merge(restore_params(folder / CHECKPOINTS, built.shapes)[0])
    vectors = np.asarray(model.items())
    table = model.items.id_embedding
    table[...] = jnp.zeros_like(table[...])
    return vectors - np.asarray(model.items())


def test_training_lowers_the_loss_and_logs_both_terms(uninterrupted):
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    names = {line["name"] for line in lines}
    assert {"train_loss", "train/positive_loss", "train/negative_p", "valid/recall@2"} <= names  # of 20 items, a tenth
    assert {"valid/positive_gradient_norm", "valid/negative_gradient_norm"} <= names
    losses = [line["value"] for line in lines if line["name"] == "train_loss"]
    assert losses[-1] < losses[0]


def test_what_there_is_to_learn_is_learned(tmp_path):
    """Each user meets items of one creator in four alone: about 14 unmet ones of 25, among 90 unmet ones of 100."""
    log = random_timelines.write(
        tmp_path / "timelines", lengths=np.full(60, 25), num_items=100, unseen=8, seed=0, loyal=True
    )
    options = {"negative": (), "batch_size": 4, "num_epochs": 5, "block_size": 50, "save_every": 1000}
    run(log, tmp_path / "run", **options)
    found = results(tmp_path / "run")["valid/recall@10"]
    # Chance finds 10 of 90; who knows the creator finds 10 of 14.
    assert found > 0.4


@pytest.mark.parametrize(
    ("without", "longest_play_ms", "read"),
    [
        ((), 0, ()),  # what likes tell is told
        (("like", "long_view"), 0, ("click",)),
        (("like",), 0, ("long_view",)),
        (("like",), 100_000, ()),  # play times tell a long view
    ],
)
def test_in_a_log_without_likes_its_other_positives_are_read(tmp_path, without, longest_play_ms, read):
    log = random_timelines.write(tmp_path / "log", without=without, longest_play_ms=longest_play_ms)
    asked = config_of(positive=(), input_feedback=("dislike", "like"), forgiving_feedback=("like",))
    config = training.filled_in(asked, log)
    assert config.input_feedback == (*asked.input_feedback, *read)


@pytest.mark.parametrize("there", [True, False])
def test_long_views_take_noes_back_where_the_log_has_them(tmp_path, there):
    log = random_timelines.write(tmp_path / "log", without=() if there else ("long_view",))
    config = training.filled_in(config_of(positive=()), log)
    assert set(config.forgiving_feedback) == {"like", *["long_view"] * there}
    assert ("long_view" in config.input_feedback) == there  # a server of a log without does not have to tell them


def test_a_run_that_diverges_says_where_and_leaves_it_for_whoever_compares(log, tmp_path):
    with pytest.raises(
        DataError, match=r"is (nan|inf|-inf) at step \d+, .* last good checkpoint: .*lower the learning rate"
    ):
        run(log, tmp_path / "run", learning_rate=1e38, warmup_steps=0)
    found = json.loads((tmp_path / "run" / training.DIVERGED).read_text())
    assert 1 < found["step"] <= 4
    # The first step's gradient was finite, and of a loss that pulls: what is kept is what alternatives are compared by.
    assert 0 < found["grad_norm/p50"] <= found["grad_norm/max"] < np.inf
    assert not (tmp_path / "run" / "metrics.json").exists()


def parts(data, mesh):
    """Batches, loss and first state of a run on `mesh`, as retrieval.training puts them together."""
    timelines, config = Timelines.open(data), config_of(batch_size=8, length=8)
    shards, model_shards = mesh.shape["data"], mesh.shape["model"]
    signals = {"positive": config.positive, "negative": config.negative}
    sizes = {"length": config.length, "batch_size": config.batch_size, "num_epochs": STEPS, "num_shards": shards}
    batches = PackedBatches(timelines, **sizes, **signals, seed=0, of_labels={"there": timelines.num_there_at})
    # The same first parameters whatever the tables are rounded up to.
    narrow, model = (checkpoint.build(config, timelines, model_shards=n) for n in (1, model_shards))
    first = jax.device_get(jax.jit(narrow.init)(jax.random.key(0)))
    corpus = {"label_counts": batches.label_counts(), "upload_place": timelines.upload_place}
    padded = {name: np.pad(of, (0, -(timelines.num_items + 1) % model_shards)) for name, of in corpus.items()}
    sharding = mesh if mesh.size > 1 else None
    loss_fn = make_loss(model.merge, config, num_items=timelines.num_items, mesh=sharding, **padded)

    def init(key):
        return jax.tree.map(
            lambda leaf, shape: (
                jnp.pad(leaf, [(0, n - m) for m, n in zip(leaf.shape, shape.shape, strict=True)]) if leaf.ndim else leaf
            ),
            first,
            model.shapes,
        )

    optimizer = plain_optimizer(learning_rate=1e-2, total_steps=STEPS, warmup_steps=1)
    rules = training.RULES if model_shards > 1 else ()
    state = create_state(init, optimizer, key=jax.random.key(0), mesh=mesh, rules=rules)
    return batches, loss_fn, optimizer, state


def trained(data, mesh):
    """Losses of a few steps and the parameters after them, without the rows that fill up the tables."""
    batches, loss_fn, optimizer, state = parts(data, mesh)
    step, losses = make_train_step(loss_fn, optimizer, state), []
    for index in range(STEPS):
        state, metrics = step(state, shard_batch(batches[index % len(batches)], mesh), jax.random.key(0))
        losses.append(float(metrics["loss"]))
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(state.params).items()}
    items = batches.label_counts().shape[0]
    return {"losses": losses, **{n: a[:items] if "id_" in n or "event_" in n else a for n, a in leaves.items()}}


def margins(mesh, block_size):
    """Margins and gradients of a random case of 8 rows and 24 items, some out of the corpus."""
    rng = np.random.default_rng(0)
    queries, table = (3 * rng.normal(size=shape).astype(np.float32) for shape in ((8, 4), (24, 4)))
    bias = np.where(np.arange(24) >= 20, -np.inf, rng.normal(size=24)).astype(np.float32)  # a whole shard of eight
    labels, where = rng.integers(0, 20, 8), np.arange(8) != 5
    weights = rng.normal(size=8).astype(np.float32)
    place, there = rng.permutation(24), rng.integers(10, 25, 8)

    @jax.jit
    def gradients(queries, table, bias):
        def weighted(queries, table, bias):
            options = {"block_size": max(block_size, 0), "item_bias": bias, "where": where, "mesh": mesh}
            options |= {"place": place, "there": there}
            with kernels(block_size == KERNELS):
                found = label_margins(queries, table, labels, **options)
            return jnp.sum(weights * found), found

        return jax.grad(weighted, argnums=(0, 1, 2), has_aux=True)(queries, table, bias)

    found, values = gradients(queries, table, bias)
    names = [f"{name}, {block_size}" for name in ("d_queries", "d_table", "d_bias", "margins")]
    return dict(zip(names, (*found, values), strict=True))


def all_margins(mesh):
    """With all logits kept, in blocks, and by the kernels for GPUs."""
    return {**margins(mesh, 0), **margins(mesh, 2), **margins(mesh, KERNELS)}


def gru_gradients(mesh):
    """Gradients of a GRU with the kernels for GPUs, of 16 rows split over the mesh."""
    gru, rng = GRU(3, 4, rngs=nnx.Rngs(0)), np.random.default_rng(0)
    graph, params = nnx.split(gru)
    batch = {"inputs": rng.normal(size=(16, 5, 3)).astype(np.float32), "where": rng.random((16, 5)) < 0.8}
    batch["reset"] = rng.random((16, 5)) < 0.2
    if mesh is not None:
        batch, params = shard_batch(batch, mesh), jax.device_put(params, replicated(mesh))

    @jax.jit
    @jax.grad
    def gradients(params, batch):
        return (nnx.merge(graph, params)(batch["inputs"], where=batch["where"], reset=batch["reset"]) ** 2).sum()

    with mock.patch.multiple(gru_kernels, suit=lambda hidden: True, _ROWS=2):
        return {f"gru {name}": array for name, array in named_leaves(gradients(params, batch)).items()}


def all_gathers(data, mesh):
    """How many there are in a gradient whose rows are split: devices have nothing but sums to hand each other."""
    batches, loss_fn, _, state = parts(data, mesh)
    gradient = jax.jit(jax.grad(lambda params, batch: loss_fn(params, batch, jax.random.key(0))[0]))
    return gradient.lower(state.params, shard_batch(batches[0], mesh)).compile().as_text().count(" all-gather")


def on_eight_devices(data, file):
    """What the subprocess of the next test runs."""
    arrays = {"all-gathers": all_gathers(data, make_mesh(data=8, model=1))}
    for shape in MESHES:
        mesh = make_mesh(data=shape[0], model=shape[1])
        for name, array in {**all_margins(mesh), **gru_gradients(mesh), **trained(data, mesh)}.items():
            arrays[f"{shape}:{name}"] = array
    np.savez(file, **arrays)


@pytest.mark.long
def test_eight_devices_agree_with_one(log, tmp_path):
    file = tmp_path / "arrays.npz"
    code = f"from tests.retrieval.training_test import on_eight_devices as f; f({str(log.path)!r}, {str(file)!r})"
    # Optimised half as much, it compiles twice as fast.
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    flags += " --xla_llvm_disable_expensive_passes=true"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "NPROC": "256"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")  # for other threads than ours
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = np.load(file)
    one = make_mesh(devices=jax.devices()[:1])
    expected = {**all_margins(None), **gru_gradients(None), **trained(log.path, one)}
    assert found["all-gathers"] == 0
    assert len(found) == 1 + len(MESHES) * len(expected)
    for shape, name in itertools.product(MESHES, expected):
        array, message = found[f"{shape}:{name}"], f"{shape} {name}"
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-5, err_msg=message)


def count_collectives(data):
    """What the subprocess of the next test runs."""
    set_cpu_devices(2)
    mesh = make_mesh(data=2)
    batches, loss_fn, optimizer, state = parts(data, mesh)
    step = make_train_step(loss_fn, optimizer, state)
    lowered = step.lower(state, shard_batch(batches[0], mesh), jax.random.key(0))  # type: ignore[attr-defined]
    program = lowered.compile().as_text()
    collectives = re.findall(r" (all-reduce|all-gather|all-to-all|collective-permute)\((.*)", program)
    print("collectives:", sum("replica_groups={{0},{1}}" not in rest for _, rest in collectives))


def test_two_cpu_devices_have_threads_enough_for_their_collectives(log):
    code = f"from tests.retrieval.training_test import count_collectives as f; f({str(log.path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split("collectives:")[1])
    assert 1 <= count <= CONCURRENT_COLLECTIVES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": ("long_view", "love")}, r"--config\.positive: no feedback 'love'; one of click, "),
        ({"negative": ("hate",)}, r"--config\.negative: no feedback 'hate'; one of click, "),
        ({"input_feedback": ("hate",)}, r"--config\.input_feedback: no feedback 'hate'; one of click, "),
        ({"mesh": {"data": 3, "model": 1}}, r"--config\.mesh: a mesh of 3 x 1 .* does not fit 1 device"),
        ({"mesh": {"data": -1, "model": 0}}, r"--config\.mesh: a mesh of 1 x 0 "),
        ({"softmax": "full"}, r"--config\.softmax=full: one of exact, "),
        ({"train_on": ("test",)}, r"--config\.train_on=\('test',\): \('train',\) or \('train', 'valid'\)"),
        ({"block_size": -1}, r"--config\.block_size=-1: must be a whole number, 0 or more"),
        ({"length": 1, "memory_size": 1}, r"--config\.length=1: a window needs at least 2"),
        ({"length": 4}, r"--config\.memory_size=8: from 1 to --config\.length=4"),
    ],
)
def test_a_mistake_in_the_config(log, tmp_path, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        run(log, tmp_path / "workdir", **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "workdir" / CHECKPOINTS).exists()


def test_workdir_of_another_config(log, uninterrupted):
    with pytest.raises(UsageError, match=r"another config or dataset \(config\.learning_rate: 0\.03 there, 0\.1 now\)"):
        run(log, uninterrupted, learning_rate=0.1)


def test_workdir_and_checkpoint_of_another_dataset(uninterrupted, tmp_path):
    other = random_timelines.write(tmp_path / "timelines", vocabulary_hash="y")
    with pytest.raises(UsageError, match=r"another config or dataset \(log: '"):
        run(other, uninterrupted)
    with pytest.raises(UsageError, match=rf"--checkpoint={uninterrupted}: trained on other items"):
        checkpoint.load(uninterrupted, other)


def test_a_checkpoint_is_not_asked_about_another_split_of_its_log(uninterrupted, tmp_path):
    """Whose test days it may have learned from."""
    split_elsewhere = random_timelines.write(tmp_path / "timelines", seed=1)
    with pytest.raises(UsageError, match=rf"--checkpoint={uninterrupted}: .*, or another split of it; give its own"):
        checkpoint.load(uninterrupted, split_elsewhere)


def test_one_item_only(tmp_path):
    log = random_timelines.write(tmp_path / "timelines", num_items=1, unseen=0)
    with pytest.raises(DataError, match=r"timelines: 1 item\(s\); a recommender needs at least 2"):
        run(log, tmp_path / "workdir")


def test_no_held_out_positive(log, tmp_path):
    with pytest.raises(DataError, match=r"no follow of an unmet item in the valid split; .*--config\.valid_start"):
        run(log, tmp_path / "workdir", positive=("follow",))


def test_the_binary_reports_a_mistake_in_one_line(log, tmp_path):
    command = [sys.executable, "-m", "retrieval.train", "--config=configs/retrieval.py:tiny", f"--data={log.path}"]
    command.append("--config.cpu_devices=2")
    command += [f"--workdir={tmp_path / 'workdir'}", "--config.mesh.data=3", "--config.mesh.model=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "--config.mesh: a mesh of 3 x 1 (data x model) does not fit 2 devices" in lines[0]
