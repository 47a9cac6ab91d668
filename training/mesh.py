"""The device mesh ('data', 'model'): batches are split over `data`, large tables over `model`, all else is copied.

Either axis may reach over several hosts. A host loads the parts of a batch that its own devices hold: all of it, where
a row of the mesh reaches over all hosts.

One small table of (regular expression on a parameter's name, PartitionSpec) says which parameter goes where:

    RULES = ((r"embedding$", PartitionSpec("model", None)),)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runtime.errors import UsageError
from training.names import leaf_name

Rules = Sequence[tuple[str, PartitionSpec]]


def make_mesh(*, data: int = -1, model: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of `data` x `model` devices; -1 takes what is left. Errors: ValueError where the devices do not fit.

    By default of all devices, host by host, so that the parts of a batch that a host loads lie side by side.
    """
    if devices is None:
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    if data == -1:
        data = len(devices) // max(model, 1)
    if model == -1:
        model = len(devices) // max(data, 1)
    if data * model != len(devices):
        raise ValueError(f"a mesh of {data} x {model} (data x model) does not fit {len(devices)} devices")
    return Mesh(np.asarray(devices).reshape(data, model), ("data", "model"))


def mesh_of(config: Any) -> Mesh:
    """The mesh that `config.mesh` asks for. Errors: UsageError where the devices do not fit it."""
    try:
        return make_mesh(data=config.mesh.data, model=config.mesh.model)
    except ValueError as error:
        raise UsageError(f"--config.mesh: {error}") from None


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(array: np.ndarray, mesh: Mesh) -> jax.Array:
    """A host array, the same on every host, as a global one with a copy on each device."""
    return jax.make_array_from_callback(array.shape, replicated(mesh), lambda index: array[index])


def local_copy(tree: Any) -> Any:
    """Arrays with a copy on each device -> that of this host's first device, to compute with on this host alone."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def local_parts(mesh: Mesh) -> slice:
    """Which of the `mesh.shape["data"]` parts of a batch this host's devices hold.

    Errors: ValueError where they do not lie side by side, as they do in a mesh of `make_mesh`.
    """
    here = np.asarray([[device.process_index == jax.process_index() for device in row] for row in mesh.devices])
    parts = np.flatnonzero(here.any(axis=1))
    if len(parts) != parts[-1] - parts[0] + 1:
        raise ValueError(f"this host's devices hold the parts {parts.tolist()} of a batch, which are not side by side")
    return slice(int(parts[0]), int(parts[-1]) + 1)


def shard_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> Mapping[str, jax.Array | np.ndarray]:
    """The rows of `local_parts` on each host -> global arrays with the rows split over `data`.

    On one device the batch as it is: a compiled function puts NumPy's arrays there itself, and takes less of the host's
    time for it than one transfer after the other does.

    Errors: ValueError where the parts are not all of one size.
    """
    if mesh.devices.size == 1:
        return batch
    parts = local_parts(mesh)

    def whole(name: str, array: np.ndarray) -> jax.Array:
        each, left = divmod(array.shape[0], parts.stop - parts.start)
        if left:
            raise ValueError(
                f"batch['{name}'] has {array.shape[0]} rows on this host: not a multiple of its "
                f"{parts.stop - parts.start} parts of the mesh's data axis; choose another batch size"
            )

        def local(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            start, stop, _ = index[0].indices(each * mesh.shape["data"])
            return array[start - parts.start * each : stop - parts.start * each]

        sharding = NamedSharding(mesh, PartitionSpec("data"))
        return jax.make_array_from_callback((each * mesh.shape["data"], *array.shape[1:]), sharding, local)

    return {name: whole(name, array) for name, array in batch.items()}


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


def _fitting(sharding: NamedSharding, name: str, shape: tuple[int, ...]) -> NamedSharding:
    try:
        sharding.shard_shape(shape)
    except ValueError as error:
        raise ValueError(f"parameter {name} {shape} cannot be split as {sharding.spec}: {error}") from None
    return sharding
