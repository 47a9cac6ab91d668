"""The joint objective against equation 1 in float64, and the bounds of its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nn.softmax import label_margins
from retrieval.losses import joint_loss

ROWS, N = 5, 11
LABELS = np.array([0, 10, 3, 3, 7])
POSITIVE = np.array([True, False, True, False, False])
NEGATIVE = np.array([False, True, True, False, True])  # row 2 is both, row 3 neither
R, W = np.array([1.0, 1.0, 0.5, 1.0, 1.0]), np.array([1.0, 300.0, 2.0, 1.0, 0.25])


def probabilities(logits):
    """p(label) and q, the softmax over all but the label, of each row, in float64."""
    logits, rows = np.asarray(logits, np.float64), np.arange(len(logits))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    others = logits.copy()
    others[rows, LABELS] = -np.inf
    q = np.exp(others - others.max(axis=1, keepdims=True))
    return p[rows, LABELS], q / q.sum(axis=1, keepdims=True)


@jax.jit
def loss_and_gradient(logits, is_positive, is_negative, positive_weights, negative_weights):
    """Losses [rows] and the gradient of their sum to each logit: row r's logits are table[:, r]."""

    def total(logits):
        margins = label_margins(jnp.eye(ROWS), logits.T, LABELS, block_size=4)
        losses = joint_loss(
            margins,
            is_positive=is_positive,
            is_negative=is_negative,
            positive_weights=positive_weights,
            negative_weights=negative_weights,
        )
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(logits)
    return losses, gradient


def random_logits():
    return np.random.default_rng(0).normal(scale=2.0, size=(ROWS, N)).astype(np.float32)


def test_equation_one():
    logits = random_logits()
    losses, gradient = loss_and_gradient(logits, POSITIVE, NEGATIVE, R, W)
    p, q = probabilities(logits)
    np.testing.assert_allclose(losses, -R * POSITIVE * np.log(p) - W * NEGATIVE * np.log(1 - p), rtol=1e-5)
    # −r log p: r (p − 1) at the label, r (1 − p) q elsewhere. −w log(1 − p): w p at the label, −w p q elsewhere.
    at_label = -R * POSITIVE * (1 - p) + W * NEGATIVE * p
    expected = -at_label[:, None] * q
    expected[np.arange(ROWS), LABELS] = at_label
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_gradient_is_that_of_finite_differences():
    logits = random_logits()
    _, gradient = loss_and_gradient(logits, POSITIVE, NEGATIVE, R, W)

    def loss(logits):
        p, _ = probabilities(logits)
        return np.sum(-R * POSITIVE * np.log(p) - W * NEGATIVE * np.log(1 - p))

    h = 1e-5
    for row, item in np.ndindex(ROWS, N):
        step = np.zeros((ROWS, N))
        step[row, item] = h
        slope = (loss(logits + step) - loss(logits - step)) / (2 * h)
        assert gradient[row, item] == pytest.approx(slope, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_negative_term_is_bounded_by_w_p(size):
    logits = np.random.default_rng(1).uniform(-size, size, (ROWS, N)).astype(np.float32)
    logits[0, LABELS[0]], logits[1, LABELS[1]] = size, -size
    every, none = np.ones(ROWS, bool), np.zeros(ROWS, bool)
    losses, gradient = loss_and_gradient(logits, none, every, R, W)
    p, _ = probabilities(logits)
    assert np.all(np.isfinite(losses))
    assert np.all(np.abs(gradient) <= (W * p * (1 + 1e-4))[:, None] + 1e-30)
    np.testing.assert_allclose(np.asarray(gradient)[np.arange(ROWS), LABELS], W * p, rtol=2e-3, atol=1e-30)


def test_negative_term_vanishes_with_p_and_positive_term_with_one_minus_p():
    margins = jnp.array([-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4])

    def slopes(**kinds):
        return jax.grad(lambda m: joint_loss(m, negative_weights=300.0, positive_weights=2.0, **kinds).sum())(margins)

    every, none = jnp.ones(7, bool), jnp.zeros(7, bool)
    p = 1 / (1 + np.exp(-np.float64(np.clip(margins, -700, 700))))
    p[0], p[-1] = 0.0, 1.0
    np.testing.assert_allclose(slopes(is_positive=none, is_negative=every), 300 * p, rtol=1e-5, atol=1e-30)
    expected = -2 / (1 + np.exp(np.float64(np.clip(margins, -700, 700))))
    np.testing.assert_allclose(slopes(is_positive=every, is_negative=none), expected, rtol=1e-5, atol=1e-30)
    # −log p at p → 0, and −log(1 − p) at p → 1, are the margin itself.
    positive = joint_loss(margins, is_positive=every, is_negative=none)
    negative = joint_loss(margins, is_positive=none, is_negative=every)
    np.testing.assert_allclose([positive[0], negative[-1]], 1e4)
    assert positive[-1] == negative[0] == 0.0


def test_masked_rows_are_zero_whatever_their_margin():
    margins = jnp.array([jnp.nan, jnp.inf, -jnp.inf, 0.0])
    where = jnp.array([False, False, False, True])
    every = jnp.ones(4, bool)

    def total(margins):
        losses = joint_loss(margins, is_positive=every, is_negative=every, where=where)
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(margins)
    # At margin 0, p = 1/2: both terms are log 2, and their slopes −1/2 and +1/2 cancel.
    np.testing.assert_allclose(losses, [0, 0, 0, 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [0, 0, 0, 0])
    neither = joint_loss(margins, is_positive=~every, is_negative=~every)
    np.testing.assert_array_equal(neither, [0, 0, 0, 0])


@pytest.mark.parametrize("wrong", ["is_positive", "is_negative", "where"])
def test_a_mask_of_another_shape(wrong):
    masks = dict.fromkeys(("is_positive", "is_negative", "where"), jnp.ones(3, bool)) | {wrong: jnp.ones((3, 1), bool)}
    with pytest.raises(ValueError, match=rf"{wrong} has shape \(3, 1\), margins \(3,\)"):
        joint_loss(jnp.zeros(3), **masks)
