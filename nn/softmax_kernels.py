"""Kernels for NVIDIA GPUs of what the exact softmax (nn/softmax.py) needs of its logits, which never leave the chip.

XLA writes a block of logits to memory and reads it again for each step that follows: at 64 numbers a vector that takes
the time. Here, as in FlashAttention (Dao et al., NeurIPS '22), a program computes the logits of some rows and some
items, uses them and forgets them: once for their sum, once for the queries' gradient, once for the items'.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from nn import gpu


@dataclasses.dataclass(frozen=True)
class _Tile:
    """Rows and items whose logits a program has at once, its warps, and the tiles whose inputs it loads ahead."""

    rows: int
    items: int
    warps: int = 4
    stages: int = 3


# The fastest of those tried on an H100, for 2,048 rows and 100,000 items.
_TOTALS = _BY_QUERIES = _Tile(rows=128, items=64)
_BY_ITEMS = _Tile(rows=32, items=128)
_PROGRAMS = 528  # four for each of an H100's multiprocessors
_WIDTHS = (16, 32, 64, 128)  # numbers of a vector: others are filled up with zeros, which no product sees


def suit(queries: jax.Array, table: jax.Array) -> bool:
    """Whether the device has kernels for these: float32, and D up to 128."""
    is_float = queries.dtype == table.dtype == jnp.float32
    return is_float and queries.shape[1] <= _WIDTHS[-1] and gpu.shared_memory() > 0


def totals(queries: jax.Array, table: jax.Array, bias: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest logit of each row and Σ exp(l − largest), both without the row's label: [rows] each.

    Args:
      queries: [rows, D].
      table: [N, D].
      bias: [N]; −inf takes an item out.
      labels: [rows] int; below 0 or from N on none is left out.
    """
    queries, table = _filled_up(queries), _filled_up(table)
    rows, tile = queries.shape[0], _TOTALS
    blocks, parts, part = _split(rows, tile.rows, table.shape[0], tile.items)
    kernel = functools.partial(_totals_kernel, tile, rows, table.shape[0], part)
    out = [jax.ShapeDtypeStruct((parts, blocks * tile.rows), jnp.float32)] * 2
    largest, total = (
        array[:, :rows] for array in _call(kernel, tile, (blocks, parts), out, queries, table, bias, labels)
    )
    of_all = largest.max(axis=0)
    shift = jnp.where(jnp.isfinite(of_all), of_all, 0.0)
    return of_all, jnp.sum(total * jnp.exp(largest - shift), axis=0)


def _totals_kernel(tile, rows, items, part, queries_ref, table_ref, bias_ref, labels_ref, largest_ref, total_ref):
    row, first, end = _ranges(tile.rows, part, items)
    queries, labels = _load(queries_ref, row, tile.rows, rows), _load(labels_ref, row, tile.rows, rows)

    def body(n, carry):
        largest, total = carry
        item = first + n * tile.items
        logits = _logits_of_rows(tile, items, queries, table_ref, bias_ref, labels, item)[0]
        new_largest = jnp.maximum(largest, logits.max(axis=1))
        shift = jnp.where(new_largest == -jnp.inf, 0.0, new_largest)  # nothing but −inf so far
        total = total * jnp.exp(largest - shift) + jnp.exp(logits - shift[:, None]).sum(axis=1)
        return new_largest, total

    empty = (jnp.full(tile.rows, -jnp.inf, jnp.float32), jnp.zeros(tile.rows, jnp.float32))
    largest, total = lax.fori_loop(0, pl.cdiv(end - first, tile.items), body, empty)
    _store(largest_ref, row, largest)
    _store(total_ref, row, total)


def gradients(
    queries: jax.Array,
    table: jax.Array,
    bias: jax.Array,
    labels: jax.Array,
    shift: jax.Array,
    weights: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Σ_j g_rj v_j [rows, D], Σ_r g_rj q_r [N, D] and Σ_r g_rj [N] of g_rj = weight_r exp(l_rj − shift_r), g_ry = 0.

    These are the gradients by queries, table and bias of a loss whose gradient by the logits is g.

    Args:
      queries, table, bias, labels: as of `totals`.
      shift, weights: [rows].
    """
    width = queries.shape[1]
    queries, table = _filled_up(queries), _filled_up(table)
    (rows, dim), items = queries.shape, table.shape[0]
    arguments = (queries, table, bias, labels, shift, weights)

    tile = _BY_QUERIES
    blocks, parts, part = _split(rows, tile.rows, items, tile.items)
    out = [jax.ShapeDtypeStruct((parts, blocks * tile.rows, dim), jnp.float32)]
    kernel = functools.partial(_by_queries_kernel, tile, rows, items, part)
    [d_queries] = _call(kernel, tile, (blocks, parts), out, *arguments)

    tile = _BY_ITEMS
    blocks, parts, part = _split(items, tile.items, rows, tile.rows)
    out = [jax.ShapeDtypeStruct((parts, blocks * tile.items, *shape), jnp.float32) for shape in ((dim,), ())]
    kernel = functools.partial(_by_items_kernel, tile, rows, items, part)
    d_table, d_bias = _call(kernel, tile, (blocks, parts), out, *arguments)
    return d_queries.sum(axis=0)[:rows, :width], d_table.sum(axis=0)[:items, :width], d_bias.sum(axis=0)[:items]


def _filled_up(vectors):
    width = vectors.shape[1]
    return jnp.pad(vectors, ((0, 0), (0, next(at for at in _WIDTHS if at >= width) - width)))


def _by_queries_kernel(tile, rows, items, part, queries_ref, table_ref, bias_ref, labels_ref, shift_ref, weights_ref,
                       d_queries_ref):  # fmt: skip
    row, first, end = _ranges(tile.rows, part, items)
    queries, labels = _load(queries_ref, row, tile.rows, rows), _load(labels_ref, row, tile.rows, rows)
    shift, weights = _load(shift_ref, row, tile.rows, rows), _load(weights_ref, row, tile.rows, rows)

    def body(n, d_queries):
        item = first + n * tile.items
        logits, vectors = _logits_of_rows(tile, items, queries, table_ref, bias_ref, labels, item)
        return d_queries + gpu.dot(jnp.exp(logits - shift[:, None]) * weights[:, None], vectors)

    empty = jnp.zeros((tile.rows, queries_ref.shape[1]), jnp.float32)
    _store(d_queries_ref, row, lax.fori_loop(0, pl.cdiv(end - first, tile.items), body, empty))


def _by_items_kernel(tile, rows, items, part, queries_ref, table_ref, bias_ref, labels_ref, shift_ref, weights_ref,
                     d_table_ref, d_bias_ref):  # fmt: skip
    item, first, end = _ranges(tile.items, part, rows)
    vectors = _load(table_ref, item, tile.items, items)
    bias = _load(bias_ref, item, tile.items, items, -jnp.inf)

    def body(n, carry):
        d_vectors, d_bias = carry
        row = first + n * tile.rows
        queries, labels = _load(queries_ref, row, tile.rows, rows), _load(labels_ref, row, tile.rows, rows)
        # Rows past the end: exp(l − ∞) = 0, where exp(l) could be infinite.
        shift, weights = _load(shift_ref, row, tile.rows, rows, jnp.inf), _load(weights_ref, row, tile.rows, rows)
        logits = gpu.dot(vectors, queries.T) + bias[:, None]  # [items, rows] of the tile
        is_label = labels[None, :] - item == jnp.arange(tile.items)[:, None]
        gradient = jnp.where(is_label, 0.0, jnp.exp(logits - shift[None, :]) * weights[None, :])
        return d_vectors + gpu.dot(gradient, queries), d_bias + gradient.sum(axis=1)

    empty = (jnp.zeros((tile.items, queries_ref.shape[1]), jnp.float32), jnp.zeros(tile.items, jnp.float32))
    d_vectors, d_bias = lax.fori_loop(0, pl.cdiv(end - first, tile.rows), body, empty)
    _store(d_table_ref, item, d_vectors)
    _store(d_bias_ref, item, d_bias)


def _logits_of_rows(tile, items, queries, table_ref, bias_ref, labels, item):
    # The logits [rows, items] of a tile that begins with `item`, −inf at the label, and its items' vectors.
    vectors = _load(table_ref, item, tile.items, items)
    bias = _load(bias_ref, item, tile.items, items, -jnp.inf)
    is_label = labels[:, None] - item == jnp.arange(tile.items)[None, :]
    return jnp.where(is_label, -jnp.inf, gpu.dot(queries, vectors.T) + bias[None, :]), vectors


def _split(along, size, across, step):
    # A grid of (blocks of `size`, parts of what they are summed over), and how much of that a part is: where blocks
    # are fewer than the programs that run at once, several share one.
    blocks = pl.cdiv(along, size)
    parts = min(max(1, _PROGRAMS // blocks), pl.cdiv(across, step))
    part = pl.cdiv(across, parts * step) * step
    return blocks, pl.cdiv(across, part), part


def _ranges(size, part, across):
    # Where this program's block begins, and where its part of what is summed over begins and ends.
    first = pl.program_id(1) * part
    return pl.program_id(0) * size, first, jnp.minimum(first + part, across)


def _call(kernel, tile, grid, out_shape, *arguments):
    options = {"warps": tile.warps, "stages": tile.stages}
    return gpu.call(kernel, grid=grid, out_shape=out_shape, **options)(*arguments)


def _load(ref, start, size, count, other=0):
    # ref[start : start + size], `other` from `count` on.
    inside = start + jnp.arange(size) < count
    if len(ref.shape) == 1:
        return triton.load(ref.at[pl.ds(start, size)], mask=inside, other=other)
    mask = jnp.broadcast_to(inside[:, None], (size, ref.shape[1]))
    return triton.load(ref.at[pl.ds(start, size), :], mask=mask, other=other)


def _store(ref, start, value):
    # Into this program's part.
    ref[(pl.program_id(1), pl.ds(start, value.shape[0]), *[slice(None)] * (value.ndim - 1))] = value
