"""Estimators of satisfaction: the theorem by enumeration, equations 1 to 6 in NumPy, and useless propensities."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runtime.errors import DataError, UsageError
from satisfaction.unbiased import estimators
from satisfaction.unbiased.estimators import ESTIMATORS
from satisfaction.unbiased.fitting import Examples
from satisfaction.unbiased.satisfaction_model import completed

SATISFIED = np.array([1, 0, 1, 1, 0, 1])  # of a population of 6 impressions
PROPENSITY = np.array([0.9, 0.2, 0.5, 0.7, 0.1, 0.3])
PREDICTED = np.array([0.8, 0.4, 0.6, 0.3, 0.2, 0.9])  # ŝ
IMPUTED = np.array([0.7, 0.5, 0.4, 0.9, 0.3, 0.6])  # s̃
LOGITS = np.log(PREDICTED / (1 - PREDICTED))
MEAN = SATISFIED.mean()


def outcomes():
    """Every set of impressions that may be answered, with its probability."""
    for answered in itertools.product([False, True], repeat=len(SATISFIED)):
        o = np.array(answered)
        yield o, np.prod(np.where(o, PROPENSITY, 1 - PROPENSITY))


def expectation(value_of, *, skip_none=False):
    """E_O[value_of(answers)], of the outcomes with an answer if `skip_none`."""
    total, mass = 0.0, 0.0
    for o, probability in outcomes():
        if skip_none and not o.any():
            continue
        total += probability * value_of(np.where(o, SATISFIED, -1))
        mass += probability
    return total / mass


def estimate(name, answers, propensity=PROPENSITY, clip=0.0, imputed=IMPUTED):
    """The mean satisfaction over all impressions, as answers tell it."""
    numerators, denominators = estimators.terms(ESTIMATORS[name], answers, propensity, clip=clip, imputed=imputed)
    return numerators.sum() / denominators.sum()


def cross_entropy(labels, predicted=PREDICTED):
    return -labels * np.log(predicted) - (1 - labels) * np.log(1 - predicted)


def ips_loss(answers, propensity=PROPENSITY, clip=0.0):
    """Equation 6 as the appendix divides it, by |D|."""
    weight = np.where(answers >= 0, estimators.weights(ESTIMATORS["ips"], propensity, clip=clip), 0.0)
    return float(estimators.satisfaction_loss(LOGITS, answers, weight, total=len(answers)))


def dr_loss(answers, propensity=PROPENSITY):
    labels = estimators.doubly_robust_labels(answers, propensity, IMPUTED, clip=0.0)
    return float(estimators.satisfaction_loss(LOGITS, labels, np.ones(len(labels)), total=len(labels)))


def test_the_loss_of_equation_4_is_unbiased_and_that_of_equation_3_is_not() -> None:
    ideal = cross_entropy(SATISFIED).mean()  # equation 2
    assert expectation(ips_loss) == pytest.approx(ideal, abs=1e-6)
    assert expectation(dr_loss) == pytest.approx(ideal, abs=1e-6)

    def naive_loss(answers):
        return float(estimators.satisfaction_loss(LOGITS, answers, np.where(answers >= 0, 1.0, 0.0)))

    assert abs(expectation(naive_loss, skip_none=True) - ideal) > 0.05


def test_means_are_unbiased_by_ips_and_doubly_robust_estimates_alone() -> None:
    assert expectation(lambda a: estimate("ips", a)) == pytest.approx(MEAN)
    assert expectation(lambda a: estimate("dr", a)) == pytest.approx(MEAN)
    assert abs(expectation(lambda a: estimate("naive", a), skip_none=True) - MEAN) > 0.05
    snips = expectation(lambda a: estimate("snips", a), skip_none=True)  # consistent, not unbiased
    assert 1e-3 < abs(snips - MEAN) < abs(expectation(lambda a: estimate("naive", a), skip_none=True) - MEAN)


def test_clipping_trades_bias_for_variance() -> None:
    def moments(clip):
        mean = expectation(lambda a: estimate("ips", a, clip=clip))
        return abs(mean - MEAN), expectation(lambda a: (estimate("ips", a, clip=clip) - mean) ** 2)

    biases, variances = zip(*map(moments, (0.0, 0.4, 0.8)), strict=True)
    assert biases[0] == pytest.approx(0, abs=1e-12)
    assert biases[0] < biases[1] < biases[2]
    assert variances[0] > variances[1] > variances[2]
    # Of the satisfied, only p = 0.3 lies below M = 0.4: 1 counts 0.3 / 0.4.
    assert biases[1] == pytest.approx((1 - 0.3 / 0.4) / 6)


def test_doubly_robust_needs_only_one_of_its_models() -> None:
    wrong = np.full(6, 0.5)
    perfect = SATISFIED.astype(float)
    for o, _ in outcomes():
        answers = np.where(o, SATISFIED, -1)
        got = estimate("dr", answers, wrong, imputed=perfect)
        assert got == pytest.approx(MEAN)  # whoever answers, whatever the propensities
    assert expectation(lambda a: estimate("dr", a)) == pytest.approx(MEAN)  # poor s̃, true propensities


def test_validating_answers_are_none_and_the_labels_that_are_left_stay_unbiased() -> None:
    # 2 answers of the 6 impressions, of which 1 is fitted: κ = 1/2, whichever they are.
    imputed = np.full(6, 0.9)
    positions, propensity = np.arange(10, 16), np.full(6, 2 / 6)
    means = []
    for fitted, _ in itertools.permutations(range(6), 2):
        fitting = Examples(positions[[fitted]], SATISFIED[[fitted]].astype(np.float32), np.ones(1, np.float32))
        found = completed(fitting, positions, imputed, propensity, answered=2, clip=0.0)
        expected = imputed.copy()
        expected[fitted] += (SATISFIED[fitted] - 0.9) / (2 / 6 * 1 / 2)
        np.testing.assert_allclose(found.label, expected, rtol=1e-6)
        np.testing.assert_array_equal(found.position, positions)
        means.append(found.label.mean())
    assert np.mean(means) == pytest.approx(MEAN, abs=1e-6)  # from .9 all the way


def test_the_clip_of_a_propensity_is_that_of_the_share_that_is_fitted() -> None:
    fitting = Examples(np.array([3]), np.ones(1, np.float32), np.ones(1, np.float32))
    found = completed(fitting, np.array([1, 3]), np.full(2, 0.5), np.full(2, 0.01), answered=2, clip=0.1)
    np.testing.assert_allclose(found.label, [0.5, 0.5 + (1 - 0.5) / (0.1 / 2)])


def test_self_normalised_estimates_stay_in_range_and_are_exact_where_all_agree() -> None:
    for o, _ in outcomes():
        if o.any():
            assert 0 <= estimate("snips", np.where(o, SATISFIED, -1)) <= 1
            assert estimate("snips", np.where(o, 1, -1)) == pytest.approx(1)
    assert estimate("ips", np.array([1, -1, -1, -1, 0, 1])) == pytest.approx((1 / 0.9 + 1 / 0.3) / 6)
    answers = np.array([1, -1, -1, -1, 0, 1])
    assert estimate("snips", answers) == pytest.approx((1 / 0.9 + 1 / 0.3) / (1 / 0.9 + 1 / 0.1 + 1 / 0.3))
    assert estimate("naive", answers) == pytest.approx(2 / 3)
    scaled = estimate("snips", answers, PROPENSITY / 2)
    assert scaled == pytest.approx(estimate("snips", answers))  # a common factor cancels


def test_losses_are_those_of_the_paper() -> None:
    answers = np.array([1, 0, -1, 1, 0, -1])
    o = answers >= 0
    naive = estimators.satisfaction_loss(LOGITS, answers, np.where(o, 1.0, 0.0))  # equation 3
    np.testing.assert_allclose(naive, cross_entropy(answers)[o].mean(), rtol=1e-6)
    clipped = (cross_entropy(answers) / np.maximum(PROPENSITY, 0.25))[o].sum() / 6  # equation 6
    assert ips_loss(answers, clip=0.25) == pytest.approx(clipped, rel=1e-6)
    # The doubly robust loss in its usual form: imputed error plus weighted residual error.
    usual = cross_entropy(IMPUTED) + np.where(o, (cross_entropy(answers) - cross_entropy(IMPUTED)) / PROPENSITY, 0)
    assert dr_loss(answers) == pytest.approx(usual.mean(), rel=1e-6)


def test_cross_entropy_is_finite_at_any_logit() -> None:
    logits = jnp.array([-1e4, -50.0, 0.0, 50.0, 1e4])
    gradient = jax.grad(lambda z: estimators.cross_entropy(z, jnp.ones(5)).sum())(logits)
    np.testing.assert_allclose(estimators.cross_entropy(logits, jnp.ones(5))[:3], [1e4, 50.0, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient, 1 / (1 + np.exp(-np.clip(logits, -80, 80))) - 1, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_propensity_of_0_is_not_read_where_nobody_answered(name) -> None:
    answers, propensity = np.array([1, -1, 0, -1, -1, 1]), PROPENSITY.copy()
    propensity[[1, 3]] = 0
    with np.errstate(all="raise"):
        assert estimate(name, answers, propensity) == pytest.approx(estimate(name, answers))


def test_self_normalising_a_loss_scales_it_and_moves_no_minimum() -> None:
    answers = np.array([1, 0, -1, 1, 0, 1])
    weight = np.where(answers >= 0, 1 / PROPENSITY, 0.0)

    def gradient(total):
        return jax.grad(lambda z: estimators.satisfaction_loss(z, answers, weight, total=total))(jnp.asarray(LOGITS))

    np.testing.assert_allclose(gradient(None), gradient(6.0) * 6 / weight.sum(), rtol=1e-6)


def test_a_batch_without_weight_has_no_loss_and_no_gradient() -> None:
    value, gradient = jax.value_and_grad(lambda z: estimators.satisfaction_loss(z, jnp.ones(3), jnp.zeros(3)))(
        jnp.ones(3)
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(3))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, r"propensity of event 1 is 0, of an impression that was answered .* no inverse"),
        (1.5, r"propensity of event 1 is above 1 .*; give probabilities"),
        (np.nan, r"propensity of event 1 is no number"),
        (1e-42, r"inverse propensities overflow: event 1 .* raise --config\.satisfaction\.clip"),
    ],
)
def test_propensities_of_no_use(value, message) -> None:
    propensity, answered = np.array([0.5, value, 0.5, 0.0]), np.array([True, True, True, False])
    with pytest.raises(DataError, match=message) as raised:
        estimators.check_propensities(propensity, clip=0.0, where=answered)
    assert "\n" not in str(raised.value)


def test_some_may_be_certain_to_answer_and_most_may_not() -> None:
    certain, answered = np.array([1.0, 1.0, 0.5, 0.5, 1.0]), np.array([True, True, True, True, False])
    estimators.check_propensities(certain, clip=0.0, where=answered)
    certain[2] = 1.0
    with pytest.raises(DataError, match=r"propensity of event 0 is 1: certain to be answered \(3 .* estimator=naive"):
        estimators.check_propensities(certain, clip=0.0, where=answered)


def test_a_clip_keeps_small_propensities_usable() -> None:
    estimators.check_propensities(np.array([1e-42, 0.5]), clip=0.01, where=np.array([True, True]))


def test_mistakes_in_the_setting() -> None:
    with pytest.raises(UsageError, match=r"--config\.satisfaction\.estimator=best: one of naive, ips, dr"):
        estimators.estimator_of("best", 0.1)
    with pytest.raises(UsageError, match=r"estimator=snips: trains the same model as ips"):
        estimators.estimator_of("snips", 0.1)
    with pytest.raises(UsageError, match=r"--config\.satisfaction\.clip=2: .* \[0, 1\]"):
        estimators.estimator_of("ips", 2)
