"""One jitted step: its arithmetic, NNX states, and the same numbers on eight devices as on one."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from training.mesh import local_parts, make_mesh, parameter_shardings, shard_batch
from training.saving.checkpoints import Checkpoints
from training.step import create_state, make_train_step

RULES = ((r"embedding$", PartitionSpec("model", None)),)


def squares(params, batch, key):
    loss = jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)
    return loss, {"labels": jnp.float32(batch["x"].shape[0]), "draw": jax.random.uniform(key)}


def test_step_is_gradient_descent_and_keys_are_folded_with_the_step():
    mesh, optimizer, key = make_mesh(devices=jax.devices()[:1]), optax.sgd(0.5), jax.random.key(7)
    state = create_state(lambda key: {"w": jnp.zeros(2)}, optimizer, key=key, mesh=mesh)
    step = make_train_step(squares, optimizer, state)
    batch = shard_batch({"x": np.array([[1.0, 2.0]], np.float32), "y": np.array([3.0], np.float32)}, mesh)
    state, metrics = step(state, batch, key)
    # loss = (0 - 3)^2; gradient = 2 * (0 - 3) * x = (-6, -12); w = 0 + 0.5 * (6, 12)
    assert metrics["loss"] == 9.0
    np.testing.assert_allclose(metrics["grad_norm"], np.sqrt(6.0**2 + 12.0**2), rtol=1e-6)
    np.testing.assert_allclose(state.params["w"], [3.0, 6.0])
    assert metrics["draw"] == jax.random.uniform(jax.random.fold_in(key, 0))
    state, metrics = step(state, batch, key)
    assert metrics["draw"] == jax.random.uniform(jax.random.fold_in(key, 1))
    assert state.step == 2
    assert step._cache_size() == 1  # type: ignore[attr-defined]


def test_initial_values_of_weak_type_do_not_compile_the_second_step_again():
    mesh, optimizer, key = make_mesh(devices=jax.devices()[:1]), optax.sgd(0.5), jax.random.key(7)
    state = create_state(lambda key: {"w": jnp.full(2, 0.0)}, optimizer, key=key, mesh=mesh)
    assert jnp.full(2, 0.0).weak_type
    assert not state.params["w"].weak_type
    step = make_train_step(squares, optimizer, state)
    batch = shard_batch({"x": np.array([[1.0, 2.0]], np.float32), "y": np.array([3.0], np.float32)}, mesh)
    for _ in range(2):
        state, _ = step(state, batch, key)
    assert step._cache_size() == 1  # type: ignore[attr-defined]


class Tower(nnx.Module):
    """An embedding and a layer: enough to have a table to split and an NNX state to carry."""

    def __init__(self, rngs: nnx.Rngs):
        self.items = nnx.Embed(16, 8, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs)])

    def __call__(self, ids):
        return self.layers[0](self.items(ids)) @ self.items.embedding[...].T


def train_tower(mesh, rules):
    """Losses and final embedding of ten Adam steps; the parameters are an nnx.State."""
    graph = nnx.graphdef(nnx.eval_shape(lambda: Tower(nnx.Rngs(0))))
    key, optimizer = jax.random.key(0), optax.adam(1e-2)
    state = create_state(lambda key: nnx.state(Tower(nnx.Rngs(key))), optimizer, key=key, mesh=mesh, rules=rules)

    def loss_fn(params, batch, key):
        logits = nnx.merge(graph, params)(batch["item"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), {}

    step = make_train_step(loss_fn, optimizer, state)
    rng, losses = np.random.default_rng(0), []
    for _ in range(10):
        batch = {name: rng.integers(0, 16, 8).astype(np.int32) for name in ("item", "label")}
        state, metrics = step(state, shard_batch(batch, mesh), key)
        losses.append(float(metrics["loss"]))
    assert step._cache_size() == 1  # type: ignore[attr-defined]
    return state, losses


def on_eight_devices(folder):
    """What the subprocess of the next test runs: trains and saves on a 4 x 2 mesh."""
    mesh = make_mesh(data=4, model=2)
    state, losses = train_tower(mesh, RULES)
    table = state.params["items"]["embedding"][...]
    moment = state.opt_state[0].mu["items"]["embedding"][...]
    shards = [array.addressable_shards[0].data.shape for array in (table, moment)]
    with Checkpoints(folder, fingerprint={}) as checkpoints:
        checkpoints.save(10, state, None)
    print(json.dumps({"losses": losses, "table": np.asarray(table).tolist(), "shards": shards}))


def test_eight_devices_agree_with_one_and_their_checkpoint_restores_on_one(tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.training.step_test import on_eight_devices as f; f({str(tmp_path)!r})"],
        env={**os.environ, **flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    eight = json.loads(done.stdout)
    state, losses = train_tower(make_mesh(devices=jax.devices()[:1]), RULES)
    np.testing.assert_allclose(eight["losses"], losses, atol=1e-5)
    np.testing.assert_allclose(eight["table"], state.params["items"]["embedding"][...], atol=1e-5)
    assert eight["shards"] == [[8, 8], [8, 8]]  # 16 rows over 2 devices of `model`, the moments like the table

    with Checkpoints(tmp_path, fingerprint={}) as checkpoints:
        restored, _, step = checkpoints.restore_latest(state)
    assert step == 10
    np.testing.assert_array_equal(restored.params["items"]["embedding"][...], np.float32(eight["table"]))


def test_mesh_that_does_not_fit():
    with pytest.raises(ValueError, match="3 x 1"):
        make_mesh(data=3, devices=jax.devices()[:1])


def mesh_of_hosts(hosts):
    """What stands in for a mesh whose devices, [data, model], are on these hosts; this one is host 0."""
    devices = np.vectorize(lambda host: SimpleNamespace(process_index=host), otypes=[object])(np.asarray(hosts))
    return SimpleNamespace(devices=devices, shape=dict(zip(("data", "model"), devices.shape, strict=True)))


def test_batch_that_does_not_divide():
    with pytest.raises(ValueError, match="6 rows on this host: not a multiple of its 4 parts"):
        shard_batch({"x": np.zeros((6, 2))}, mesh_of_hosts([[0], [0], [0], [0]]))


@pytest.mark.parametrize(
    ("hosts", "parts"),
    [
        ([[0], [0], [1], [1]], (0, 2)),  # the data axis reaches over two hosts
        ([[0, 0, 1, 1]], (0, 1)),  # the model axis does: each host loads all rows
        ([[1, 1, 0], [0, 2, 2]], (0, 2)),  # both, three hosts of two devices: the one in the middle holds two parts
    ],
)
def test_a_host_loads_the_parts_of_a_batch_that_its_devices_hold(hosts, parts):
    assert local_parts(mesh_of_hosts(hosts)) == slice(*parts)


def test_parts_that_are_not_side_by_side():
    with pytest.raises(ValueError, match=r"parts \[0, 2\] of a batch, which are not side by side"):
        local_parts(mesh_of_hosts([[0], [1], [0]]))


def test_parameter_that_does_not_divide():
    mesh = jax.sharding.AbstractMesh((1, 4), ("data", "model"))
    with pytest.raises(ValueError, match=r"parameter items/embedding \(6, 2\) cannot be split"):
        parameter_shardings(mesh, {"items": {"embedding": jnp.zeros((6, 2))}}, RULES)


def test_rule_that_matches_nothing():
    with pytest.raises(ValueError, match="embeding"):
        parameter_shardings(make_mesh(), {"embedding": jnp.zeros((4, 2))}, ((r"embeding$", PartitionSpec("model")),))
