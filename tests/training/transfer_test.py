"""A batch that travels as one array of bytes arrives as it was, on the devices that it belongs to."""

import os
import subprocess
import sys

import jax
import numpy as np

from training.mesh import make_mesh, shard_batch
from training.transfer import packed, unpacked


def check_that_it_arrives(mesh):
    """Fails where an array, its place or the order of the names is not what `shard_batch` makes of a batch on a CPU."""
    rng, parts = np.random.default_rng(0), mesh.shape["data"]
    batch = {
        "item": rng.integers(-(2**31), 2**31, (6, 5), np.int32),
        "reset": rng.random((6, 5)) < 0.5,
        "kind": rng.integers(-128, 128, (2, 7), np.int8),
        "answer": rng.normal(size=(4, 1, 3)).astype(np.float32),
        "time": np.array([[np.inf], [-0.0]], np.float32),
        "transposed": rng.integers(0, 9, (3, 2)).T,
    }
    whole, layout = packed(batch, parts)
    [whole] = shard_batch({"whole": whole}, mesh).values()
    found, expected = unpacked(whole, layout, mesh), shard_batch(batch, mesh)
    assert list(found) == list(expected)
    for name, array in batch.items():
        assert found[name].sharding.is_equivalent_to(expected[name].sharding, array.ndim), name
        assert found[name].dtype == expected[name].dtype, name
        np.testing.assert_array_equal(np.asarray(found[name]), array)


def test_on_one_device():
    check_that_it_arrives(make_mesh(devices=jax.devices()[:1]))


def on_four_devices():
    """In a process of its own, which has them."""
    check_that_it_arrives(make_mesh(data=2, model=2))


def test_on_four_devices():
    subprocess.run(
        [sys.executable, "-c", "from tests.training.transfer_test import on_four_devices as f; f()"],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"},
        check=True,
    )
