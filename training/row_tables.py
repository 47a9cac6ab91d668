"""Tables of which a step touches some rows: these are taken out, trained as a small table, and put back.

A batch names the rows by number, each once. What is done to the small table (loss, gradient, any optimizer whose state
has a row for each row of the table) is done to the touched rows and costs what they cost; all others keep their bits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from training.names import leaf_name

_MODEL = "model"  # mesh axis over which the rows of the tables are split


class RowTables:
    """Which leaves are tables, and where a batch says which of their rows it touches.

    Attributes:
      rows_of: (regular expression on a leaf's name, name of the batch's array of row numbers, whether the table is
        split): the first expression that is found in the name of a parameter, or of its state in an optimizer, makes
        that a table, and the array numbers its touched rows. Numbers of no row, at or above the table's length, fill
        up.
      mesh: over whose axis `model` tables are split; all others are copied.
    """

    def __init__(self, rows_of: Sequence[tuple[str, str, bool]], mesh: Mesh):
        self.rows_of, self.mesh = tuple(rows_of), mesh

    def take(self, tree: Any, batch: Mapping[str, jax.Array]) -> Any:
        """The tree with the touched rows [R, ...] in place of each table; rows that only fill up are zero."""

        def of(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
            table = self._table(path, batch)
            return leaf if table is None else _taken(leaf, *table)

        return jax.tree_util.tree_map_with_path(of, tree)

    def put(self, tree: Any, part: Any, batch: Mapping[str, jax.Array]) -> Any:
        """The tree with `part`, of the layout of `take`, in place of the touched rows, and of all that is no table."""

        def of(path: tuple[Any, ...], leaf: jax.Array, new: jax.Array) -> jax.Array:
            table = self._table(path, batch)
            return new if table is None else _put(leaf, new, *table)

        return jax.tree_util.tree_map_with_path(of, tree, part)

    def _table(self, path: tuple[Any, ...], batch: Mapping[str, jax.Array]) -> tuple[jax.Array, Mesh | None] | None:
        # The rows [R] of a leaf that is a table, and where it is split.
        name = leaf_name(path)
        for expression, array, split in self.rows_of:
            if re.search(expression, name):
                return batch[array], self.mesh if split and self.mesh.shape[_MODEL] > 1 else None
        return None


def _taken(table: jax.Array, rows: jax.Array, mesh: Mesh | None) -> jax.Array:
    if mesh is None:
        return table.at[rows].get(mode="fill", fill_value=0)

    def local(part: jax.Array, rows: jax.Array) -> jax.Array:
        return lax.psum(part.at[_local(rows, part)].get(mode="fill", fill_value=0), _MODEL)

    return jax.shard_map(local, mesh=mesh, in_specs=(P(_MODEL), P()), out_specs=P(), check_vma=False)(table, rows)


def _put(table: jax.Array, new: jax.Array, rows: jax.Array, mesh: Mesh | None) -> jax.Array:
    if mesh is None:
        return table.at[rows].set(new, mode="drop")

    def local(part: jax.Array, new: jax.Array, rows: jax.Array) -> jax.Array:
        return part.at[_local(rows, part)].set(new, mode="drop")

    in_specs = (P(_MODEL), P(), P())
    return jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=P(_MODEL), check_vma=False)(table, new, rows)


def _local(rows: jax.Array, part: jax.Array) -> jax.Array:
    # Row numbers in this device's part; its length, which is out of range, for rows of the others. A negative number
    # would count from the end.
    local = rows - lax.axis_index(_MODEL) * part.shape[0]
    return jnp.where((local >= 0) & (local < part.shape[0]), local, part.shape[0])
