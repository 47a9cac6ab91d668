"""Softmax margins: the one quantity behind both "recommend this" and "do not recommend this".

With logits l_j = q·v_j + b_j over the items j of a corpus and a label y, the margin is

    m = l_y − z,   z = log Σ_{j≠y} exp(l_j),

the label's logit against the log-partition of everything but the label. Then, exactly and at any logit,
−log p(y) = softplus(−m) and −log(1 − p(y)) = softplus(m): no clamp, no epsilon. The paper's equation 1 (Wang et al.,
RecSys '23) needs nothing else. z is summed without the label instead of subtracting it afterwards, which would cancel
to nothing as p → 1.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jax.typing import DTypeLike

from nn import softmax_kernels

_ITEMS = "model"  # mesh axis over which the rows of the item table are sharded
_MOST_LOGITS = 1 << 27  # of a block, on accelerators
_MOST_KEPT = 1 << 23  # logits that are kept for the gradient, 32 MiB
_WHOLE = 0  # in place of a block size: all logits at once, kept
_ON_CHIP = -1  # likewise: none in memory, nn/softmax_kernels.py
_ROWS = "data"  # mesh axis over which queries are sharded


class _Plan(NamedTuple):
    """How margins are computed: items a block, or one of the above in its place; the dtype of what is multiplied."""

    block_size: int
    dtype: DTypeLike


class _Rows(NamedTuple):
    queries: jax.Array  # [rows, D]
    label: Any  # [rows] int, as all that follows without a gradient
    there: Any  # [rows] int


class _Items(NamedTuple):
    vectors: jax.Array  # [N, D]
    bias: jax.Array  # [N]
    place: Any  # [N] int


def corpus_bias(rows: int, num_items: int) -> jax.Array:
    """b [rows]: 0 for items 1..N, −inf for the padding before and after them, which is no item."""
    row = jnp.arange(rows)
    return jnp.where((row > 0) & (row <= num_items), 0.0, -jnp.inf)


def label_margins(
    queries: jax.Array,
    item_table: jax.Array,
    labels: jax.Array,
    *,
    block_size: int = 0,
    item_bias: jax.Array | None = None,
    place: jax.Array | None = None,
    there: jax.Array | None = None,
    where: jax.Array | None = None,
    mesh: Mesh | None = None,
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    """Margins of the labels against the whole corpus, exact, in memory O(rows × block_size).

    margin_r = l_{r,y} − log Σ_{j≠y, place_j<there_r} exp(l_{r,j}), l_{r,j} = queries_r · item_table_j + item_bias_j.

    The log-sum-exp runs online over blocks of the table; the gradient recomputes each block, but where all logits are
    so few that they are kept:
    ∂m/∂l_y = 1 and ∂m/∂l_j = −q_j, q the softmax over j ≠ y. The loss that Wang et al. (RecSys '23, equation 1) build
    on it has gradients bounded by 1 at every logit.

    Args:
      queries: [rows, D].
      item_table: [N, D], N ≥ 2.
      labels: [rows] int, in [0, N); others are the caller's error (a label out of range reads a clamped row).
      block_size: items per block, and memory grows with it; 0 for what suits the device, and for all at once where
        rows × N is at most 2²³.
      item_bias: [N]; −inf takes an item out of the corpus. Such an item must not be a label.
      place: [N] int, the place of each item in the order in which they came to be, from 0; `there` [rows] int, how many
        of them there were when a row was asked: it is compared with no others. Both or neither, and then with all.
      where: [rows] bool; False rows have margin 0 and no gradient.
      mesh: if given, `queries`, `labels`, `there` and `where` are sharded over its axis 'data' and the table's rows
        over its axis 'model', whose size must divide N.
      dtype: of the factors of every product, forward and backward; sums are of float32. In bfloat16 queries, table and
        the gradient by the logits keep 8 bits, and tensor cores multiply twice as fast as in TF32.

    Returns:
      [rows] float32. A row whose label is all that is left of the corpus has nothing to be compared with: margin 0, no
      gradient.

    Raises:
      ValueError: shapes that do not fit, fewer than two items, a negative block_size.
    """
    if item_table.ndim != 2 or queries.shape[1:] != item_table.shape[1:] or labels.shape != queries.shape[:1]:
        raise ValueError(f"queries {queries.shape}, item_table {item_table.shape} and labels {labels.shape} do not fit")
    rows, num_items = queries.shape[0], item_table.shape[0]
    if num_items < 2:
        raise ValueError("a margin needs at least two items")
    if block_size < 0:
        raise ValueError(f"block_size must not be negative, got {block_size}")
    if mesh is not None and (num_items % mesh.shape[_ITEMS] or rows % mesh.shape[_ROWS]):
        raise ValueError(f"mesh {dict(mesh.shape)} does not divide {num_items} items or {rows} rows")
    _check_places(place, there, num_items, rows)
    item_bias = jnp.zeros(num_items, jnp.float32) if item_bias is None else item_bias
    place = jnp.zeros(num_items, jnp.int32) if place is None else place
    there = jnp.ones(rows, jnp.int32) if there is None else there
    where = jnp.ones(rows, bool) if where is None else where
    if not block_size:
        block_size = _suited_block(queries, item_table)
    plan = _Plan(block_size, dtype)
    margins = _label_margins(plan, mesh, _Rows(queries, labels, there), _Items(item_table, item_bias, place))
    return jnp.where(where, margins, 0.0)


def _check_places(place, there, items, rows):
    if (place is None) != (there is None):
        raise ValueError("place and there: both or neither")
    if place is not None and (place.shape, there.shape) != ((items,), (rows,)):
        raise ValueError(f"place {place.shape} and there {there.shape} do not fit {items} items and {rows} rows")


def _suited_block(queries, table):
    if softmax_kernels.suit(queries, table):
        return _ON_CHIP
    rows, num_items = queries.shape[0], table.shape[0]
    if rows * num_items <= _MOST_KEPT:
        return _WHOLE
    # On two cores blocks of 4,096 are a tenth faster than of 1,024, on one as fast. An H100 takes 3.2 ms for 2,048 rows
    # and 100,000 items in blocks of 65,536, and 6.3 ms in blocks of 1,024.
    return 4096 if jax.default_backend() == "cpu" else max(1024, _MOST_LOGITS // max(rows, 1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _label_margins(plan, mesh, rows, items):
    return _forward(plan, mesh, rows, items)[0]


def _forward(plan, mesh, rows, items):
    gives = (P(_ROWS), P(_ROWS), P(_ROWS), P(_ITEMS, _ROWS))
    local = _sharded(_local_forward, plan, mesh, (P(_ROWS), P(_ITEMS)), gives)
    label_logits, largest, log_total, exponentials = local(rows, items)
    # In this order: largest + log_total, at large logits, would round log_total away.
    margins = (label_logits - largest) - log_total
    margins = jnp.where(jnp.isneginf(log_total), 0.0, margins)
    return margins, (rows, items, largest, log_total, exponentials)


def _backward(plan, mesh, residuals, cotangents):
    rows, items, largest, log_total, exponentials = residuals
    alone = jnp.isneginf(log_total)
    log_total, cotangents = jnp.where(alone, 0.0, log_total), jnp.where(alone, 0.0, cotangents)
    takes = (P(_ROWS), P(_ITEMS), P(_ROWS), P(_ROWS), P(_ITEMS, _ROWS), P(_ROWS))
    local = _sharded(_local_backward, plan, mesh, takes, (P(_ROWS), P(_ITEMS), P(_ITEMS)))
    d_queries, d_table, d_bias = local(rows, items, largest, log_total, exponentials, cotangents)
    return _Rows(d_queries, None, None), _Items(d_table, d_bias, None)


_label_margins.defvjp(_forward, _backward)


def _sharded(function, plan, mesh, takes, gives):
    # The function of each device's part of its arguments, which the mesh shards as `takes` and its results as `gives`.
    local = functools.partial(function, plan, mesh is not None)
    if mesh is None:
        return local
    return jax.shard_map(local, mesh=mesh, in_specs=takes, out_specs=gives, check_vma=False)


def _localised(plan, sharded, rows, items):
    """Rows and items as they are multiplied, labels as numbers of this shard's items; and whether these lie in it."""
    num_local = items.vectors.shape[0]
    label = rows.label - lax.axis_index(_ITEMS) * num_local if sharded else rows.label
    rows = rows._replace(queries=rows.queries.astype(plan.dtype), label=label)
    return rows, items._replace(vectors=items.vectors.astype(plan.dtype)), (label >= 0) & (label < num_local)


def _even_blocks(num_items, block_size):
    """(blocks, size of each): as few blocks of at most `block_size` as there can be, all but the last alike."""
    num_blocks = -(-num_items // block_size)
    return num_blocks, -(-num_items // num_blocks)


def _block(items, index, block_size):
    """Block `index` of the items. The last one is moved back to fit; the items it repeats come with bias −inf."""
    start = jnp.minimum(index * block_size, items.vectors.shape[0] - block_size)
    block = jax.tree.map(lambda array: lax.dynamic_slice_in_dim(array, start, block_size), items)
    fresh = start + jnp.arange(block_size) >= index * block_size
    return start, block._replace(bias=jnp.where(fresh, block.bias, -jnp.inf))


def _block_logits(rows, items, start):
    """[block, rows]. Rows last: a CPU sums many of them in one instruction, and no product has to transpose a block."""
    logits = jnp.matmul(items.vectors, rows.queries.T, preferred_element_type=jnp.float32) + items.bias[:, None]
    is_label = rows.label - start == jnp.arange(items.vectors.shape[0])[:, None]
    return jnp.where(is_label | (items.place[:, None] >= rows.there), -jnp.inf, logits)


def _local_forward(plan, sharded, rows, items):
    # The label's logit, the largest of the others, the logarithm of Σ exp(l − largest) of these, each [rows]; and the
    # exponentials [N, rows], None where they are not kept.
    rows, items, here = _localised(plan, sharded, rows, items)
    if plan.block_size == _WHOLE:
        logits = _block_logits(rows, items, 0)
        largest = logits.max(axis=0)
    elif plan.block_size == _ON_CHIP:
        largest, total = softmax_kernels.totals(*rows, *items)
    else:
        largest, total = _blocks_total(plan.block_size, rows, items)
    everywhere = lax.pmax(largest, _ITEMS) if sharded else largest
    shift = jnp.where(jnp.isfinite(everywhere), everywhere, 0.0)
    if plan.block_size == _WHOLE:
        exponentials = jnp.exp(logits - shift)
        total = exponentials.sum(axis=0)
    else:
        exponentials = None
        total *= jnp.exp(largest - shift)
    label = jnp.where(here, rows.label, 0)
    label_vectors = items.vectors[label].astype(jnp.float32)
    label_logits = jnp.sum(rows.queries.astype(jnp.float32) * label_vectors, axis=1) + items.bias[label]
    label_logits = jnp.where(here, label_logits, 0.0)
    if sharded:
        total, label_logits = lax.psum((total, label_logits), _ITEMS)
    return label_logits, shift, jnp.log(total), exponentials


def _blocks_total(block_size, rows, items):
    # The largest logit of each row and Σ exp(l − largest), one block after the other: [rows] each.
    num_rows = rows.queries.shape[0]
    num_blocks, block_size = _even_blocks(items.vectors.shape[0], block_size)

    def accumulate(index, carry):
        largest, total = carry
        start, block = _block(items, index, block_size)
        logits = _block_logits(rows, block, start)
        new_largest = jnp.maximum(largest, logits.max(axis=0))
        shift = jnp.where(jnp.isfinite(new_largest), new_largest, 0.0)  # nothing but −inf so far
        total = total * jnp.exp(largest - shift) + jnp.exp(logits - shift).sum(axis=0)
        return new_largest, total

    empty = (jnp.full(num_rows, -jnp.inf, jnp.float32), jnp.zeros(num_rows, jnp.float32))
    return lax.fori_loop(0, num_blocks, accumulate, empty)


def _local_backward(plan, sharded, rows, items, largest, log_total, exponentials, cotangents):
    queries, table, bias = rows.queries, items.vectors, items.bias
    rows, items, here = _localised(plan, sharded, rows, items)
    weights = -cotangents * jnp.exp(-log_total)  # the gradient by a logit l is exp(l − largest) times this
    if plan.block_size == _WHOLE:
        d_queries, d_table, d_bias = _products(rows.queries, items.vectors, exponentials, weights)
    elif plan.block_size == _ON_CHIP:
        d_queries, d_table, d_bias = softmax_kernels.gradients(*rows, *items, shift=largest, weights=weights)
        d_queries = d_queries.T
    else:
        d_queries, d_table, d_bias = _blocks_gradient(plan.block_size, rows, items, largest, weights)
    label = jnp.where(here, rows.label, 0)
    d_label = jnp.where(here, cotangents, 0.0)  # ∂m/∂l_y = 1
    d_queries = d_queries.T + d_label[:, None] * table[label]
    d_table = d_table.at[label].add(d_label[:, None] * queries)
    d_bias = d_bias.at[label].add(d_label)
    if sharded:
        d_queries = lax.psum(d_queries, _ITEMS)
        d_table, d_bias = lax.psum((d_table, d_bias), _ROWS)
    return d_queries.astype(queries.dtype), d_table.astype(table.dtype), d_bias.astype(bias.dtype)


def _blocks_gradient(block_size, rows, items, largest, weights):
    # As `_products`, of all items, one block after the other.
    num_blocks, block_size = _even_blocks(items.vectors.shape[0], block_size)

    def accumulate(index, carry):
        d_queries, d_table, d_bias = carry
        start, block = _block(items, index, block_size)
        exponentials = jnp.exp(_block_logits(rows, block, start) - largest)
        d_queries_here, d_vectors, d_biases = _products(rows.queries, block.vectors, exponentials, weights)
        return d_queries + d_queries_here, _add_slice(d_table, d_vectors, start), _add_slice(d_bias, d_biases, start)

    zeros = tuple(jnp.zeros(x.shape, jnp.float32) for x in (rows.queries.T, items.vectors, items.bias))
    return lax.fori_loop(0, num_blocks, accumulate, zeros)


def _products(queries, vectors, exponentials, weights):
    # The gradients by queries [D, rows], vectors [block, D] and biases [block] of those by logits [block, rows], which
    # are exponentials · weights [rows]. The weights go to what is small: one pass less over all logits.
    # Without the barrier XLA makes one product of this and the transposition of what it gives, which reads the logits
    # across and takes twice as long on a CPU.
    factors, weighted = exponentials.astype(vectors.dtype), (queries * weights[:, None]).astype(vectors.dtype)
    d_queries = lax.optimization_barrier(jnp.matmul(vectors.T, factors, preferred_element_type=jnp.float32))
    d_vectors = jnp.matmul(factors, weighted, preferred_element_type=jnp.float32)
    return d_queries * weights, d_vectors, exponentials @ weights


def _add_slice(array, update, start):
    current = lax.dynamic_slice_in_dim(array, start, update.shape[0])
    return lax.dynamic_update_slice_in_dim(array, current + update, start, axis=0)


def sampled_label_margins(
    queries: jax.Array,
    candidate_vectors: jax.Array,
    candidate_ids: jax.Array,
    log_expected_counts: jax.Array,
    label_vectors: jax.Array,
    labels: jax.Array,
    *,
    place: jax.Array | None = None,
    there: jax.Array | None = None,
    where: jax.Array | None = None,
) -> jax.Array:
    """Margins of the labels against sampled candidates, with the logQ correction.

    margin_r = l_{r,y} − log Σ_{c: id_c ≠ y, place_c < there_r} exp(l_{r,c} − log E[count_c]).

    E[count_c] is the expected number of times the candidate's item stands among the candidates, so the sum is an
    unbiased estimate of Σ_{j≠y} exp(l_j) (Bengio & Senécal 2008; Yi et al., RecSys '19). A candidate that is the row's
    own label (an accidental hit) is left out. With every item once and zero log counts this is `label_margins`.

    Args:
      queries: [rows, D].
      candidate_vectors: [C, D], shared by all rows.
      candidate_ids: [C] int.
      log_expected_counts: [C]; infinity takes a candidate out.
      label_vectors: [rows, D], the labels' item vectors.
      labels: [rows] int, in the numbering of `candidate_ids`.
      place: [C] int, of the candidates, and `there` [rows] int: as of `label_margins`.
      where: [rows] bool; False rows have margin 0 and no gradient.

    Returns:
      [rows] float32. A row without a candidate that is there and not its own label has nothing to be compared with:
      margin 0, no gradient.

    Raises:
      ValueError: shapes that do not fit.
    """
    rows, dim = queries.shape
    num_candidates = candidate_ids.shape[0]
    if (
        candidate_vectors.shape != (num_candidates, dim)
        or log_expected_counts.shape != (num_candidates,)
        or label_vectors.shape != (rows, dim)
        or labels.shape != (rows,)
    ):
        raise ValueError(
            f"queries {queries.shape}, candidate_vectors {candidate_vectors.shape}, candidate_ids "
            f"{candidate_ids.shape}, log_expected_counts {log_expected_counts.shape}, label_vectors "
            f"{label_vectors.shape} and labels {labels.shape} do not fit"
        )
    _check_places(place, there, num_candidates, rows)
    label_logits = jnp.sum(queries * label_vectors, axis=1, dtype=jnp.float32)
    logits = jnp.matmul(queries, candidate_vectors.T, preferred_element_type=jnp.float32)  # [rows, C]
    logits -= log_expected_counts
    counted = (candidate_ids != labels[:, None]) & jnp.isfinite(log_expected_counts)
    if place is not None and there is not None:
        counted &= place < there[:, None]
    comparable = counted.any(axis=1)
    # A row without candidates would make log-sum-exp's gradient NaN even where its result is not used.
    logits = jnp.where(counted, logits, jnp.where(comparable, -jnp.inf, 0.0)[:, None])
    # The label's logit goes in, not on top: a sum of large logits would round their difference away.
    margins = -jax.nn.logsumexp(logits - label_logits[:, None], axis=1)
    used = comparable if where is None else comparable & where
    return jnp.where(used, margins, 0.0)
