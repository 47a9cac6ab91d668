"""Equations 15 to 19 against float64 NumPy; label correction's weight; masks and extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.satisfaction import get_config
from satisfaction.saqrec import losses
from satisfaction.saqrec.batch_loss import CLICK_LOSSES


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def entropy(labels, logits):
    p = sigmoid(logits)
    return -(labels * np.log(p) + (1 - labels) * np.log(1 - p))


def kl(labels, logits):
    p, labels = sigmoid(logits), np.float64(labels)
    return labels * np.log(labels / p) + (1 - labels) * np.log((1 - labels) / (1 - p))


def share_of(labels, logits):
    """λ: the CDF of Beta(1/2, 1/2) at the scaled divergence."""
    each = kl(labels, logits)
    return 2 / np.pi * np.arcsin(np.sqrt((each - each.min()) / (each.max() - each.min())))


LOGITS = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], np.float32)
IMPUTED = np.array([0.1, 0.9, 0.5, 0.7, 0.2], np.float32)
WHERE = np.array([True, True, True, True, False])
HALF = losses.beta_cdf_weight(0.5, 0.5)


def test_equation_15_is_the_mean_over_clicks_and_sampled_items():
    negative = np.array([[0.3, -1.0], [2.0, 0.1], [-0.7, 0.4]], np.float32)
    positive, where = LOGITS[:3], np.array([True, True, False])
    found = losses.click_bce(jnp.asarray(positive), jnp.asarray(negative), weights=jnp.asarray(where, jnp.float32))
    terms = [*entropy(1, positive[:2]), *entropy(0, negative[:2]).ravel()]
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-6)


def satisfaction(logits=LOGITS, imputed=IMPUTED, where=WHERE, corrects=False, weight=HALF):
    return losses.satisfaction_loss(
        jnp.asarray(logits),
        jnp.asarray(imputed),
        where=jnp.asarray(where),
        corrects=jnp.asarray(corrects),
        weight=weight,
    )


def test_equation_16_is_cross_entropy_to_the_pseudo_labels():
    np.testing.assert_allclose(satisfaction(), entropy(IMPUTED, LOGITS)[:4].mean(), rtol=1e-6)


def test_equation_17_mixes_labels_by_the_beta_distribution_of_the_scaled_divergence():
    share = share_of(IMPUTED[:4], LOGITS[:4])
    mixed = share * IMPUTED[:4] + (1 - share) * sigmoid(LOGITS[:4])
    np.testing.assert_allclose(satisfaction(corrects=True), entropy(mixed, LOGITS[:4]).mean(), rtol=1e-5)


def test_the_weight_follows_disagreement_and_not_the_entropy_of_the_label():
    imputed = np.array([0.5, 0.999, 0.999, 0.2, 0.2], np.float32)
    model = np.array([0.5, 0.9, 0.999, 0.2, 0.9])  # agrees with the first, the third and the fourth
    logits = jnp.asarray(np.log(model / (1 - model)), jnp.float32)
    found = np.asarray(HALF(losses.divergence(logits, jnp.asarray(imputed)), where=jnp.ones(5, bool)))
    np.testing.assert_allclose(found[[0, 2, 3]], 0.0, atol=2e-3)
    assert found[4] == 1.0
    kl_of_second = 0.999 * np.log(0.999 / 0.9) + 0.001 * np.log(0.001 / 0.1)
    kl_of_last = 0.2 * np.log(0.2 / 0.9) + 0.8 * np.log(0.8 / 0.1)
    np.testing.assert_allclose(found[1], 2 / np.pi * np.arcsin(np.sqrt(kl_of_second / kl_of_last)), rtol=1e-3)


def test_the_divergence_is_the_loss_less_the_entropy_of_the_label():
    np.testing.assert_allclose(losses.divergence(LOGITS, IMPUTED), kl(IMPUTED, LOGITS), rtol=1e-4, atol=1e-6)
    hard = jnp.asarray([1.0, 0.0])  # which have none: the released code's argument
    np.testing.assert_allclose(losses.divergence(LOGITS[:2], hard), entropy(hard, LOGITS[:2]), rtol=1e-6)
    assert np.isfinite(losses.divergence(jnp.asarray([1e4, -1e4]), jnp.asarray([0.0, 0.5]))).all()


def test_equation_18_switches_by_example():
    """Rows before the switch keep their pseudo-label, whatever the others have."""
    corrects = np.array([False, True, False, True, True])
    found = satisfaction(corrects=corrects)
    share = share_of(IMPUTED[:4], LOGITS[:4])
    mixed = share * IMPUTED[:4] + (1 - share) * sigmoid(LOGITS[:4])
    labels = np.where(corrects[:4], mixed, IMPUTED[:4])
    np.testing.assert_allclose(found, entropy(labels, LOGITS[:4]).mean(), rtol=1e-5)


def test_no_gradient_goes_through_the_corrected_label():
    found = jax.grad(lambda logits: satisfaction(logits=logits, corrects=True))(jnp.asarray(LOGITS))
    share = share_of(IMPUTED[:4], LOGITS[:4])
    # d/dl of −m log σ(l) − (1 − m) log(1 − σ(l)) is σ(l) − m, m a constant.
    expected = share * (sigmoid(LOGITS[:4]) - IMPUTED[:4]) / 4
    np.testing.assert_allclose(found, [*expected, 0.0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2.0, 5.0), (1.0, 1.0)])
def test_the_weight_lies_in_0_1_rises_with_the_loss_and_ends_at_0_and_1(a, b):
    rng = np.random.default_rng(0)
    each = np.sort(rng.exponential(size=50)).astype(np.float32)
    found = np.asarray(losses.beta_cdf_weight(a, b)(jnp.asarray(each), where=jnp.ones(50, bool)))
    assert found[0] == 0.0
    assert found[-1] == 1.0
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_the_weight_of_equal_losses_is_zero_and_masked_ones_do_not_scale():
    np.testing.assert_array_equal(HALF(jnp.full(3, 2.0), where=jnp.ones(3, bool)), 0.0)
    wide = HALF(jnp.asarray([1.0, 2.0, 3.0, 1e9]), where=jnp.asarray([True, True, True, False]))
    np.testing.assert_allclose(wide, [0.0, 0.5, 1.0, 0.0], atol=1e-6)  # arcsin(√½) = π / 4


@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_gradients_are_finite_at_extremes_and_when_all_is_masked(corrects, scale):
    for where in (WHERE, np.zeros(5, bool)):
        value, gradient = jax.value_and_grad(
            lambda logits, where=where: satisfaction(logits=logits, where=where, corrects=corrects)
        )(jnp.asarray(LOGITS * scale))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_equation_19_adds_up():
    params = {"a": jnp.asarray([3.0]), "b": jnp.asarray([[4.0]])}
    found = losses.total_loss(jnp.asarray(2.0), jnp.asarray(0.5), params, satisfaction_weight=0.1, l2_weight=0.01)
    np.testing.assert_allclose(found, 2.0 + 0.1 * 0.5 + 0.01 * 5.0, rtol=1e-6)  # √(3² + 4²) = 5
    gradient = jax.grad(losses.l2_norm)(jax.tree.map(jnp.zeros_like, params))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


ITEMS, DIM = 9, 4


def click_case(seed=0):
    rng = np.random.default_rng(seed)
    queries, items = rng.normal(size=(5, DIM)), rng.normal(size=(ITEMS + 1, DIM))
    return queries.astype(np.float32), items.astype(np.float32), np.array([1, 9, 4, 4, 2]), WHERE.astype(np.float32)


def test_the_exact_click_loss_is_minus_log_softmax_over_the_items_without_padding():
    queries, items, labels, weights = click_case()
    loss = CLICK_LOSSES["exact"](get_config("tiny").align, ITEMS)
    found = loss(*(jnp.asarray(a) for a in (queries, items, labels, weights)), jax.random.key(0))
    logits = np.float64(queries) @ np.float64(items[1:]).T
    log_p = logits[np.arange(5), labels - 1] - np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(found, -log_p[weights > 0].mean(), rtol=1e-5)


@pytest.mark.parametrize("name", ["exact", "bce", "sampled"])
def test_a_click_loss_is_a_weighted_mean(name):
    queries, items, labels, _ = click_case()
    config = get_config("tiny").align
    config.num_negatives = 1
    loss = CLICK_LOSSES[name](config, ITEMS)
    key = jax.random.key(0)
    each = [loss(queries, items, labels, jnp.eye(5)[row], key) for row in range(5)]
    found = loss(queries, items, labels, jnp.asarray([2.0, 1.0, 0.0, 0.0, 0.0]), key)
    np.testing.assert_allclose(found, (2 * each[0] + each[1]) / 3, rtol=1e-5)
    np.testing.assert_array_equal(loss(queries, items, labels, jnp.zeros(5), key), 0.0)


def test_the_papers_click_loss_never_draws_the_label():
    """With 2 items the one negative is the other item: the loss is known."""
    config = get_config("tiny").align
    config.num_negatives = 1
    queries, items, _, weights = click_case()
    labels = np.array([1, 2, 1, 1, 2])
    loss = CLICK_LOSSES["bce"](config, 2)
    found = loss(*(jnp.asarray(a) for a in (queries, items[:3], labels, weights)), jax.random.key(0))
    own = np.sum(queries * items[labels], axis=1)
    other = np.sum(queries * items[3 - labels], axis=1)
    np.testing.assert_allclose(found, (entropy(1, own) + entropy(0, other))[weights > 0].mean() / 2, rtol=1e-5)


def test_the_sampled_click_loss_comes_close_to_the_exact_one():
    queries, items, labels, weights = (jnp.asarray(a) for a in click_case())
    config = get_config("tiny").align
    config.num_candidates = 20_000
    sampled = CLICK_LOSSES["sampled"](config, ITEMS)(queries, items, labels, weights, jax.random.key(0))
    exact = CLICK_LOSSES["exact"](config, ITEMS)(queries, items, labels, weights, jax.random.key(0))
    np.testing.assert_allclose(sampled, exact, rtol=0.03)
