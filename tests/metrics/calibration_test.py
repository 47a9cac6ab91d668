import numpy as np
import pytest
from scipy.optimize import minimize

from metrics import binary, calibration


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _distorted(seed=0, size=20_000, slope=2.0, bias=1.0):
    # Labels drawn with true probabilities, and what a model says that is too sure of itself and leans to yes.
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1, size)
    return _sigmoid(slope * z + bias), (rng.random(size) < _sigmoid(z)).astype(int)


def test_the_distortion_is_undone():
    said, labels = _distorted()
    found = calibration.fit(said, labels)  # z = (logit − 1) / 2
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.bias == pytest.approx(-0.5, abs=0.02)
    others, truth = _distorted(seed=1)
    assert binary.ece(others, truth) > 0.1
    assert binary.ece(found(others), truth) < 0.01


def test_fit_is_the_least_logloss_of_platts_targets():
    said, labels = _distorted(size=300)
    positives, negatives = labels.sum(), (labels == 0).sum()
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    logit = np.log(said / (1 - said))

    def loss(at):
        p = _sigmoid(at[0] * logit + at[1])
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()

    best = minimize(loss, [1.0, 0.0], tol=1e-12).x
    np.testing.assert_allclose(calibration.fit(said, labels), best, atol=1e-4)


def test_order_is_kept_even_where_scores_are_wrong_way_round():
    said, labels = _distorted(size=2_000)
    found = calibration.fit(said, 1 - labels)
    p = found(said)
    assert found.slope > 0
    assert (np.diff(p[np.argsort(said)]) >= 0).all()
    assert p.mean() == pytest.approx((1 - labels).mean(), abs=0.01)


def test_separable_scores_and_one_class_stay_finite():
    separable = calibration.fit([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert np.isfinite(separable).all()
    assert separable.slope > 0
    always = calibration.fit([0.3, 0.4, 0.6], [1, 1, 1])
    np.testing.assert_allclose(always([0.3, 0.4, 0.6]), (3 + 1) / (3 + 2), atol=1e-2)
    assert calibration.fit([0.3] * 4, [0, 0, 0, 1]).slope == 1e-3  # these tell nothing
    np.testing.assert_allclose(calibration.fit([0.5] * 4, [0, 0, 0, 1])([0.5]), (1 / 5 * 3 + 2 / 3) / 4, atol=1e-6)


def test_certainties_are_calibrated_too():
    p = calibration.fit([0.0, 0.0, 1.0, 1.0], [0, 1, 0, 1])([0.0, 1.0])
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p, 0.5, atol=0.02)


def test_a_soft_label_is_that_share_of_a_positive():
    """Once with label 0.3 is like three times in ten with 1 and seven times with 0, but for Platt's own targets."""
    said = np.linspace(0.05, 0.95, 500)
    truth = 1 / (1 + np.exp(-(2 * np.log(said / (1 - said)) - 0.4)))
    soft = calibration.fit(said, truth)
    np.testing.assert_allclose([soft.slope, soft.bias], [2.0, -0.4], atol=0.08)


def test_identity_changes_nothing():
    np.testing.assert_allclose(calibration.IDENTITY([0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], rtol=1e-12)


@pytest.mark.parametrize(("said", "labels"), [([], []), ([0.5], [2]), ([1.5], [1]), ([np.nan], [1]), ([0.5], [1, 0])])
def test_impossible_inputs_are_refused(said, labels):
    with pytest.raises(ValueError, match="probabilities"):
        calibration.fit(said, labels)
