"""Rows that a batch touches are trained as a small table would be; the others keep their bits, on every mesh."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from tests.helpers.plain_optimizer import plain_optimizer
from training.mesh import make_mesh, shard_batch
from training.row_tables import RowTables
from training.rowwise_adagrad import scale_by_rowwise_adagrad
from training.saving.checkpoints import Checkpoints
from training.step import create_state, make_train_step

ROWS, D, RATE, TABLE_RATE, STEPS = 12, 3, 0.1, 0.5, 4
RULES = ((r"table", PartitionSpec("model", None)),)
MESHES = ((1, 2), (2, 1), (2, 2))


def first(key):
    """Tables whose rows are all different, and a matrix."""
    names = ("table", "kernel")
    return {
        name: jax.random.normal(k, (ROWS if name == "table" else D, D)) for name, k in zip(names, jax.random.split(key))
    }


def loss_of_rows(vectors, kernel, target):
    """Squares of what the kernel makes of the vectors [n, D], against targets [n]."""
    return jnp.mean(jnp.square((vectors @ kernel).sum(axis=1) - target))


def dense_loss(params, batch, key):
    return loss_of_rows(params["table"][batch["item"]], params["kernel"], batch["target"]), {}


def row_loss(params, batch, key):
    return loss_of_rows(params["table"][batch["place"]], params["kernel"], batch["target"]), {}


def batch_of(step):
    """Eight items, some twice; the rows that they touch, each once, and two numbers of no row."""
    rng = np.random.default_rng(step)
    item = rng.choice([1, 2, 5, 7, 11], 8)
    touched = np.unique(item)
    row = np.concatenate([touched, ROWS + np.arange(8 - len(touched))]).astype(np.int32)
    return {
        "item": item.astype(np.int32),
        "place": np.searchsorted(touched, item).astype(np.int32),
        "row": row,
        "target": rng.normal(size=8).astype(np.float32),
    }


def optimizer_of():
    return plain_optimizer(learning_rate=RATE, total_steps=STEPS, clip_norm=0.7, rowwise=("table", TABLE_RATE))


def trained(mesh, *, by_rows, optimizer=None, steps=STEPS):
    """The state after some steps, and the norms of their gradients."""
    optimizer, key = optimizer or optimizer_of(), jax.random.key(0)
    state = create_state(first, optimizer, key=key, mesh=mesh, rules=RULES)
    rows = RowTables((("table", "row", True),), mesh) if by_rows else None
    step = make_train_step(row_loss if by_rows else dense_loss, optimizer, state, rows=rows)
    norms = []
    for number in range(steps):
        state, metrics = step(state, shard_batch(batch_of(number), mesh), key)
        norms.append(float(metrics["grad_norm"]))
    assert step._cache_size() == 1  # type: ignore[attr-defined]
    return state, norms


def sums_of(state):
    """The row-wise sums of squares of the table, [rows, 1]."""
    return np.asarray(state.opt_state[1].inner_states["rowwise"].inner_state[0].sums["table"])


@pytest.fixture(scope="module")
def one():
    return make_mesh(devices=jax.devices()[:1])


def test_rowwise_adagrad_is_its_formula():
    optimizer = scale_by_rowwise_adagrad()
    state = optimizer.init({"t": jnp.zeros((2, 2))})
    _, state = optimizer.update({"t": jnp.array([[3.0, 1.0], [0.0, 0.0]])}, state)
    np.testing.assert_allclose(state.sums["t"], [[(9 + 1) / 2], [0]])
    found, state = optimizer.update({"t": jnp.array([[1.0, 1.0], [0.0, 4.0]])}, state)
    np.testing.assert_allclose(state.sums["t"], [[5 + 1], [16 / 2]])
    np.testing.assert_allclose(found["t"], [[1 / 6**0.5, 1 / 6**0.5], [0, 4 / 8**0.5]], rtol=1e-6)


def test_the_step_on_touched_rows_is_the_step_on_all_of_them(one):
    (dense, dense_norms), (rows, row_norms) = trained(one, by_rows=False), trained(one, by_rows=True)
    np.testing.assert_allclose(row_norms, dense_norms, rtol=1e-6)
    for name in ("table", "kernel"):
        np.testing.assert_allclose(rows.params[name], dense.params[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums_of(rows), sums_of(dense), rtol=1e-5)


def test_touched_rows_follow_numpy_and_the_others_keep_their_bits(one):
    state, _ = trained(one, by_rows=True, steps=2)
    table, kernel = (np.float64(jax.jit(first)(jax.random.key(0))[name]) for name in ("table", "kernel"))
    sums, touched = np.zeros((ROWS, 1)), set()
    kernel_of = trained(one, by_rows=True, steps=1)[0].params["kernel"]
    for number, w in enumerate((kernel, np.float64(kernel_of))):
        batch = batch_of(number)
        touched |= set(batch["item"].tolist())
        error = table[batch["item"]] @ w.sum(axis=1) - batch["target"]  # [8]
        gradient = np.zeros((ROWS, D))
        np.add.at(gradient, batch["item"], 2 / 8 * error[:, None] * w.sum(axis=1))
        of_kernel = (2 / 8 * error @ table[batch["item"]])[:, None] * np.ones((1, D))
        norm = np.sqrt(np.square(gradient).sum() + np.square(of_kernel).sum())
        gradient *= min(1, 0.7 / norm)
        sums += np.square(gradient).mean(axis=1, keepdims=True)
        schedule = 0.5 * (1 + np.cos(np.pi * number / STEPS))
        table -= TABLE_RATE * schedule * gradient / (np.sqrt(sums) + 1e-8)
    np.testing.assert_allclose(state.params["table"], table, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums_of(state), sums, rtol=1e-4)
    others = np.setdiff1d(np.arange(ROWS), list(touched))
    assert 0 < len(others) < ROWS
    before = np.asarray(jax.jit(first)(jax.random.key(0))["table"])
    np.testing.assert_array_equal(np.asarray(state.params["table"])[others], before[others])
    np.testing.assert_array_equal(sums_of(state)[others], 0.0)


def test_moments_of_rows_and_decay_are_those_of_touched_rows(one):
    """Adam on the rows alone: lazy Adam. A row that is not touched has no moments, and does not decay."""
    optimizer = plain_optimizer(learning_rate=RATE, total_steps=1, weight_decay=0.2)
    before = np.asarray(jax.jit(first)(jax.random.key(0))["table"])
    (dense, _), (rows, _) = (trained(one, by_rows=by, optimizer=optimizer, steps=1) for by in (False, True))
    touched = np.unique(batch_of(0)["item"])
    others = np.setdiff1d(np.arange(ROWS), touched)
    np.testing.assert_allclose(rows.params["table"][touched], dense.params["table"][touched], rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(rows.params["table"])[others], before[others])
    np.testing.assert_allclose(dense.params["table"][others], before[others] * (1 - RATE * 0.2), rtol=1e-6)
    np.testing.assert_array_equal(rows.opt_state[1].mu["table"][others], 0.0)


def test_sums_of_rows_are_saved_and_go_on(one, tmp_path):
    whole, _ = trained(one, by_rows=True)
    optimizer, key = optimizer_of(), jax.random.key(0)
    half, _ = trained(one, by_rows=True, steps=2)
    with Checkpoints(tmp_path, fingerprint={}) as checkpoints:
        checkpoints.save(2, half, None)
        state, _, at = checkpoints.restore_latest(half)
    step = make_train_step(row_loss, optimizer, state, rows=RowTables((("table", "row", True),), one))
    for number in range(at, STEPS):
        state, _ = step(state, shard_batch(batch_of(number), one), key)
    for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_no_table_is_copied(one):
    rows = 100_000
    optimizer, key = optimizer_of(), jax.random.key(0)
    state = create_state(
        lambda key: {"table": jnp.ones((rows, D)), "kernel": jnp.ones((D, D))}, optimizer, key=key, mesh=one
    )
    step = make_train_step(row_loss, optimizer, state, rows=RowTables((("table", "row", True),), one))
    program = step.lower(state, shard_batch(batch_of(0), one), key).compile()  # type: ignore[attr-defined]
    memory = program.memory_analysis()
    assert memory.alias_size_in_bytes >= rows * (D + 1) * 4  # the table and its sums are written where they lie
    assert memory.temp_size_in_bytes < rows * D * 4 / 10


def on_four_devices(file):
    """What the subprocess of the next test runs."""
    arrays = {}
    for data, model in MESHES:
        mesh = make_mesh(data=data, model=model, devices=jax.devices()[: data * model])
        state, _ = trained(mesh, by_rows=True)
        shape = state.params["table"].addressable_shards[0].data.shape
        assert shape == (ROWS // model, D), shape
        arrays[f"{data}x{model}:table"] = np.asarray(state.params["table"])
        arrays[f"{data}x{model}:sums"] = sums_of(state)
    np.savez(file, **arrays)


def test_every_mesh_agrees_with_one_device(one, tmp_path):
    file = tmp_path / "arrays.npz"
    code = f"from tests.training.row_tables_test import on_four_devices as f; f({str(file)!r})"
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"  # compiles twice as fast
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected, _ = trained(one, by_rows=True)
    found = np.load(file)
    for data, model in MESHES:
        np.testing.assert_allclose(found[f"{data}x{model}:table"], expected.params["table"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[f"{data}x{model}:sums"], sums_of(expected), rtol=1e-5)


def test_optimizers_state_lies_where_its_table_lies(one):
    state = create_state(first, optax.adam(1.0), key=jax.random.key(0), mesh=one, rules=RULES)
    assert state.opt_state[0].mu["table"].sharding.spec == PartitionSpec("model", None)
