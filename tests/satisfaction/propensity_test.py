"""What the small models read, and the calibration of propensities."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from satisfaction.unbiased import out_of_fold, propensity
from satisfaction.unbiased.fitting import Examples, split
from satisfaction.unbiased.pair_model import PairModel


def test_rates_of_other_folds_only() -> None:
    keys = np.array([0, 0, 0, 1, 1, 0], np.int32)
    outcomes = np.array([1, 0, 1, 1, 0, 1], bool)
    trained = np.array([1, 1, 1, 1, 1, 0], bool)
    observed = trained & (np.arange(6) != 4)
    fold = np.array([0, 1, 1, 2, 3, 0], np.int8)
    per_event, per_key = out_of_fold.log_odds_rates(
        keys, outcomes, observed, trained, fold, num_keys=3, prior_count=2.0
    )
    rate = (3 + 0.5) / (4 + 1)  # of all observed: 1, 0, 1, 1

    def log_odds(hits, count):
        return np.log((hits + 2 * rate) / (count - hits + 2 * (1 - rate))) - np.log(rate / (1 - rate))

    # Key 0 has 1 | 0, 1 in folds 0 and 1; key 1 has 1 in fold 2, and an event in fold 3 of unknown outcome.
    expected = [log_odds(1, 2), log_odds(1, 1), log_odds(1, 1), log_odds(0, 0), log_odds(1, 1), log_odds(2, 3)]
    np.testing.assert_allclose(per_event[:, 0], expected, atol=1e-6)
    counts = np.array([2, 1, 1, 0, 1]) * out_of_fold.FOLDS / (out_of_fold.FOLDS - 1)
    np.testing.assert_allclose(per_event[:, 1], np.log1p([*counts, 3]), atol=1e-6)
    np.testing.assert_allclose(per_key[:, 0], [log_odds(2, 3), log_odds(1, 1), 0.0], atol=1e-6)


def test_an_event_s_own_outcome_and_whether_it_is_known_change_nothing_about_its_rates() -> None:
    rng = np.random.default_rng(0)
    keys, fold = rng.integers(0, 5, 200).astype(np.int32), out_of_fold.folds(200, seed=0)
    outcomes, observed, trained = rng.random(200) < 0.4, rng.random(200) < 0.5, np.ones(200, bool)

    def of_event(outcomes, observed):
        table, _ = out_of_fold.log_odds_rates(keys, outcomes, observed, trained, fold, num_keys=5, prior_count=5.0)
        overall = (outcomes[observed].sum() + 0.5) / (observed.sum() + 1)
        return table[7], np.log(overall / (1 - overall))

    before, _ = of_event(outcomes, observed)
    for known in (True, False):
        for happened in (True, False):
            changed, seen = outcomes.copy(), observed.copy()
            changed[7], seen[7] = happened, known
            after, _ = of_event(changed, seen)
            assert after[1] == before[1]
            # The overall rate, towards which all are drawn, moves by at most one event of a hundred.
            assert abs(after[0] - before[0]) < 0.1


def test_calibrated_propensities_add_up_forwards_and_inverted() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 1.5, 20_000)
    answered = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))  # the model is over-confident
    edges, shares = propensity.binned_shares(logits, answered)
    calibrated = propensity.Calibrated(None, edges, shares).of_logits(logits)
    assert calibrated.sum() == pytest.approx(answered.sum())
    assert (answered / calibrated).sum() == pytest.approx(len(logits))
    assert len(shares) > 20
    assert (np.diff(shares) > 0).all()
    assert shares[0] > 0
    truth = 1 / (1 + np.exp(-(0.5 * logits - 1)))
    assert np.abs(calibrated - truth).mean() < 0.02 < np.abs(1 / (1 + np.exp(-logits)) - truth).mean()


@pytest.mark.parametrize("answers", [0, 1, 30])
def test_few_answers_make_one_bin(answers) -> None:
    labels = np.arange(100) < answers
    edges, shares = propensity.binned_shares(np.arange(100.0), labels)
    assert len(edges) == 0
    np.testing.assert_allclose(shares, [answers / 100])


def test_equal_logits_share_a_bin() -> None:
    labels = np.tile([True, False], 500)
    edges, shares = propensity.binned_shares(np.zeros(1000), labels)
    assert len(edges) == 0
    np.testing.assert_allclose(shares, [0.5])


def test_no_bin_is_without_answers_where_equal_logits_leave_one_empty() -> None:
    # 40 answers make two bins of 20, but all of them are at one logit: nobody answered below.
    logits, labels = np.repeat([0.0, 1.0], 100), np.arange(200) >= 160
    edges, shares = propensity.binned_shares(logits, labels)
    assert len(edges) == 0
    np.testing.assert_allclose(shares, [40 / 200])
    # Above it another 60: the bin of the first 40 begins at the first logit.
    edges, shares = propensity.binned_shares(np.repeat([0.0, 1.0, 2.0], 100), np.append(labels, np.arange(100) < 60))
    np.testing.assert_array_equal(edges, [2.0])
    np.testing.assert_allclose(shares, [40 / 200, 60 / 100])


def test_reliability_has_bins_of_equal_counts() -> None:
    probabilities = np.array([0.01, 0.02, 0.03, 0.04, 0.5, 0.6, 0.7, 0.8, 0.05, 0.06] * 10)
    diagram = propensity.reliability(probabilities, probabilities > 0.4)
    np.testing.assert_array_equal(diagram.examples, np.full(10, 10.0))
    np.testing.assert_allclose(diagram.predicted, [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.5, 0.6, 0.7, 0.8])
    np.testing.assert_allclose(diagram.observed, [0] * 6 + [1] * 4)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_split_has_both_labels_on_either_side(share) -> None:
    labels = np.zeros(50, np.float32)
    labels[[3, 30]] = 1
    examples = Examples(np.arange(50), labels, np.ones(50, np.float32))
    for seed in range(5):
        fitted, valid = split(examples, share=share, seed=seed)
        assert sorted([*fitted.position, *valid.position]) == list(range(50))
        assert {0.0, 1.0} == set(valid.label.tolist()) == set(fitted.label.tolist())


def test_without_hidden_units_the_model_is_logistic_regression() -> None:
    model = PairModel(2, hidden=0, dropout=0.0, prior_logit=-1.0, rngs=nnx.Rngs(0))
    model.wide.set_value(jnp.array([10.0, 1.0, 0.5, 2.0]))
    user, item = jnp.array([[3.0, 4.0]]), jnp.array([[4.0, 3.0]])
    found = model(user, item, jnp.array([[2.0, -1.0]]))
    # cosine 24 / 25, product 24 / 2 dimensions.
    np.testing.assert_allclose(found, [-1 + 10 * 24 / 25 + 24 / 2 + 0.5 * 2 - 2 * 1], rtol=1e-6)
