"""What is popular at the moment: counted by hand, of nothing later than it is asked, and in one inner product."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from data.feedback import has
from data.timelines import END
from retrieval.trends import learned, served
from tests.logs import random_timelines
from tests.retrieval.model_test import DIM, ITEMS, histories, tower

DAY = 86_400_000
LIKED = ("like",)


def log_of(folder, *, days, seed=0):
    """A log whose events are on random days of so many; validation begins on the last but one, test on the last."""
    log = random_timelines.write(folder, lengths=[40] * 30, num_items=25, seed=seed)
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, days * DAY, (30, 40)), axis=1).reshape(-1)
    starts = {"valid_start_ms": (days - 2) * DAY, "test_start_ms": (days - 1) * DAY, "end_ms": days * DAY}
    return dataclasses.replace(log, timestamp_ms=times, manifest={**log.manifest, **starts})


def config_of(*windows, train_on=("train",)):
    return ConfigDict({"positive": LIKED, "trend_days": windows, "train_on": train_on})


def by_hand(log, moment_ms, window):
    liked = has(log.feedback, *LIKED)
    counts = np.zeros(log.num_items + 1)
    for item, time, is_liked in zip(log.item, log.timestamp_ms, liked, strict=True):
        counts[item] += is_liked and moment_ms - window * DAY <= time < moment_ms
    return np.log1p(counts)


@pytest.mark.parametrize(("until", "day"), [("valid", 6), ("test", 7), (END, 8)])
def test_what_is_served_is_counted_of_the_days_before(tmp_path, until, day):
    log = log_of(tmp_path / "log", days=8)
    trends = served(log, config_of(1, 3.5), until)
    assert trends.shape == (26, 1, 2)
    np.testing.assert_allclose(trends[:, 0, 0], by_hand(log, day * DAY, 1), rtol=1e-6)
    np.testing.assert_allclose(trends[:, 0, 1], by_hand(log, day * DAY, 3.5), rtol=1e-6)


@pytest.mark.parametrize(("train_on", "day"), [(("train",), 6), (("train", "valid"), 7)])
def test_labels_are_asked_at_the_beginning_of_their_day(tmp_path, train_on, day):
    log = log_of(tmp_path / "log", days=8)
    trends, moment = learned(log, config_of(1, 3, train_on=train_on))
    assert trends.shape == (26, day + 1, 2)  # the days, and the end of the last
    events = np.flatnonzero(log.timestamp_ms < day * DAY)[::17]
    for event, asked in zip(events, moment(events), strict=True):
        begin = log.timestamp_ms[event] // DAY * DAY
        for place, window in enumerate((1, 3)):
            np.testing.assert_allclose(trends[:, asked, place], by_hand(log, begin, window), rtol=1e-6)
    until = "valid" if train_on == ("train",) else "test"
    np.testing.assert_array_equal(trends[:, -1:], served(log, config_of(1, 3), until))


def test_a_long_log_is_asked_at_few_moments_none_of_them_after_a_label(tmp_path):
    log = log_of(tmp_path / "log", days=300)
    trends, moment = learned(log, config_of(3, 30))
    assert trends.shape == (26, 32, 2)
    # What happens from a day on changes nothing that labels before it are asked with.
    later = log.timestamp_ms >= 150 * DAY
    changed, _ = learned(dataclasses.replace(log, feedback=np.where(later, 0, log.feedback)), config_of(3, 30))
    asked = np.unique(moment(np.flatnonzero(~later)))
    assert len(asked) > 10
    np.testing.assert_array_equal(trends[:, asked], changed[:, asked])
    assert abs(trends[:, -1] - changed[:, -1]).max() > 0.5


def test_a_score_is_that_of_the_towers_and_the_trend_at_the_moment():
    rng = np.random.default_rng(0)
    trends = rng.normal(size=(ITEMS + 1, 5, 2)).astype(np.float32)
    model = tower(trends=trends)
    vectors = model.items()
    states = model.states(histories(rng), vectors, at=jnp.array([[3, 10, 20]]))
    moment = jnp.array([4, 0, 2])
    # It begins at nothing: a log that is too short for any label to see what is popular teaches it nothing.
    np.testing.assert_array_equal(model.queries(states, moment=moment)[:, DIM:], 0.0)
    model.trend.kernel[...] = jnp.asarray(rng.normal(size=model.trend.kernel.shape), jnp.float32)
    u = model.trend(states[:, : model.encoder.state_size])
    for asked, number in ((model.queries(states, moment=moment), moment), (model.queries(states), jnp.full(3, 4))):
        scores = asked @ vectors.T
        of_towers = asked[:, :DIM] @ vectors[:, :DIM].T
        x = trends[:, np.asarray(number)].transpose(1, 0, 2)  # [3, N + 1, W]
        np.testing.assert_allclose(scores - of_towers, jnp.einsum("mjw,mw->mj", x, u), rtol=2e-5, atol=1e-5)
    # What a history says does not depend on what is popular now.
    other = tower(trends=trends + 1)
    again = other.states(histories(np.random.default_rng(0)), other.items(), at=jnp.array([[3]]))
    rng = np.random.default_rng(0)
    assert jax.tree.leaves(again)[0].shape == (1, model.state_size)
    np.testing.assert_array_equal(model.states(histories(rng), vectors, at=jnp.array([[3]])), again)
