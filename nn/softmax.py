"""Softmax margins: the one quantity behind both "recommend this" and "do not recommend this".

With logits l_j = q·v_j + b_j over the items j of a corpus and a label y, the margin is

    m = l_y − z,   z = log Σ_{j≠y} exp(l_j),

the label's logit against the log-partition of everything but the label. Then, exactly and at any logit,
−log p(y) = softplus(−m) and −log(1 − p(y)) = softplus(m): no clamp, no epsilon. The paper's equation 1 (Wang et al.,
RecSys '23) needs nothing else. z is summed without the label instead of subtracting it afterwards, which would cancel
to nothing as p → 1.
"""

import functools
from typing import NamedTuple

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
    where: jax.Array | None = None,
    mesh: Mesh | None = None,
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    """Margins of the labels against the whole corpus, exact, in memory O(rows × block_size).

    margin_r = l_{r,y} − log Σ_{j≠y} exp(l_{r,j}), l_{r,j} = queries_r · item_table_j + item_bias_j.

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
      where: [rows] bool; False rows have margin 0 and no gradient.
      mesh: if given, `queries`, `labels` and `where` are sharded over its axis 'data' and the table's rows over its
        axis 'model', whose size must divide N.
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
    item_bias = jnp.zeros(num_items, jnp.float32) if item_bias is None else item_bias
    where = jnp.ones(rows, bool) if where is None else where
    if not block_size:
        block_size = _suited_block(queries, item_table)
    margins = _label_margins(_Plan(block_size, dtype), mesh, queries, item_table, item_bias, labels)
    return jnp.where(where, margins, 0.0)


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
def _label_margins(plan, mesh, queries, item_table, item_bias, labels):
    return _forward(plan, mesh, queries, item_table, item_bias, labels)[0]


def _forward(plan, mesh, queries, item_table, item_bias, labels):
    takes = (P(_ROWS), P(_ITEMS), P(_ITEMS), P(_ROWS))
    local = _sharded(_local_forward, plan, mesh, takes, (P(_ROWS), P(_ROWS), P(_ROWS), P(_ITEMS, _ROWS)))
    label_logits, largest, log_total, exponentials = local(queries, item_table, item_bias, labels)
    # In this order: largest + log_total, at large logits, would round log_total away.
    margins = (label_logits - largest) - log_total
    margins = jnp.where(jnp.isneginf(log_total), 0.0, margins)
    return margins, (queries, item_table, item_bias, labels, largest, log_total, exponentials)


def _backward(plan, mesh, residuals, cotangents):
    queries, item_table, item_bias, labels, largest, log_total, exponentials = residuals
    alone = jnp.isneginf(log_total)
    log_total, cotangents = jnp.where(alone, 0.0, log_total), jnp.where(alone, 0.0, cotangents)
    takes = (P(_ROWS), P(_ITEMS), P(_ITEMS), P(_ROWS), P(_ROWS), P(_ROWS), P(_ITEMS, _ROWS), P(_ROWS))
    local = _sharded(_local_backward, plan, mesh, takes, (P(_ROWS), P(_ITEMS), P(_ITEMS)))
    d_queries, d_table, d_bias = local(
        queries, item_table, item_bias, labels, largest, log_total, exponentials, cotangents
    )
    return d_queries, d_table, d_bias, None


_label_margins.defvjp(_forward, _backward)


def _sharded(function, plan, mesh, takes, gives):
    # The function of each device's part of its arguments, which the mesh shards as `takes` and its results as `gives`.
    local = functools.partial(function, plan, mesh is not None)
    if mesh is None:
        return local
    return jax.shard_map(local, mesh=mesh, in_specs=takes, out_specs=gives, check_vma=False)


def _local_labels(labels, num_local, sharded):
    """Labels as row numbers of this shard's part of the table, and whether they lie in it."""
    local = labels - lax.axis_index(_ITEMS) * num_local if sharded else labels
    return local, (local >= 0) & (local < num_local)


def _even_blocks(num_items, block_size):
    """(blocks, size of each): as few blocks of at most `block_size` as there can be, all but the last alike."""
    num_blocks = -(-num_items // block_size)
    return num_blocks, -(-num_items // num_blocks)


def _block(table, bias, index, block_size):
    """Block `index` of the table. The last one is moved back to fit; the rows it repeats come with bias −inf."""
    num_items = table.shape[0]
    start = jnp.minimum(index * block_size, num_items - block_size)
    vectors = lax.dynamic_slice_in_dim(table, start, block_size)  # [block, D]
    biases = lax.dynamic_slice_in_dim(bias, start, block_size)  # [block]
    fresh = start + jnp.arange(block_size) >= index * block_size
    return start, vectors, jnp.where(fresh, biases, -jnp.inf)


def _block_logits(queries, vectors, biases, start, labels):
    """[block, rows]. Rows last: a CPU sums many of them in one instruction, and no product has to transpose a block."""
    logits = jnp.matmul(vectors, queries.T, preferred_element_type=jnp.float32) + biases[:, None]
    is_label = labels - start == jnp.arange(vectors.shape[0])[:, None]
    return jnp.where(is_label, -jnp.inf, logits)


def _local_forward(plan, sharded, queries, table, bias, labels):
    # The label's logit, the largest of the others, the logarithm of Σ exp(l − largest) of these, each [rows]; and the
    # exponentials [N, rows], None where they are not kept.
    queries, table = queries.astype(plan.dtype), table.astype(plan.dtype)
    labels, here = _local_labels(labels, table.shape[0], sharded)
    if plan.block_size == _WHOLE:
        logits = _block_logits(queries, table, bias, 0, labels)
        largest = logits.max(axis=0)
    elif plan.block_size == _ON_CHIP:
        largest, total = softmax_kernels.totals(queries, table, bias, labels)
    else:
        largest, total = _blocks_total(plan.block_size, queries, table, bias, labels)
    everywhere = lax.pmax(largest, _ITEMS) if sharded else largest
    shift = jnp.where(jnp.isfinite(everywhere), everywhere, 0.0)
    if plan.block_size == _WHOLE:
        exponentials = jnp.exp(logits - shift)
        total = exponentials.sum(axis=0)
    else:
        exponentials = None
        total *= jnp.exp(largest - shift)
    label_rows = jnp.where(here, labels, 0)
    label_vectors = table[label_rows].astype(jnp.float32)
    label_logits = jnp.sum(queries.astype(jnp.float32) * label_vectors, axis=1) + bias[label_rows]
    label_logits = jnp.where(here, label_logits, 0.0)
    if sharded:
        total, label_logits = lax.psum((total, label_logits), _ITEMS)
    return label_logits, shift, jnp.log(total), exponentials


def _blocks_total(block_size, queries, table, bias, labels):
    # The largest logit of each row and Σ exp(l − largest), one block after the other: [rows] each.
    rows = queries.shape[0]
    num_blocks, block_size = _even_blocks(table.shape[0], block_size)

    def accumulate(index, carry):
        largest, total = carry
        start, vectors, biases = _block(table, bias, index, block_size)
        logits = _block_logits(queries, vectors, biases, start, labels)
        new_largest = jnp.maximum(largest, logits.max(axis=0))
        shift = jnp.where(jnp.isfinite(new_largest), new_largest, 0.0)  # nothing but −inf so far
        total = total * jnp.exp(largest - shift) + jnp.exp(logits - shift).sum(axis=0)
        return new_largest, total

    empty = (jnp.full(rows, -jnp.inf, jnp.float32), jnp.zeros(rows, jnp.float32))
    return lax.fori_loop(0, num_blocks, accumulate, empty)


def _local_backward(plan, sharded, queries, table, bias, labels, largest, log_total, exponentials, cotangents):
    labels, here = _local_labels(labels, table.shape[0], sharded)
    weights = -cotangents * jnp.exp(-log_total)  # the gradient by a logit l is exp(l − largest) times this
    factors = queries.astype(plan.dtype), table.astype(plan.dtype)
    if plan.block_size == _WHOLE:
        d_queries, d_table, d_bias = _products(*factors, exponentials, weights)
    elif plan.block_size == _ON_CHIP:
        d_queries, d_table, d_bias = softmax_kernels.gradients(*factors, bias, labels, largest, weights)
        d_queries = d_queries.T
    else:
        d_queries, d_table, d_bias = _blocks_gradient(plan.block_size, *factors, bias, labels, largest, weights)
    label_rows = jnp.where(here, labels, 0)
    d_label = jnp.where(here, cotangents, 0.0)  # ∂m/∂l_y = 1
    d_queries = d_queries.T + d_label[:, None] * table[label_rows]
    d_table = d_table.at[label_rows].add(d_label[:, None] * queries)
    d_bias = d_bias.at[label_rows].add(d_label)
    if sharded:
        d_queries = lax.psum(d_queries, _ITEMS)
        d_table, d_bias = lax.psum((d_table, d_bias), _ROWS)
    return d_queries.astype(queries.dtype), d_table.astype(table.dtype), d_bias.astype(bias.dtype)


def _blocks_gradient(block_size, queries, table, bias, labels, largest, weights):
    # As `_products`, of the whole table, one block after the other.
    num_blocks, block_size = _even_blocks(table.shape[0], block_size)

    def accumulate(index, carry):
        d_queries, d_table, d_bias = carry
        start, vectors, biases = _block(table, bias, index, block_size)
        logits = _block_logits(queries, vectors, biases, start, labels)
        d_queries_here, d_vectors, d_biases = _products(queries, vectors, jnp.exp(logits - largest), weights)
        return d_queries + d_queries_here, _add_slice(d_table, d_vectors, start), _add_slice(d_bias, d_biases, start)

    zeros = tuple(jnp.zeros(x.shape, jnp.float32) for x in (queries.T, table, bias))
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
    where: jax.Array | None = None,
) -> jax.Array:
    """Margins of the labels against sampled candidates, with the logQ correction.

    margin_r = l_{r,y} − log Σ_{c: id_c ≠ y} exp(l_{r,c} − log E[count_c]).

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
      where: [rows] bool; False rows have margin 0 and no gradient.

    Returns:
      [rows] float32. A row all of whose candidates are its own label has nothing to be compared with: margin 0, no
      gradient.

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
    label_logits = jnp.sum(queries * label_vectors, axis=1, dtype=jnp.float32)
    logits = jnp.matmul(queries, candidate_vectors.T, preferred_element_type=jnp.float32)  # [rows, C]
    logits -= log_expected_counts
    counted = (candidate_ids != labels[:, None]) & jnp.isfinite(log_expected_counts)
    comparable = counted.any(axis=1)
    # A row without candidates would make log-sum-exp's gradient NaN even where its result is not used.
    logits = jnp.where(counted, logits, jnp.where(comparable, -jnp.inf, 0.0)[:, None])
    # The label's logit goes in, not on top: a sum of large logits would round their difference away.
    margins = -jax.nn.logsumexp(logits - label_logits[:, None], axis=1)
    used = comparable if where is None else comparable & where
    return jnp.where(used, margins, 0.0)
