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


# The fastest of those tried on an H100, for 2,048 rows and 100,000 items, in float32. In bfloat16 others are no more
# than a tenth faster.
_TOTALS = _BY_QUERIES = _Tile(rows=128, items=64)
_BY_ITEMS = _Tile(rows=32, items=128)
_PROGRAMS = 528  # four for each of an H100's multiprocessors
_LEAST, _MOST = 16, 128  # numbers of a vector


def suit(queries: jax.Array, table: jax.Array) -> bool:
    """Whether the device has kernels for these: float32, and D up to 128."""
    is_float = queries.dtype == table.dtype == jnp.float32
    return is_float and queries.shape[1] <= _MOST and gpu.shared_memory() > 0


def totals(
    queries: jax.Array, labels: jax.Array, there: jax.Array, table: jax.Array, bias: jax.Array, place: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The largest logit of each row and Σ exp(l − largest), of items that are there and not its label: [rows] each.

    Args:
      queries: [rows, D] float32 or bfloat16, the dtype of the factors of every product.
      labels: [rows] int; below 0 or from N on none is left out.
      there: [rows] int; items with place >= there are not there.
      table: [N, D], of the same dtype as the queries.
      bias: [N]; −inf takes an item out.
      place: [N] int.
    """
    rows, items, tile = queries.shape[0], table.shape[0], _TOTALS
    blocks, parts, part = _split(rows, tile.rows, items, tile.items)
    kernel = functools.partial(_totals_kernel, tile, rows, items, part)
    out = [jax.ShapeDtypeStruct((parts, blocks * tile.rows), jnp.float32)] * 2
    arguments = (_pieces(queries), labels, there, _pieces(table), bias, place)
    largest, total = (array[:, :rows] for array in _call(kernel, tile, (blocks, parts), out, *arguments))
    of_all = largest.max(axis=0)
    shift = jnp.where(jnp.isfinite(of_all), of_all, 0.0)
    return of_all, jnp.sum(total * jnp.exp(largest - shift), axis=0)


def _totals_kernel(tile, rows, items, part, queries_refs, labels_ref, there_ref, table_refs, bias_ref, place_ref,
                   largest_ref, total_ref):  # fmt: skip
    row, first, end = _ranges(tile.rows, part, items)
    queries, labels, there = _of_rows(queries_refs, labels_ref, there_ref, row, tile.rows, rows)

    def body(n, carry):
        largest, total = carry
        item = first + n * tile.items
        vectors, bias, place = _of_items(table_refs, bias_ref, place_ref, item, tile.items, items)
        logits = _logits(queries, labels, there, vectors, bias, place, item)
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
    labels: jax.Array,
    there: jax.Array,
    table: jax.Array,
    bias: jax.Array,
    place: jax.Array,
    *,
    shift: jax.Array,
    weights: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Σ_j g_rj v_j [rows, D], Σ_r g_rj q_r [N, D] and Σ_r g_rj [N] of g_rj = weight_r exp(l_rj − shift_r).

    g is 0 of a row's label and of what is not there. These are the gradients by queries, table and bias of a loss whose
    gradient by the logits is g.

    Args:
      queries, labels, there, table, bias, place: as of `totals`.
      shift, weights: [rows].
    """
    rows, items = queries.shape[0], table.shape[0]
    arguments = (_pieces(queries), labels, there, _pieces(table), bias, place, shift, weights)
    widths = [piece.shape[1] for piece in arguments[0]]

    def vectors_of(parts, count):
        return [jax.ShapeDtypeStruct((parts, count, width), jnp.float32) for width in widths]

    def summed(pieces, like):
        return jnp.concatenate([piece.sum(axis=0) for piece in pieces], axis=1)[: like.shape[0], : like.shape[1]]

    tile = _BY_QUERIES
    blocks, parts, part = _split(rows, tile.rows, items, tile.items)
    kernel = functools.partial(_by_queries_kernel, tile, rows, items, part)
    [d_queries] = _call(kernel, tile, (blocks, parts), [vectors_of(parts, blocks * tile.rows)], *arguments)

    tile = _BY_ITEMS
    blocks, parts, part = _split(items, tile.items, rows, tile.rows)
    kernel = functools.partial(_by_items_kernel, tile, rows, items, part)
    of_bias = jax.ShapeDtypeStruct((parts, blocks * tile.items), jnp.float32)
    out = (vectors_of(parts, blocks * tile.items), of_bias)
    d_table, d_bias = _call(kernel, tile, (blocks, parts), out, *arguments)
    return summed(d_queries, queries), summed(d_table, table), d_bias.sum(axis=0)[:items]


def _pieces(vectors):
    # [n, D] as arrays whose widths a kernel's product may have, powers of two from 16: of 80 numbers 64 and 16. What is
    # missing to a multiple of 16 is filled up with zeros, which no product sees.
    vectors = jnp.pad(vectors, ((0, 0), (0, -vectors.shape[1] % _LEAST)))
    pieces, begin = [], 0
    while begin < vectors.shape[1]:
        width = 1 << (vectors.shape[1] - begin).bit_length() - 1
        pieces.append(vectors[:, begin : begin + width])
        begin += width
    return pieces


def _by_queries_kernel(tile, rows, items, part, queries_refs, labels_ref, there_ref, table_refs, bias_ref, place_ref,
                       shift_ref, weights_ref, d_queries_refs):  # fmt: skip
    row, first, end = _ranges(tile.rows, part, items)
    queries, labels, there = _of_rows(queries_refs, labels_ref, there_ref, row, tile.rows, rows)
    shift, weights = _load(shift_ref, row, tile.rows, rows), _load(weights_ref, row, tile.rows, rows)

    def body(n, d_queries):
        item = first + n * tile.items
        vectors, bias, place = _of_items(table_refs, bias_ref, place_ref, item, tile.items, items)
        logits = _logits(queries, labels, there, vectors, bias, place, item)
        gradient = jnp.exp(logits - shift[:, None]) * weights[:, None]
        return _added_products(d_queries, gradient, vectors)

    empty = [jnp.zeros((tile.rows, ref.shape[1]), jnp.float32) for ref in queries_refs]
    d_queries = lax.fori_loop(0, pl.cdiv(end - first, tile.items), body, empty)
    for ref, d in zip(d_queries_refs, d_queries, strict=True):
        _store(ref, row, d)


def _by_items_kernel(tile, rows, items, part, queries_refs, labels_ref, there_ref, table_refs, bias_ref, place_ref,
                     shift_ref, weights_ref, d_table_refs, d_bias_ref):  # fmt: skip
    item, first, end = _ranges(tile.items, part, rows)
    vectors, bias, place = _of_items(table_refs, bias_ref, place_ref, item, tile.items, items)

    def body(n, carry):
        d_vectors, d_bias = carry
        row = first + n * tile.rows
        queries, labels, there = _of_rows(queries_refs, labels_ref, there_ref, row, tile.rows, rows)
        # Rows past the end: exp(l − ∞) = 0, where exp(l) could be infinite.
        shift, weights = _load(shift_ref, row, tile.rows, rows, jnp.inf), _load(weights_ref, row, tile.rows, rows)
        logits = _products(vectors, queries) + bias[:, None]  # [items, rows] of the tile
        is_label = labels[None, :] - item == jnp.arange(tile.items)[:, None]
        left_out = is_label | (place[:, None] >= there[None, :])
        gradient = jnp.where(left_out, 0.0, jnp.exp(logits - shift[None, :]) * weights[None, :])
        return _added_products(d_vectors, gradient, queries), d_bias + gradient.sum(axis=1)

    empty = [jnp.zeros((tile.items, ref.shape[1]), jnp.float32) for ref in table_refs]
    steps = pl.cdiv(end - first, tile.rows)
    d_vectors, d_bias = lax.fori_loop(0, steps, body, (empty, jnp.zeros(tile.items, jnp.float32)))
    for ref, d in zip(d_table_refs, d_vectors, strict=True):
        _store(ref, item, d)
    _store(d_bias_ref, item, d_bias)


def _of_rows(queries_refs, labels_ref, there_ref, row, size, rows):
    # Queries in pieces, labels, and how many items are there, of a tile.
    of_each = (_load(ref, row, size, rows) for ref in (labels_ref, there_ref))
    return _loaded(queries_refs, row, size, rows), *of_each


def _of_items(table_refs, bias_ref, place_ref, item, size, items):
    # Vectors in pieces, biases, −inf past the end, and places, of a tile.
    bias, place = _load(bias_ref, item, size, items, -jnp.inf), _load(place_ref, item, size, items)
    return _loaded(table_refs, item, size, items), bias, place


def _logits(queries, labels, there, vectors, bias, place, item):
    # Those [rows, items] of a tile whose items begin with `item`, −inf where an item is left out.
    is_label = labels[:, None] - item == jnp.arange(len(bias))[None, :]
    left_out = is_label | (place[None, :] >= there[:, None])
    return jnp.where(left_out, -jnp.inf, _products(queries, vectors) + bias[None, :])


def _products(a, b):
    # Inner products [m, n] of vectors in pieces.
    return functools.reduce(jnp.add, (gpu.dot(x, y.T) for x, y in zip(a, b, strict=True)))


def _added_products(sums, gradient, vectors):
    # sums + gradient · vectors, of vectors in pieces.
    pieces = zip(sums, vectors, strict=True)
    return [total + gpu.dot(gradient.astype(piece.dtype), piece) for total, piece in pieces]


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


def _loaded(refs, start, size, count):
    # Vectors in pieces.
    return [_load(ref, start, size, count) for ref in refs]


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
