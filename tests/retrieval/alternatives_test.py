"""The paper's alternatives against float64 NumPy and finite differences, and what becomes of each as p → 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrieval.alternatives import beside, joined_margins, negative_weight_loss, reinforce_loss
from retrieval.losses import joint_loss

M = np.array([-30.0, -6.0, -1.5, 0.0, 0.7, 5.0])
POSITIVE = np.array([True, False, True, False, False, False])
NEGATIVE = np.array([False, True, False, True, False, True])  # row 4 is neither
R, W = np.array([2.0, 1.0, 0.5, 1.0, 1.0, 1.0]), np.array([1.0, 3.0, 1.0, 0.5, 9.0, 2.0])
LOG_BEHAVIOUR = np.log([1e-3, 0.1, 0.5, 0.02, 0.3, 0.9])
EVERY, NONE = np.ones(6, bool), np.zeros(6, bool)
WEIGHTED = {"is_positive": POSITIVE, "is_negative": NEGATIVE, "positive_weights": R, "negative_weights": W}


def log_p(margins):
    return -np.logaddexp(0.0, -np.float64(margins))


def slopes(loss, margins):
    """Losses and their derivatives, float32."""
    margins = jnp.asarray(margins, jnp.float32)
    return np.asarray(loss(margins)), np.asarray(jax.grad(lambda m: loss(m).sum())(margins))


def finite_differences(loss, margins, h=1e-5):
    return (loss(margins + h) - loss(margins - h)) / (2 * h)


def test_negative_weights_in_cross_entropy():
    def reference(m):
        return -R * POSITIVE * log_p(m) + W * NEGATIVE * log_p(m)

    losses, gradient = slopes(lambda m: negative_weight_loss(m, **WEIGHTED), M)
    np.testing.assert_allclose(losses, reference(M), rtol=1e-5)
    np.testing.assert_allclose(gradient, finite_differences(reference, M), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("top_k", "cap"), [(1, np.inf), (16, np.inf), (16, 2.0)])
def test_reinforce_is_log_p_times_a_correction_that_has_no_gradient(top_k, cap):
    p = np.exp(log_p(M))
    correction = np.minimum(p / np.exp(LOG_BEHAVIOUR), cap) * top_k * (1 - p) ** (top_k - 1)
    reward = R * POSITIVE - W * NEGATIVE

    def loss(m):
        return reinforce_loss(m, jnp.float32(LOG_BEHAVIOUR), **WEIGHTED, top_k=top_k, weight_cap=cap)

    losses, gradient = slopes(loss, M)
    np.testing.assert_allclose(losses, -reward * correction * log_p(M), rtol=1e-4)
    held = finite_differences(lambda m: -reward * correction * log_p(m), M)  # the correction stays that of M
    np.testing.assert_allclose(gradient, held, rtol=1e-4, atol=1e-6)


def test_as_p_vanishes_ours_lets_go_and_the_negative_weight_does_not():
    margins = np.array([0.0, -10.0, -20.0, -40.0, -80.0, -1e4])
    kinds = {"is_positive": NONE, "is_negative": EVERY, "negative_weights": 3.0}
    ours, our_pull = slopes(lambda m: joint_loss(m, **kinds), margins)
    theirs, their_pull = slopes(lambda m: negative_weight_loss(m, **kinds), margins)
    p = np.exp(log_p(margins))
    np.testing.assert_allclose(our_pull, 3 * p, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(their_pull, 3 * (1 - p), rtol=1e-5)
    # Bounded below by 0, against a loss that can always fall further.
    assert np.all(ours >= 0)
    np.testing.assert_allclose(theirs[1:], 3 * margins[1:], rtol=1e-4)
    # In p itself, dm/dp = 1 / (p (1 − p)): 3 / (1 − p) against 3 / p.
    in_p = 1 / (p[:-1] * (1 - p[:-1]))
    np.testing.assert_allclose(our_pull[:-1] * in_p, 3 / (1 - p[:-1]), rtol=1e-4)
    np.testing.assert_allclose(their_pull[:-1] * in_p, 3 / p[:-1], rtol=1e-4)
    assert (their_pull[:-1] * in_p)[-1] > 1e34 > 10 > (our_pull[:-1] * in_p).max()


def test_gradients_of_embeddings_explode_under_a_negative_weight_and_die_out_under_ours():
    # One user, one disliked item, nine others: gradient descent on query and item vectors, whose product is the logit.
    rng = np.random.default_rng(0)
    start = {"query": rng.normal(size=4), "items": rng.normal(size=(10, 4))}

    def norms(loss, steps=200):
        def total(params):
            logits = params["items"] @ params["query"]
            margin = logits[0] - jax.nn.logsumexp(logits[1:])
            return loss(margin[None], is_positive=jnp.array([False]), is_negative=jnp.array([True]))[0]

        @jax.jit
        def descend(params):
            gradient = jax.grad(total)(params)
            squares = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
            return jax.tree.map(lambda x, g: x - 0.1 * g, params, gradient), jnp.sqrt(squares)

        params, found = jax.tree.map(jnp.float32, start), []
        for _ in range(steps):
            params, norm = descend(params)
            found.append(float(norm))
        return np.array(found)

    ours, theirs = norms(joint_loss), norms(negative_weight_loss)
    assert ours[-1] < 0.1 * ours.max()
    assert theirs[-1] > 1e4 * theirs[0] or not np.isfinite(theirs[-1])


def test_reinforce_pulls_with_the_cap_where_the_log_hardly_ever_chose_the_item():
    # p = β · c: the importance weight is at its cap however small p is, so the pull is w · c · K (1 − p)^K.
    p = np.array([1e-3, 1e-6, 1e-9])
    margins = np.log(p) - np.log1p(-p)
    kinds = {"is_positive": np.zeros(3, bool), "is_negative": np.ones(3, bool), "negative_weights": 2.0}

    def loss(m):
        return reinforce_loss(m, jnp.float32(np.log(p / 20)), **kinds, top_k=16, weight_cap=20.0)

    _, pull = slopes(loss, margins)
    np.testing.assert_allclose(pull, 2 * 20 * 16 * (1 - p) ** 16, rtol=1e-4)


@pytest.mark.parametrize("loss", [negative_weight_loss, reinforce_loss])
def test_rows_without_a_label_are_zero_whatever_they_hold(loss):
    margins = jnp.array([jnp.nan, jnp.inf, -jnp.inf, 0.0, 0.0, 0.0])
    behaviour = (jnp.array([jnp.nan, -jnp.inf, jnp.inf, 0.0, 0.0, 0.0]),) if loss is reinforce_loss else ()
    kinds = {"is_positive": NONE, "is_negative": margins == 0}

    def total(m):
        losses = loss(m, *behaviour, **kinds)
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(margins)
    np.testing.assert_array_equal(losses[:3], 0.0)
    np.testing.assert_array_equal(gradient[:3], 0.0)
    assert np.all(np.isfinite(losses))
    assert np.all(np.isfinite(gradient))


LOGITS = np.random.default_rng(1).normal(size=(3, 8))
LABEL = np.array([2, 5, 0])
DISLIKED, THERE = np.array([[1, 4], [6, 6], [3, 3]]), np.array([[True, True], [False, True], [False, False]])


def upweighted(logits, weight):
    """Of float64 logits: the margin in which disliked items count `weight` times."""
    found = []
    for row, label in enumerate(LABEL):
        times = np.ones(8)
        np.add.at(times, DISLIKED[row][THERE[row]], weight - 1)
        others = np.arange(8) != label
        found.append(logits[row, label] - np.log(np.sum(times[others] * np.exp(logits[row, others]))))
    return np.array(found)


@pytest.mark.parametrize("weight", [1.0, 2.5, 300.0])
def test_disliked_items_count_more_among_the_negatives(weight):
    rows = np.arange(3)

    def margins(logits):
        others = jnp.where(jnp.arange(8) == LABEL[:, None], -jnp.inf, logits)
        plain = logits[rows, LABEL] - jax.nn.logsumexp(others, axis=1)
        disliked = logits[rows[:, None], DISLIKED]
        return joined_margins(plain, logits[rows, LABEL], disliked, weight=weight - 1, where=THERE)

    found, gradient = margins(jnp.float32(LOGITS)), jax.grad(lambda x: margins(x).sum())(jnp.float32(LOGITS))
    np.testing.assert_allclose(found, upweighted(LOGITS, weight), rtol=1e-4, atol=1e-6)
    h = 1e-5
    for row, item in np.ndindex(3, 8):
        step = np.zeros((3, 8))
        step[row, item] = h
        slope = (upweighted(LOGITS + step, weight) - upweighted(LOGITS - step, weight)).sum() / (2 * h)
        assert gradient[row, item] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_the_dislikes_beside_a_label_are_those_of_its_own_window():
    #         window 0          window 1
    marked = np.array([[0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]], bool)
    window = np.array([[0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2, 2]])
    places, there = beside(jnp.asarray(marked), jnp.asarray(window))
    none = [[], []]
    expected = [[[], [1]], [[1], [1]], [[1], []], [[1], []], [[], [5]], [[5], [5]], [[5], []]]
    for segment, rows in ((0, expected), (1, [none] * 7)):
        for row, (before, after) in enumerate(rows):
            found = [places[segment, row, side][None][there[segment, row, side][None]].tolist() for side in (0, 1)]
            assert found == [before, after]


def test_impossible_settings():
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        reinforce_loss(jnp.zeros(6), jnp.zeros(6), is_positive=EVERY, is_negative=NONE, top_k=0)
    with pytest.raises(ValueError, match="weight must be 0 or more"):
        joined_margins(jnp.zeros(3), jnp.zeros(3), jnp.zeros((3, 2)), weight=-0.5, where=THERE)
