"""Softmax margins against a float64 brute force: values, gradients, masks, extremes, memory."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nn import softmax_kernels
from nn.softmax import label_margins, sampled_label_margins

ROWS, N, D = 6, 23, 6
KERNELS = -1  # in place of a block size: as on a GPU that has kernels


def kernels(used):
    """Whether they are used; with several blocks, parts of what these are summed over, and tiles in each."""
    tile = softmax_kernels._Tile(rows=2, items=4)
    tiles = {"_TOTALS": tile, "_BY_QUERIES": tile, "_BY_ITEMS": tile, "_PROGRAMS": 8}
    return mock.patch.multiple(softmax_kernels, suit=lambda queries, table: used, **tiles)


def brute_force(queries, table, bias, labels, cotangents, left_out=False):
    """Margins, and the gradients of Σ_r cotangent_r · margin_r to queries, table and bias, in float64.

    left_out: [ROWS, N] bool, items that a row is not compared with besides its label.
    """
    queries, table, bias = (np.asarray(a, np.float64) for a in (queries, table, bias))
    rows = np.arange(len(queries))
    logits = queries @ table.T + bias
    others = np.where(left_out, -np.inf, logits)
    others[rows, labels] = -np.inf
    largest = others.max(axis=1, keepdims=True)
    rest = largest[:, 0] + np.log(np.exp(others - largest).sum(axis=1))
    d_logits = -cotangents[:, None] * np.exp(others - rest[:, None])
    d_logits[rows, labels] = cotangents
    return logits[rows, labels] - rest, (d_logits @ table, d_logits.T @ queries, d_logits.sum(axis=0))


def random_case(seed=0, scale=1.0, dim=D):
    rng = np.random.default_rng(seed)
    queries = (scale * rng.normal(size=(ROWS, dim))).astype(np.float32)
    table = rng.normal(size=(N, dim)).astype(np.float32)
    bias = rng.normal(size=N).astype(np.float32)
    labels = np.array([0, N - 1, 7, 7, 13, 6])  # ends of the table and of blocks of 7; one label twice
    return queries, table, bias, labels, rng.normal(size=ROWS)


def extreme_case():
    """Logits of ±1e4 that float32 holds exactly: whole numbers, one product each. Row r's logits are ± table[:, r]."""
    rng = np.random.default_rng(1)
    queries = np.eye(ROWS, dtype=np.float32) * np.where(np.arange(ROWS) % 2, -1, 1)
    table = rng.integers(-3, 4, size=(N, ROWS)).astype(np.float32)
    table[rng.random((N, ROWS)) < 0.2] = 1e4
    table[rng.random((N, ROWS)) < 0.2] = -1e4
    table[:, 0] = -1e4  # all alike, far below zero
    table[:, 1] = np.where(np.arange(N) == 5, -1e4, 1e4)  # row 1 has the sign −: its label 5 is at 1e4, all else −1e4
    table[:, 2] = np.where(np.arange(N) == 5, -1e4, 1e4)  # the opposite
    labels = np.array([3, 5, 5, 8, 0, N - 1])
    return queries, table, np.zeros(N, np.float32), labels, np.linspace(-1, 1, ROWS)


@functools.partial(jax.jit, static_argnames=("block_size", "dtype"))
def margins_and_gradients(queries, table, bias, labels, cotangents, *, block_size, dtype=jnp.float32, **where):
    def weighted(queries, table, bias):
        with kernels(block_size == KERNELS):
            options = {"item_bias": bias, "block_size": max(block_size, 0), "dtype": dtype}
            margins = label_margins(queries, table, labels, **options, **where)
        return jnp.sum(margins * cotangents), margins

    gradients, margins = jax.grad(weighted, argnums=(0, 1, 2), has_aux=True)(queries, table, bias)
    return margins, gradients


@pytest.mark.parametrize("case", [random_case(), random_case(1, scale=30.0), random_case(3, dim=75), extreme_case()])
@pytest.mark.parametrize("block_size", [0, 1, 7, N, N + 5, KERNELS])
def test_margins_and_gradients(case, block_size):
    margins, gradients = margins_and_gradients(*case, block_size=block_size)
    expected, expected_gradients = brute_force(*case)
    np.testing.assert_allclose(margins, expected, rtol=1e-5, atol=3e-5)
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        scale = max(1.0, np.abs(reference).max())
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=3e-5 * scale)


@pytest.mark.parametrize("block_size", [0, 7, KERNELS])
def test_products_of_bfloat16_numbers_are_summed_in_float32(block_size):
    """The margins of rounded queries and vectors, to float32's own error; gradients to that of one more rounding."""
    queries, table, bias, labels, cotangents = random_case(dim=75)
    rounded = [np.asarray(jnp.asarray(factor, jnp.bfloat16), np.float32) for factor in (queries, table)]
    case = (queries, table, bias, labels, cotangents)
    margins, gradients = margins_and_gradients(*case, block_size=block_size, dtype=jnp.bfloat16)
    expected, expected_gradients = brute_force(*rounded, bias, labels, cotangents)
    np.testing.assert_allclose(margins, expected, rtol=1e-5, atol=3e-5)
    assert np.abs(margins - brute_force(*case)[0]).max() > 1e-3  # what float32 factors would give is another
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        assert gradient.dtype == np.float32
        assert np.linalg.norm(gradient - reference) < 2**-8 * np.linalg.norm(reference)


@pytest.mark.parametrize("block_size", [0, 7, KERNELS])
def test_gradients_are_those_of_finite_differences(block_size):
    queries, table, bias, labels, cotangents = random_case(2)
    _, gradients = margins_and_gradients(queries, table, bias, labels, cotangents, block_size=block_size)
    inputs = [queries.astype(np.float64), table.astype(np.float64), bias.astype(np.float64)]
    rng, h = np.random.default_rng(0), 1e-5
    for which, gradient in enumerate(gradients):
        direction = rng.normal(size=inputs[which].shape)

        def along(t, which=which, direction=direction):
            moved = [x + t * direction if i == which else x for i, x in enumerate(inputs)]
            return cotangents @ brute_force(*moved, labels, cotangents)[0]

        slope = (along(h) - along(-h)) / (2 * h)
        assert np.sum(np.asarray(gradient, np.float64) * direction) == pytest.approx(slope, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("block_size", [0, 5, KERNELS])
def test_a_bias_of_minus_infinity_takes_items_out(block_size):
    queries, table, bias, labels, cotangents = random_case()
    bias = bias.copy()
    out = [1, 2, 3, 4, 5, 14, 20, 21]  # a whole block of the five-item blocks, among others
    bias[out] = -np.inf
    kept = np.setdiff1d(np.arange(N), out)
    margins, gradients = margins_and_gradients(queries, table, bias, labels, cotangents, block_size=block_size)
    expected, (d_queries, d_table, d_bias) = brute_force(
        queries, table[kept], bias[kept], np.searchsorted(kept, labels), cotangents
    )
    np.testing.assert_allclose(margins, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradients[0], d_queries, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients[1][kept], d_table, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients[2][kept], d_bias, rtol=1e-4, atol=1e-5)
    assert not np.any(gradients[1][np.array(out)])
    assert not np.any(gradients[2][np.array(out)])


@pytest.mark.parametrize("block_size", [0, 7, KERNELS])
def test_a_row_is_compared_with_the_items_that_were_there(block_size):
    case = random_case()
    place = np.random.default_rng(4).permutation(N)
    there = np.array([1, N, 12, 5, 20, 0])  # no other, all others; of none there is nothing to be compared with
    place[case[3][0]], place[place == 0] = 0, place[case[3][0]]  # row 0 has its own label alone
    margins, gradients = margins_and_gradients(*case, block_size=block_size, place=place, there=there)
    compared = np.flatnonzero(there > 1)
    queries, table, bias, labels, cotangents = case
    left_out = place >= there[compared, None]
    expected, (d_queries, d_table, d_bias) = brute_force(
        queries[compared], table, bias, labels[compared], cotangents[compared], left_out
    )
    np.testing.assert_allclose(margins[compared], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradients[0][compared], d_queries, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients[1], d_table, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients[2], d_bias, rtol=1e-4, atol=1e-5)
    for nothing in (0, 5):
        assert margins[nothing] == 0.0
        assert not np.any(gradients[0][nothing])


@pytest.mark.parametrize("block_size", [0, 5, KERNELS])
def test_masked_rows_are_zero_and_have_no_gradient(block_size):
    queries, table, bias, labels, cotangents = random_case()
    where = np.array([True, False, True, False, True, True])
    margins, gradients = margins_and_gradients(
        queries, table, bias, labels, cotangents, block_size=block_size, where=where
    )
    expected, expected_gradients = brute_force(queries[where], table, bias, labels[where], cotangents[where])
    np.testing.assert_allclose(margins[where], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(margins[~where], 0.0)
    np.testing.assert_array_equal(gradients[0][~where], 0.0)
    np.testing.assert_allclose(gradients[0][where], expected_gradients[0], rtol=1e-4, atol=1e-5)
    for gradient, reference in zip(gradients[1:], expected_gradients[1:], strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [0, 7, KERNELS])
def test_a_label_that_is_alone_in_the_corpus_has_margin_zero_and_no_gradient(block_size):
    queries, table, _, _, cotangents = random_case()
    bias = np.where(np.arange(N) == 7, 0.0, -np.inf).astype(np.float32)
    margins, gradients = margins_and_gradients(
        queries, table, bias, np.full(ROWS, 7), cotangents, block_size=block_size
    )
    for array in (margins, *gradients):
        np.testing.assert_array_equal(array, 0.0)


def test_memory_does_not_grow_with_rows_times_items():
    rows, items, dim, block = 256, 200_000, 8, 1024

    def loss(queries, table, labels):
        return label_margins(queries, table, labels, block_size=block).sum()

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((rows, dim), (items, dim))]
    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    memory = compiled.lower(*shapes, jax.ShapeDtypeStruct((rows,), jnp.int32)).compile().memory_analysis()
    full_logits, table_bytes, block_bytes = 4 * rows * items, 4 * items * dim, 4 * rows * block
    assert memory.temp_size_in_bytes < 4 * block_bytes + 4 * table_bytes < full_logits / 5


@pytest.mark.parametrize(
    ("queries", "table", "labels", "block_size", "message"),
    [
        ((3, 4), (5, 6), (3,), 2, "do not fit"),
        ((3, 4), (5, 4), (2,), 2, "do not fit"),
        ((3, 4), (5, 4, 1), (3,), 2, "do not fit"),
        ((3,), (5, 4), (3,), 2, "do not fit"),
        ((3, 4), (1, 4), (3,), 2, "at least two items"),
        ((3, 4), (5, 4), (3,), -1, "block_size must not be negative, got -1"),
    ],
)
def test_arguments_that_do_not_fit(queries, table, labels, block_size, message):
    with pytest.raises(ValueError, match=message):
        label_margins(jnp.ones(queries), jnp.ones(table), jnp.zeros(labels, jnp.int32), block_size=block_size)


def test_rows_and_items_must_divide_by_the_mesh():
    mesh = jax.sharding.AbstractMesh((2, 4), ("data", "model"))
    for rows, items in ((4, 6), (3, 8)):
        with pytest.raises(ValueError, match=f"does not divide {items} items or {rows} rows"):
            label_margins(jnp.ones((rows, 2)), jnp.ones((items, 2)), jnp.zeros(rows, int), block_size=2, mesh=mesh)


@pytest.mark.parametrize("uploads", [{}, {"place": np.arange(N)[::-1].copy(), "there": np.array([2, 9, 0, 5, N, 1])}])
def test_sampled_from_all_items_is_exact(uploads):
    @jax.jit
    def sampled_and_gradients(queries, table, labels, cotangents):
        def weighted(queries, table):
            candidates = table, jnp.arange(N), jnp.zeros(N)
            margins = sampled_label_margins(queries, *candidates, table[labels], labels, **uploads)
            return jnp.sum(margins * cotangents), margins

        return jax.grad(weighted, argnums=(0, 1), has_aux=True)(queries, table)

    for queries, table, _, labels, cotangents in (random_case(), extreme_case()):
        gradients, margins = sampled_and_gradients(queries, table, labels, cotangents)
        exact, (*exact_gradients, _) = margins_and_gradients(
            queries, table, np.zeros(N, np.float32), labels, cotangents, block_size=7, **uploads
        )
        np.testing.assert_allclose(margins, exact, rtol=1e-5, atol=1e-5)
        for gradient, reference in zip(gradients, exact_gradients, strict=True):
            scale = max(1.0, np.abs(reference).max())
            np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5 * scale)


@jax.jit
def sampled(queries, vectors, ids, log_counts, labels, **options):
    """Margins and the gradient of their sum to the queries; `vectors` [N, D] are all items'."""

    def total(queries):
        margins = sampled_label_margins(
            queries, vectors[ids], ids, jnp.asarray(log_counts, jnp.float32), vectors[labels], labels, **options
        )
        return margins.sum(), margins

    gradient, margins = jax.grad(total, has_aux=True)(queries)
    return margins, gradient


def test_expected_counts_divide_and_own_labels_are_left_out():
    queries, vectors = jnp.array([[1.0], [1.0]]), jnp.log(jnp.array([[2.0], [3.0], [5.0]]))
    ids, expected_counts = jnp.array([0, 1, 1, 2]), np.array([0.5, 2.0, 2.0, 1.0])
    margins, gradient = sampled(queries, vectors, ids, np.log(expected_counts), jnp.array([1, 2]))
    # Row 0, label 1 (e^l = 3): 2 / 0.5 + 5 / 1. Row 1, label 2 (e^l = 5): 2 / 0.5 + 3 / 2 + 3 / 2.
    np.testing.assert_allclose(margins, np.log([3 / (4 + 5), 5 / (4 + 1.5 + 1.5)]), rtol=1e-6)
    # d m / d query = v_y − Σ_c q_c v_c
    expected = np.log([3, 5]) - [(4 * np.log(2) + 5 * np.log(5)) / 9, (4 * np.log(2) + 3 * np.log(3)) / 7]
    np.testing.assert_allclose(gradient[:, 0], expected, rtol=1e-5)


def test_a_row_with_nothing_to_compare_has_margin_zero_and_no_gradient():
    queries, vectors = jnp.ones((2, D)), jnp.asarray(random_case()[1])
    # The third candidate is taken out by its count; the first two are row 0's label.
    margins, gradient = sampled(queries, vectors, jnp.array([4, 4, 9]), [0.0, 0.0, np.inf], jnp.array([4, 1]))
    assert margins[0] == 0.0
    assert not np.any(gradient[0])
    # Row 1 meets item 4 twice.
    expected = jnp.sum(queries[1] * (vectors[1] - vectors[4])) - jnp.log(2.0)
    np.testing.assert_allclose(margins[1], expected, rtol=1e-5)
    np.testing.assert_allclose(gradient[1], vectors[1] - vectors[4], rtol=1e-5)


def test_no_candidate_at_all():
    margins, gradient = sampled(jnp.ones((2, D)), jnp.ones((N, D)), jnp.array([4, 5]), [np.inf] * 2, jnp.array([1, 2]))
    np.testing.assert_array_equal(margins, 0.0)
    np.testing.assert_array_equal(gradient, 0.0)


def test_sampled_masked_rows_have_no_gradient():
    queries, table, _, labels, _ = random_case()
    where = jnp.array([True, False, True, False, True, True])
    ids = jnp.arange(10)
    margins, gradient = sampled(
        jnp.asarray(queries).at[1].set(1e30), jnp.asarray(table), ids, np.zeros(10), labels, where=where
    )
    np.testing.assert_array_equal(margins[~where], 0.0)
    np.testing.assert_array_equal(gradient[~where], 0.0)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.any(gradient[where] != 0, axis=1))


def test_sampled_shapes_that_do_not_fit():
    good = {"q": (3, 4), "c": (5, 4), "ids": (5,), "counts": (5,), "lv": (3, 4), "labels": (3,)}
    for name, shape in (("c", (5, 3)), ("counts", (4,)), ("lv", (2, 4)), ("labels", (4,)), ("q", (3, 5))):
        shapes = list({**good, name: shape}.values())
        with pytest.raises(ValueError, match="do not fit"):
            sampled_label_margins(*(jnp.ones(s, jnp.int32 if i in (2, 5) else None) for i, s in enumerate(shapes)))
