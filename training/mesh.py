"""The device mesh ('data', 'model'): batches are split over `data`, large tables over `model`, all else is copied.

One small table of (regular expression on a parameter's name, PartitionSpec) says which parameter goes where:

    RULES = ((r"embedding$", PartitionSpec("model", None)),)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from training.names import leaf_name

Rules = Sequence[tuple[str, PartitionSpec]]


def make_mesh(*, data: int = -1, model: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of `data` x `model` devices; -1 takes what is left. Errors: ValueError where the devices do not fit."""
    devices = jax.devices() if devices is None else devices
    if data == -1:
        data = len(devices) // max(model, 1)
    if model == -1:
        model = len(devices) // max(data, 1)
    if data * model != len(devices):
        raise ValueError(f"a mesh of {data} x {model} (data x model) does not fit {len(devices)} devices")
    return Mesh(np.asarray(devices).reshape(data, model), ("data", "model"))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def shard_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Host arrays [B, ...] -> global arrays [B * number of hosts, ...] with the rows split over `data`.

    Errors: ValueError where the rows of the global batch do not divide by the size of `data`.
    """
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    for name, array in batch.items():
        if array.shape[0] * jax.process_count() % mesh.shape["data"]:
            raise ValueError(
                f"batch['{name}'] has {array.shape[0]} rows on each of {jax.process_count()} hosts: "
                f"not a multiple of the mesh's data axis ({mesh.shape['data']}); choose another batch size"
            )
    return {name: jax.make_array_from_process_local_data(sharding, array) for name, array in batch.items()}


def parameter_shardings(mesh: Mesh, params: Any, rules: Rules = ()) -> Any:
    """The sharding of each parameter: that of the first rule whose expression is found in its name, else a copy.

    Errors: ValueError where a dimension does not divide by its mesh axis (pad the table), or a rule matches nothing.
    """
    unused = {expression for expression, _ in rules}

    def sharding(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = leaf_name(path)
        for expression, spec in rules:
            if re.search(expression, name):
                unused.discard(expression)
                return _fitting(NamedSharding(mesh, spec), name, leaf.shape)
        return replicated(mesh)

    shardings = jax.tree_util.tree_map_with_path(sharding, params)
    if unused:
        raise ValueError(f"sharding rules that match no parameter: {', '.join(sorted(unused))}")
    return shardings


def initialize_distributed(address: str, num_processes: int, process_id: int, *, heartbeat_seconds: int = 10) -> None:
    """Joins `num_processes` hosts into one mesh's worth of devices; call it before anything else touches JAX.

    `address` is host:port of process 0. A lost process ends the others after the heartbeat. CPU hosts talk over gloo.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes, process_id, heartbeat_timeout_seconds=heartbeat_seconds)


def _fitting(sharding: NamedSharding, name: str, shape: tuple[int, ...]) -> NamedSharding:
    try:
        sharding.shard_shape(shape)
    except ValueError as error:
        raise ValueError(f"parameter {name} {shape} cannot be split as {sharding.spec}: {error}") from None
    return sharding
