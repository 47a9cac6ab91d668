"""Percentiles from a histogram against NumPy's, and that a checkpoint's JSON holds all of it."""

import dataclasses
import json
import math

import numpy as np
import pytest

from training.histogram import LogHistogram


def histogram_of(values) -> LogHistogram:
    histogram = LogHistogram()
    histogram.add(float(value) for value in values)
    return histogram


@pytest.mark.parametrize("q", [1, 50, 90, 99, 100])
def test_percentiles_are_right_to_within_one_percent(q):
    values = np.random.default_rng(0).lognormal(sigma=4.0, size=1001)  # ten decades
    expected = np.percentile(values, q, method="inverted_cdf")
    assert histogram_of(values).percentile(q) == pytest.approx(expected, rel=0.0101)


def test_zeros_count_and_the_largest_is_exact():
    histogram = histogram_of([0.0, 0.0, 0.0, 8.0])
    assert histogram.percentile(75) == 0.0
    assert histogram.percentile(76) == pytest.approx(8.0, rel=0.0101)
    assert histogram.summary("norm")["norm/p50"] == 0.0
    assert histogram.summary("norm")["norm/max"] == 8.0


def test_nothing_has_no_percentiles():
    assert math.isnan(LogHistogram().percentile(50))
    assert LogHistogram().summary("norm") == {}


def test_a_restart_goes_on_where_the_json_ends():
    once = histogram_of([1e-9, 0.5, 3e8])
    again = LogHistogram(**json.loads(json.dumps(dataclasses.asdict(once))))
    for histogram in (once, again):
        histogram.add([0.5, 2.0])
    assert again == once
