"""What a ranking run takes from its log once, and what of it a run on more days renews."""

import dataclasses

import numpy as np
import pytest

from data import feedback
from ranking import log_statistics
from tests.logs import random_timelines


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    log = random_timelines.write(
        tmp_path_factory.mktemp("log") / "timelines", lengths=[20] * 10, num_items=30, unseen=6
    )
    return dataclasses.replace(log, timestamp_ms=1 + np.arange(len(log.item)))


@pytest.mark.parametrize("train_on", [("train",), ("train", "valid")])
def test_statistics_are_of_the_days_that_are_trained_on(log, train_on):
    user, event = log.user_of_event(), np.arange(len(log.item))
    end = log.test_start if "valid" in train_on else log.valid_start
    learned = event < end[user]
    made = log_statistics.build(log, ("like", "dislike"), train_on=train_on)
    rates = [feedback.has(log.feedback, name)[learned].mean() for name in ("like", "dislike")]
    np.testing.assert_allclose(made.prior, rates, rtol=1e-6)
    assert set(np.flatnonzero(made.item_seen)) == set(log.item[learned])
    assert set(np.flatnonzero(made.user_seen)) == set(1 + user[learned])


def test_more_days_to_learn_from_are_measured_by_the_same_labels(log):
    fewer, more = (log_statistics.build(log, ("EVV",), train_on=days) for days in (("train",), ("train", "valid")))
    np.testing.assert_array_equal(fewer.thresholds, more.thresholds)
    assert fewer.prior != more.prior
    assert fewer.item_seen.sum() < more.item_seen.sum()
