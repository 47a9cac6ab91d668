"""What describes an impression to the propensity and satisfaction models: vectors out of fold, as the rates are."""

import dataclasses

import numpy as np
import pytest

from data import feedback
from satisfaction.saqrec.embeddings import BaseEmbeddings, mean_vectors
from satisfaction.splits import in_training, is_click
from satisfaction.unbiased.features import make_features
from satisfaction.unbiased.out_of_fold import folds
from tests.logs import random_timelines

DIM = 4


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines", lengths=[12] * 20)


@pytest.fixture(scope="module")
def item_vectors(log):
    return np.random.default_rng(0).normal(size=(log.num_items + 1, DIM)).astype(np.float32)


def features_of(log, item_vectors):
    """Of a base recommender's item vectors, whose user vectors are the means of all training clicks."""
    trained, user = in_training(log, "time"), log.user_of_event()
    at = np.flatnonzero(trained & is_click(log))
    vectors = mean_vectors(item_vectors, user[at], log.item[at], num_users=log.num_users)
    answers = np.random.default_rng(1).integers(-1, 2, len(log.item)).astype(np.int8)
    base = BaseEmbeddings(vectors, item_vectors)
    return make_features(base, log, answers=answers, trained=trained, seed=0, answer_rates=True), base


def test_a_training_event_s_user_is_the_mean_of_the_clicks_of_other_folds(log, item_vectors):
    features, base = features_of(log, item_vectors)
    trained, clicked, user = in_training(log, "time"), is_click(log), log.user_of_event()
    fold, scale = folds(len(user), seed=0), np.sqrt(np.mean(np.square(base.user, dtype=np.float64)))
    found = features.events(np.arange(len(user)))["user"]
    without = 0
    for event in np.flatnonzero(trained):
        mine = trained & clicked & (user == user[event]) & (fold != fold[event])
        without += not mine.any()
        clicks = item_vectors[log.item[mine]].astype(np.float64)
        mean = clicks.mean(axis=0) if mine.any() else np.zeros(DIM)
        np.testing.assert_allclose(found[event], mean / scale, rtol=1e-5, atol=1e-6)
    assert without
    np.testing.assert_allclose(found[~trained], base.user[user[~trained]] / scale, rtol=1e-5)
    pairs = features.pairs(user.astype(np.int64), np.asarray(log.item, np.int64))
    np.testing.assert_allclose(pairs["user"], base.user[user] / scale, rtol=1e-5)


def test_whether_an_event_was_clicked_does_not_show_in_the_direction_of_its_user(log, item_vectors):
    event = int(np.flatnonzero(in_training(log, "time"))[0])
    directions = []
    for clicked in (True, False):
        bits, click = np.array(log.feedback), np.uint16(feedback.mask_of(("click",)))
        bits[event] = bits[event] | click if clicked else bits[event] & ~click
        features, _ = features_of(dataclasses.replace(log, feedback=bits), item_vectors)
        vector = features.events(np.array([event]))["user"][0]
        directions.append(vector / np.linalg.norm(vector))  # the scale is of all users, and moves a little
    np.testing.assert_allclose(*directions, rtol=1e-5)
