"""What the log never trains says nothing: put in the place of "unknown" it changes no score."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from configs.satisfaction import get_config
from satisfaction.saqrec import alignment, base
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import Scores
from tests.logs import random_timelines

ITEMS, UNSEEN = 130, 4


def with_items(log, **columns):
    return dataclasses.replace(log, items=log.items.with_columns(**{n: pl.Series(c) for n, c in columns.items()}))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The last UNSEEN items have no training event; the first two of them have a creator and a cluster of their own."""
    folder = tmp_path_factory.mktemp("log") / "timelines"
    log = random_timelines.write(folder, lengths=[40] * 20, num_items=ITEMS, unseen=UNSEEN)
    creator, cluster = (log.items[name].to_numpy().copy() for name in ("creator", "cluster"))
    creator[1:], cluster[1:] = creator[1:] % 3 + 1, 1  # codes 4 and 2 are of nobody else
    creator[-UNSEEN:], cluster[-UNSEEN:] = [4, 4, 0, 0], [2, 2, 0, 0]
    return with_items(log, creator=creator, cluster=cluster)


@pytest.fixture(scope="module")
def trained(log, tmp_path_factory):
    """Vectors of a base recommender, and the models of the align step after it."""
    folder, config = tmp_path_factory.mktemp("run"), get_config("tiny")
    config.answers = "like_dislike"
    config.base.update({"dim": 8, "hidden": 8, "length": 16, "batch_size": 4})
    config.align.update({"length": 8, "satisfied_length": 2, "dissatisfied_length": 2, "hidden": 8, "num_levels": 2})
    config.align.update({"gru_hidden": 8, "base_hidden": 8, "batch_size": 8, "warmup_steps": 1, "learning_rate": 0.02})
    config.align.update({"dropout": 0.0, "gru_dropout": 0.0, "base_dropout": 0.0})
    embeddings, _ = base.train(config, log, folder / "base")
    imputed = np.random.default_rng(0).random(len(log.item)).astype(np.float32)
    scores = Scores(imputed, imputed, {})
    alignment.train_alignment(config, log, embeddings, scores, folder / "align")
    return embeddings.item, load_aligned(config, log, embeddings, scores, folder / "align", flag="--x")


def test_codes_and_ids_without_a_training_click_have_no_vector(trained):
    vectors, _ = trained
    np.testing.assert_array_equal(vectors[-UNSEEN:], 0.0)
    assert (vectors[1:-UNSEEN] != 0).any(axis=1).all()


@pytest.mark.parametrize("name", alignment.MODELS)
def test_a_history_of_what_was_never_trained_is_one_of_unknown_items(trained, name):
    """The last items differ in nothing that was trained: in a history, and as candidates, they are alike."""
    _, models = trained
    model = models[name]
    clicks = model.histories.clicks
    before = clicks.targets("test")[1]
    rows = model.histories.before(before)
    place = np.arange(len(before)), np.maximum(rows["at"], 0)
    found = []
    for item in range(ITEMS - UNSEEN + 1, ITEMS + 1):
        changed = rows["item"].copy()
        changed[place] = np.where(changed[place] > 0, item, 0)
        found.append(np.asarray(model._run(model._params, {**rows, "item": changed})["click"]))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-6)
    alike = found[0][:, -UNSEEN:]  # none of them was clicked lately either
    np.testing.assert_allclose(alike, np.broadcast_to(alike[:, :1], alike.shape), atol=1e-6)
