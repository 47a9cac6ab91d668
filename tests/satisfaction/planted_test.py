"""Models on a log with planted structure: each beats what knows nothing of it by a margin that no accident gives.

120 users of three tastes click items of their taste alone, and are satisfied with the even ones. Among 99 items, of
which a third at most is of the user's taste, popularity and a constant have an MRR of 0.05; who knows the taste has
more than 0.12.
"""

import dataclasses
import json

import numpy as np
import pytest

from configs.satisfaction import get_config
from metrics.binary import auc
from satisfaction import simple_rules
from satisfaction.click_ranks import per_user, rank
from satisfaction.protocol import draw_negatives
from satisfaction.saqrec import alignment
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import Scores
from tests.logs import random_timelines

pytestmark = pytest.mark.long

TASTES, ITEMS, DIM, MARGIN = 3, 150, 8, 0.05


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    log = random_timelines.write(folder, lengths=[80] * 120, num_items=ITEMS, unseen=0)
    user, rng = log.user_of_event(), np.random.default_rng(0)
    item = 1 + user % TASTES + TASTES * rng.integers(0, ITEMS // TASTES, len(user))
    return dataclasses.replace(log, item=item.astype(np.int32))


@pytest.fixture(scope="module")
def models(log, tmp_path_factory):
    """Trained from vectors of content: two of eight numbers tell the taste, one the parity, the rest is noise."""
    folder, rng = tmp_path_factory.mktemp("run") / "align", np.random.default_rng(1)
    config, index = get_config("tiny"), np.arange(ITEMS + 1)
    config.answers = "like_dislike"
    config.align.update({"length": 16, "satisfied_length": 2, "dissatisfied_length": 2, "hidden": 8, "num_levels": 2})
    config.align.update({"gru_hidden": 16, "base_hidden": 16, "batch_size": 8, "num_epochs": 8, "patience": 8})
    config.align.update({"dropout": 0.0, "gru_dropout": 0.0, "base_dropout": 0.0, "warmup_steps": 1})
    config.align.update({"learning_rate": 0.01, "gru_learning_rate": 0.02, "base_learning_rate": 0.01})
    config.align.update({"popularity": False, "correct_from": 4})
    vectors = rng.normal(size=(ITEMS + 1, DIM)).astype(np.float32) / 3
    angle = 2 * np.pi * (index - 1) % (2 * np.pi * TASTES) / TASTES
    vectors[:, 0], vectors[:, 1], vectors[:, 2] = np.cos(angle), np.sin(angle), np.where(index % 2, -1, 1)
    base = BaseEmbeddings(np.zeros((log.num_users, DIM), np.float32), vectors)
    imputed = np.where(np.asarray(log.item) % 2, 0.2, 0.8).astype(np.float32)
    scores = Scores(imputed, np.full(len(imputed), 0.5, np.float32), {})
    alignment.train_alignment(config, log, base, scores, folder)
    return load_aligned(config, log, base, scores, folder, flag="--x"), folder


def mrr(score, clicks, split="test"):
    users, _ = clicks.targets(split)
    negatives = draw_negatives(clicks, users, seed=0)
    return per_user(rank(score, clicks, negatives, split=split, label="").sampled)["mrr"].mean()


@pytest.mark.parametrize("name", alignment.MODELS)
def test_a_model_finds_the_taste_that_popularity_does_not(log, models, name):
    trained, folder = models
    clicks = trained[name].histories.clicks
    popularity = mrr(simple_rules.tuned(clicks, log, split="test", refit=False)["popularity"], clicks)
    assert mrr(trained[name].score, clicks) > popularity + MARGIN
    # What ends a training saw the same.
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics[f"{name}/valid/mrr"] > popularity + MARGIN


def test_the_satisfaction_head_tells_what_satisfies_from_what_does_not(log, models):
    trained, _ = models
    clicks = trained["saqrec"].histories.clicks
    users, before = clicks.targets("test")
    logits = trained["saqrec"](before)["satisfaction"]
    own = np.flatnonzero(
        (np.arange(ITEMS + 1) > 0)[None] & (np.arange(ITEMS + 1) % TASTES == (1 + users[:, None]) % TASTES)
    )
    even = np.broadcast_to(np.arange(ITEMS + 1) % 2 == 0, logits.shape)
    assert auc(logits.ravel()[own], even.ravel()[own]) > 0.8
