"""Rates of what happened before a moment: of the events themselves, of moments between them, and of now."""

import numpy as np
import pytest

from data.rates import Rates, smoothed, smoothed_by_group


def _at_events(keys, outcomes, times, **prior):
    # The rates of the events themselves.
    return Rates(keys, outcomes, times, **prior).at(keys, times)


def _one_by_one(keys, outcomes, times, prior_rate, prior_count):
    # Each event against every other, as the definition reads.
    expected = np.empty((len(keys), outcomes.shape[1] + 1))
    for i in range(len(keys)):
        earlier = (keys == keys[i]) & (times < times[i]) & (keys[i] >= 0)
        for k in range(outcomes.shape[1]):
            seen = outcomes[earlier, k]
            seen = seen[~np.isnan(seen)]
            expected[i, k] = (seen.sum() + prior_count * prior_rate[k]) / (len(seen) + prior_count)
        expected[i, -1] = np.log(1 + earlier.sum())
    return expected


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_those_of_the_events_before(seed):
    rng = np.random.default_rng(seed)
    keys, times = rng.integers(-1, 6, 200), rng.integers(0, 30, 200)  # many events of one key at one time
    outcomes = np.where(rng.random((200, 3)) < 0.2, np.nan, rng.random((200, 3)))
    prior = np.array([0.1, 0.5, 0.9])
    rates = _at_events(keys, outcomes, times, prior_rate=prior, prior_count=2.5)
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, _one_by_one(keys, outcomes, times, prior, 2.5), rtol=1e-6)


def test_a_moment_does_not_see_itself():
    rates = _at_events([7, 7, 7, 7], [[1.0], [0.0], [1.0], [1.0]], [5, 5, 5, 9], prior_rate=0.5, prior_count=2.0)
    np.testing.assert_allclose(rates[:3], [[0.5, 0.0]] * 3)
    np.testing.assert_allclose(rates[3], [(1 + 0 + 1 + 2 * 0.5) / (3 + 2), np.log(4)], rtol=1e-6)


def test_unknown_outcomes_are_no_observations_but_events():
    rates = _at_events([1, 1, 1], [[np.nan], [1.0], [0.0]], [1, 2, 3], prior_rate=0.2, prior_count=1.0)
    np.testing.assert_allclose(rates[:, 0], [0.2, 0.2, (1 + 0.2) / 2], rtol=1e-6)
    np.testing.assert_allclose(rates[:, 1], np.log([1, 2, 3]), rtol=1e-6)


def test_events_without_a_key_neither_see_nor_are_seen():
    rates = _at_events([-1, -1, 0], [[1.0], [1.0], [1.0]], [1, 2, 3], prior_rate=0.3, prior_count=1.0)
    np.testing.assert_allclose(rates, [[0.3, 0.0]] * 3, rtol=1e-6)


def test_what_comes_later_changes_nothing():
    rng = np.random.default_rng(0)
    keys, times, outcomes = rng.integers(0, 4, 60), np.arange(60), rng.random((60, 2))
    changed = outcomes.copy()
    changed[40:] = 1 - changed[40:]
    before, after = (_at_events(keys, y, times, prior_rate=0.5, prior_count=1.0) for y in (outcomes, changed))
    np.testing.assert_array_equal(before[:41], after[:41])  # event 40 sees what ended before it
    assert (before[41:] != after[41:]).any()


def test_no_events_and_no_outcomes():
    assert _at_events([], np.zeros((0, 2)), [], prior_rate=0.5, prior_count=1.0).shape == (0, 3)
    counts = _at_events([3, 3], np.zeros((2, 0)), [1, 2], prior_rate=0.5, prior_count=1.0)
    np.testing.assert_allclose(counts, [[0.0], [np.log(2)]], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": [0]}, "outcomes"),
        ({"timestamp_ms": [1]}, "timestamp_ms"),
        ({"outcomes": [0.0, 1.0]}, r"\[E, K\]"),
        ({"keys": [-2, 0]}, "key -2"),
        ({"outcomes": [[np.inf], [0.0]]}, "infinite"),
        ({"prior_count": 0.0}, "prior_count"),
    ],
)
def test_impossible_inputs_are_refused(change, said):
    given = {"keys": [0, 0], "outcomes": [[0.0], [1.0]], "timestamp_ms": [1, 2], "prior_rate": 0.5, "prior_count": 1.0}
    with pytest.raises(ValueError, match=said):
        Rates(**(given | change))


def test_between_events_before_all_and_after_all():
    keys, outcomes, times = [3, 3, 5], np.array([[1.0], [0.0], [1.0]]), [10, 20, 30]
    rates = Rates(keys, outcomes, times, prior_rate=0.5, prior_count=2.0)
    m = 2.0 * 0.5
    expected = [m / 2, (1 + m) / 3, (1 + m) / 4, (1 + m) / 4]
    found = rates.at([3, 3, 3, 3], [10, 15, 21, 10**9])
    np.testing.assert_allclose(found, np.stack([expected, np.log([1, 2, 3, 3])], axis=1), rtol=1e-6)
    np.testing.assert_allclose(rates.at(np.array([[3, 4, -1]])), [[found[3], [0.5, 0], [0.5, 0]]], rtol=1e-6)


def test_an_event_without_key_is_seen_by_none():
    rates = Rates([-1, -1], np.ones((2, 1)), [1, 2], prior_rate=0.25, prior_count=1.0)
    np.testing.assert_allclose(rates.at([0, -1]), [[0.25, 0.0]] * 2)


def test_keys_of_any_size_are_told_apart():
    huge = 2**62  # of a user and a creator, numbered together
    rates = Rates([huge, huge + 1, huge], [[1.0], [0.0], [0.0]], [1, 2, 3], prior_rate=0.5, prior_count=2.0)
    np.testing.assert_allclose(rates.at([huge, huge + 1, huge - 1])[:, 0], [(1 + 1) / 4, 1 / 3, 0.5], rtol=1e-6)


def test_smoothing_is_towards_the_prior():
    np.testing.assert_allclose(
        smoothed(np.array([3.0, 0.0]), np.array([4.0, 0.0]), prior_rate=0.2, prior_count=5),
        [(3 + 5 * 0.2) / (4 + 5), 0.2],
    )


def test_rates_by_group_are_smoothed_each():
    found = smoothed_by_group(np.array([0, 2, 2]), [1.0, 0.0, 1.0], num_groups=3, prior_rate=0.2, prior_count=3.0)
    np.testing.assert_allclose(found, [(1 + 0.6) / 4, 0.2, (1 + 0.6) / 5])
