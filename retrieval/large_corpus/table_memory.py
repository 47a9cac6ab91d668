"""Whether the table of ids of a run fits the memory of its devices, told before anything is allocated."""

import os

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from runtime.errors import UsageError

_FLOAT = 4  # bytes


def table_bytes(config: ConfigDict, num_items: int, *, model_shards: int = 1) -> int:
    """Bytes a device needs for the table of ids of a run and what a step makes of it.

    With all rows the table, its gradient and the two moments of Adam, and the item vectors with their gradient, all
    [N, D]. With the touched rows alone the table and the sum that row-wise Adagrad has of each row. A table of hashed
    ids has --config.id_rows rows.
    """
    items, rows = (-(-count // model_shards) for count in (num_items + 1, config.id_rows or num_items + 1))
    if config.touched_rows:
        return rows * (config.dim + 1) * _FLOAT
    return (rows * 4 + items * 2) * config.dim * _FLOAT


def device_bytes() -> int:
    """Bytes of memory a device of this host has: its own, or of a CPU its share of the machine's."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return statistics.get("bytes_limit", machine // jax.local_device_count())


def check_fits(config: ConfigDict, num_items: int, mesh: Mesh, *, available: int | None = None) -> None:
    """Errors: UsageError, with what would help, where `table_bytes` is more than a device has, `available`."""
    available = device_bytes() if available is None else available
    shards = mesh.shape["model"]
    needed = table_bytes(config, num_items, model_shards=shards)
    if needed <= available:
        return
    remedies = [f"a smaller --config.dim than {config.dim}", f"more devices than --config.mesh.model={shards}"]
    if not config.touched_rows:
        small = table_bytes(ConfigDict({**config.to_dict(), "touched_rows": True}), num_items, model_shards=shards)
        remedies.append(f"--config.touched_rows=True with a sampled --config.softmax, {_in_words(small)}")
    raise UsageError(
        f"--config.dim={config.dim}: what is learned of {num_items:,} items takes {_in_words(needed)} on a device that "
        f"has {_in_words(available)}; {', or '.join(remedies)}"
    )


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
