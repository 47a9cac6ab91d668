"""A model of a log whose items' embeddings alone tell who likes what: what it says of items that nobody has met."""

import numpy as np
import polars as pl
import pytest

from configs.retrieval import get_config
from data.events_read import Reader
from retrieval import checkpoint
from retrieval import run as training
from retrieval.export import folder as folder_format
from simulation.counterfactual import similarity
from simulation.exported import recommender
from tests.helpers.exported_program import program
from tests.logs import planted_content


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    log = planted_content.write(folder)
    config = get_config("tiny,no_dislike_signal")
    config.update({"dim": 8, "hidden": 12, "length": 16, "batch_size": 4, "num_epochs": 10, "warmup_steps": 2})
    config.update({"learning_rate": 0.03, "positive": ("click", "long_view", "like"), "patience": 10})
    training.train(config, data=str(log.path), workdir=str(folder / "run"))
    return log, checkpoint.load(folder / "run", log)


def test_new_items_are_recommended_to_those_who_like_their_group(trained):
    log, model = trained
    histories = log.histories(np.arange(log.num_users), log.valid_start, Reader(log.feedback, model.reading))
    scores = np.asarray(model.encode(histories)) @ model.item_vectors().T
    assert planted_content.auc_of_new_items(log, scores) > 0.9  # .5 by chance, and where the embedding is not read


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    log, model = trained
    folder = tmp_path_factory.mktemp("exported") / "recommender"
    options = get_config("tiny").export
    folder_format.write(folder, retriever=model, timelines=log, options=options, lineage={}, with_serving=False)
    return folder


def test_the_exported_recommender_brings_the_logs_embeddings_as_a_judge(trained, exported):
    log, _ = trained
    loaded = recommender.load(exported)
    np.testing.assert_array_equal(loaded.embeddings, log.embeddings)
    judge = similarity.measures(loaded.items, embeddings=similarity.centred(loaded.embeddings, loaded.embedding_sizes))
    assert judge.keys() == {"embedding"}  # the table knows neither cluster nor creator
    # Items 5 and 9 are of one group, 6 of another; nothing is known of item 3.
    alike = judge["embedding"](np.array([[9], [6], [9]]), np.array([5, 5, 3]))
    assert alike[0] > 0.5 > 0 > alike[1]
    assert np.isnan(alike[2])


def test_items_that_came_after_the_export_have_vectors_of_their_embeddings(trained, exported):
    log, model = trained
    tower = program(exported, "item_tower.jax")
    new = slice(log.num_items - 19, None)  # of the catalogue, but of no training event
    found = tower(np.zeros((20, 0), np.int32), log.embeddings[new])
    towers = slice(model.config.dim)  # and after them counts: these have been met since, what is new has not
    np.testing.assert_allclose(found[:, towers], model.item_vectors()[new, towers], rtol=1e-4, atol=1e-5)
    assert not np.asarray(found)[:, model.config.dim :].any()
    # Items of which nobody has heard, one of each group, before the users who like it.
    later = tower(np.zeros((4, 0), np.int32), np.float32(5 + np.eye(planted_content.SIZE)[:4]))
    histories = log.histories(np.arange(log.num_users), log.valid_start, Reader(log.feedback, model.reading))
    best = (np.asarray(model.encode(histories)) @ np.asarray(later).T).argmax(axis=1)
    assert (best == np.arange(log.num_users) % planted_content.GROUPS).mean() > 0.9  # .25 by chance
    assert pl.read_parquet(exported / "item_codes.parquet").columns == ["feature", "value", "code"]
