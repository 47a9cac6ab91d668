"""Checkpoints that two hosts write and read: where one of them finds a step damaged, both go on from the one before."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from tests.helpers import several_hosts
from training.distributed import watch
from training.mesh import make_mesh
from training.saving.checkpoints import Checkpoints, restore_params
from training.step import TrainState

WAYS = ["record", "values", "other values"]


def state_of(step):
    """A table of which each host has a half, and a vector that both have."""
    mesh = make_mesh()

    def placed(values, spec):
        return jax.make_array_from_callback(values.shape, NamedSharding(mesh, spec), lambda index: values[index])

    table = placed(np.arange(24, dtype=np.float32).reshape(8, 3) + step, PartitionSpec("data"))
    bias = placed(np.full(3, step, np.float32), PartitionSpec())
    return TrainState(placed(np.int32(step), PartitionSpec()), {"table": table, "bias": bias}, {})


def open_run(folder):
    return Checkpoints(folder, fingerprint={})


def damage(way):
    """From now on this process cannot read a part of step 2, or reads something else, as a bad disk or share may."""
    restore = ocp.CompositeCheckpointHandler.restore

    def damaged(self, directory, args):
        if directory.name == "2" and ("record" in args.keys()) == (way == "record"):  # noqa: SIM118 (no mapping)
            if way != "other values":
                raise OSError(5, "Input/output error")
            items = restore(self, directory, args)
            bias = items["params"]["params/bias"]
            items["params"]["params/bias"] = jax.make_array_from_callback(
                bias.shape, bias.sharding, lambda index: np.zeros(3, np.float32)[index]
            )
            return items
        return restore(self, directory, args)

    ocp.CompositeCheckpointHandler.restore = damaged


def restored(way, folder):
    """What both processes run: saves two steps, of which the second process then cannot use the newer one."""
    with watch.watched():
        with open_run(folder) as checkpoints:
            for step in (1, 2):
                checkpoints.save(step, state_of(step), {"next_index": step}, score=step)
        if jax.process_index() == 1:
            damage(way)
        target = state_of(0)
        params, of_params = restore_params(folder, target.params)
        with open_run(folder) as checkpoints:
            state, position, step = checkpoints.restore_latest(target)
        with open_run(folder) as checkpoints:
            again = checkpoints.restore_latest(target)[2]
    same = jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), state, state_of(step))
    print(of_params, float(params["bias"][0]), step, position, all(jax.tree.leaves(same)), again)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_one_host_cannot_use_is_used_by_none(tmp_path, way):
    folder = tmp_path / "run"
    ended = several_hosts.run(
        f"from tests.training.shared_checkpoints_test import restored; restored({way!r}, {str(folder)!r})", timeout=120
    )
    told = [(one.status, *one.stdout.splitlines()[-1:]) for one in ended]
    assert told == [(0, "1 1.0 1 {'next_index': 1} True 1")] * 2, ended
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["1", "damaged-2"]
    first, second = (
        "\n".join(line for line in one.stderr.splitlines() if "step 2 is not used" in line) for one in ended
    )
    assert "process 1 has found it damaged, and says how" in first
    assert ("its digest differs" if way == "other values" else "Input/output error") in second
