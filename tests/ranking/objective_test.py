"""Losses and task weights by visible arithmetic, with masks, extremes and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ranking.model.task_weights import TaskWeights
from ranking.objective import bpr, logloss

LOGITS = np.array([[2.0, -1.0, 0.7], [0.0, 3.0, -2.0]], np.float32)
LABELS = np.array([[1.0, 0.0, 0.3], [0.0, 1.0, 1.0]], np.float32)
WHERE = np.array([[1, 1, 1], [1, 0, 1]], bool)
BATCH = jnp.asarray(LOGITS), jnp.asarray(LABELS)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def test_logloss_is_equation_9():
    p = sigmoid(LOGITS)
    each = -LABELS * np.log(p) - (1 - LABELS) * np.log(1 - p)
    np.testing.assert_allclose(logloss(*BATCH, where=jnp.asarray(WHERE)), each[WHERE].mean(), rtol=1e-6)


def test_bpr_compares_the_pairs_of_a_row():
    # Row 0: 1 > 0.3 > 0; row 1: the last over the first, the second is masked out.
    pairs = [2.0 - -1.0, 2.0 - 0.7, 0.7 - -1.0, -2.0 - 0.0]
    expected = np.mean([-np.log(sigmoid(difference)) for difference in pairs])
    np.testing.assert_allclose(bpr(*BATCH, where=jnp.asarray(WHERE)), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", [logloss, bpr])
def test_losses_are_finite_at_extremes_and_zero_where_all_is_masked(loss):
    for scale in (1e4, -1e4):
        value, gradient = jax.value_and_grad(loss)(LOGITS * scale, LABELS, where=WHERE)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    value, gradient = jax.value_and_grad(loss)(LOGITS, LABELS, where=np.zeros_like(WHERE))
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("loss", [logloss, bpr])
def test_what_is_masked_has_no_gradient(loss):
    gradient = jax.grad(loss)(LOGITS, LABELS, where=WHERE)
    assert gradient[1, 1] == 0.0
    assert (np.asarray(gradient)[WHERE] != 0).all()


def test_fixed_weights_are_shares():
    weights = TaskWeights(3, fixed=(1.0, 1.0, 2.0))
    np.testing.assert_allclose(weights(), [0.25, 0.25, 0.5])
    np.testing.assert_allclose(weights.combine(jnp.array([4.0, 8.0, 10.0])), 1 + 2 + 5)
    assert not jax.tree.leaves(nnx.state(weights, nnx.Param))


@pytest.mark.parametrize("fixed", [(1.0,), (1.0, -1.0, 1.0), (0.0, 0.0, 0.0)])
def test_weights_that_are_no_shares(fixed):
    with pytest.raises(ValueError, match="3 tasks: as many weights of at least 0"):
        TaskWeights(3, fixed=fixed)


def test_adapted_weights_sum_to_one_and_tend_to_one_over_the_loss():
    graph, params = nnx.split(TaskWeights(3))
    losses = jnp.array([0.2, 0.4, 0.8])
    optimizer = optax.adam(0.05)
    combined = jax.jit(jax.value_and_grad(lambda params: nnx.merge(graph, params).combine(losses)))
    value, _ = combined(params)
    np.testing.assert_allclose(value, losses.mean(), rtol=1e-6)  # λ starts at 1 / K
    state = optimizer.init(params)
    for _ in range(300):
        _, gradient = combined(params)
        updates, state = optimizer.update(gradient, state)
        params = optax.apply_updates(params, updates)
    found = np.asarray(nnx.merge(graph, params)())
    np.testing.assert_allclose(found, (1 / losses) / (1 / losses).sum(), rtol=1e-2)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-6)


def test_adapted_weights_reach_the_model_as_factors_alone():
    weights = TaskWeights(2)
    assert weights.log_variance is not None
    weights.log_variance[...] = jnp.array([0.0, np.log(3.0)])  # λ = 3/4, 1/4
    gradient = jax.grad(lambda losses: weights.combine(losses))(jnp.array([5.0, 7.0]))
    np.testing.assert_allclose(gradient, [0.75, 0.25], rtol=1e-6)
