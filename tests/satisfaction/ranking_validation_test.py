"""What ends the main model's training: constants have the figures of chance, and what diverged has none."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from metrics import ranking
from satisfaction.protocol import draw_negatives, places_among
from satisfaction.saqrec.clicks import clicks_of
from satisfaction.saqrec.sequences import Histories
from satisfaction.saqrec.validation import among_sampled
from tests.logs import random_timelines

N = 150


class Table:
    """A model that scores every item as its table says, whoever asks."""

    def __init__(self, scores):
        self._scores = scores

    def items(self):
        return self._scores[:, None]

    def users(self, chunk, items):
        return SimpleNamespace(users=jnp.ones((*chunk["item"].shape, 1)), level_weights=None)

    def scored(self, query, items, period):
        return query, items


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    log = random_timelines.write(folder, lengths=np.full(30, 20), num_items=N, seed=1)
    return Histories(
        clicks_of(log, "time"),
        log,
        answers=np.full(len(log.item), -1, np.int8),
        satisfaction=np.zeros(len(log.item), np.float32),
        length=6,
        satisfied_length=2,
        dissatisfied_length=2,
    )


def validated(histories, scores):
    return among_sampled(histories, Table, num_users=1000, seed=0)(jnp.asarray(scores, jnp.float32))


def test_a_model_of_zeros_has_the_figures_of_chance(histories):
    harmonic = sum(1 / place for place in range(1, 101))
    expected = {"mrr": pytest.approx(harmonic / 100), "hr@10": pytest.approx(10 / 100)}
    assert validated(histories, np.zeros(N + 1)) == expected


@pytest.mark.parametrize("levels", [2, 5, 100_000])
def test_it_measures_as_the_protocol_does(histories, levels):
    scores = np.random.default_rng(0).integers(0, levels, N + 1).astype(float)
    users, target = histories.clicks.targets("valid")
    negatives = draw_negatives(histories.clicks, users, seed=1)
    places = places_among(np.tile(scores, (len(users), 1)), histories.clicks.item[target], negatives)[:, None]
    expected = {"mrr": ranking.reciprocal_rank(places).mean(), "hr@10": ranking.hit_rate(places, 10).mean()}
    assert validated(histories, scores) == pytest.approx(expected)


def test_a_diverged_model_is_last(histories):
    assert validated(histories, np.full(N + 1, np.nan)) == {"mrr": pytest.approx(1 / 100), "hr@10": 0.0}
