"""Rates at any moment: those of the events themselves, of moments between them, and of now."""

import numpy as np
import pytest

from data.rate_history import RateHistory
from data.running_rates import running_rates


def random_events(seed=0):
    rng = np.random.default_rng(seed)
    keys, times = rng.integers(-1, 6, 200), rng.integers(1, 40, 200)
    outcomes = np.where(rng.random((200, 3)) < 0.2, np.nan, rng.random((200, 3)) < 0.4)
    return keys, outcomes, times


@pytest.mark.parametrize("seed", range(3))
def test_at_the_events_it_gives_the_running_rates(seed):
    keys, outcomes, times = random_events(seed)
    prior = {"prior_rate": [0.1, 0.2, 0.3], "prior_count": 4.0}
    found = RateHistory(keys, outcomes, times, **prior).at(keys, times)
    np.testing.assert_allclose(found, running_rates(keys, outcomes, times, **prior), rtol=1e-5)


def test_between_events_before_all_and_after_all():
    keys, outcomes, times = [3, 3, 5], np.array([[1.0], [0.0], [1.0]]), [10, 20, 30]
    rates = RateHistory(keys, outcomes, times, prior_rate=0.5, prior_count=2.0)
    m = 2.0 * 0.5
    expected = [m / 2, (1 + m) / 3, (1 + m) / 4, (1 + m) / 4]
    found = rates.at([3, 3, 3, 3], [10, 15, 21, 10**9])
    np.testing.assert_allclose(found, np.stack([expected, np.log([1, 2, 3, 3])], axis=1), rtol=1e-6)
    np.testing.assert_allclose(rates.at(np.array([[3, 4, -1]])), [[found[3], [0.5, 0], [0.5, 0]]], rtol=1e-6)


def test_an_event_without_key_is_seen_by_none():
    rates = RateHistory([-1, -1], np.ones((2, 1)), [1, 2], prior_rate=0.25, prior_count=1.0)
    np.testing.assert_allclose(rates.at([0, -1]), [[0.25, 0.0]] * 2)
