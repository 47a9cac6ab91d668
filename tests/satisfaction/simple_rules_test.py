"""The rules against a loop over clicks, what they may know, and that the validation clicks choose their settings."""

import dataclasses
import functools

import numpy as np
import pytest

from data.timelines import EARLIER_MS
from satisfaction import simple_rules
from satisfaction.click_ranks import per_user, rank
from satisfaction.protocol import draw_negatives
from satisfaction.saqrec.clicks import clicks_of
from satisfaction.simple_rules import RULES, choose, known, tuned
from tests.logs import random_timelines

DAY_MS = 86_400_000
ITEMS = 130


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Of users with a taste each: items of one of four groups; a day an event, some of earlier history."""
    folder = tmp_path_factory.mktemp("log") / "timelines"
    log = random_timelines.write(folder, lengths=[80] * 40, num_items=ITEMS, unseen=0, seed=2)
    user = log.user_of_event()
    rng = np.random.default_rng(0)
    item = 1 + user % 4 + 4 * rng.integers(0, ITEMS // 4, len(user))
    within = np.arange(len(user)) - log.offsets[user]
    times = np.where(within < 5, EARLIER_MS, 1 + within * DAY_MS // 8)
    return dataclasses.replace(log, item=item.astype(np.int32), timestamp_ms=times)


def cosines(clicks, before):
    """cos(i, j) [n + 1, n + 1] of who clicked what, `before` [C]."""
    met = np.zeros((clicks.num_users, clicks.num_items + 1))
    met[clicks.user()[before], clicks.item[before]] = 1
    norms = np.sqrt(met.sum(axis=0))
    found = met.T @ met / np.maximum(np.outer(norms, norms), 1e-9)
    np.fill_diagonal(found, 0)
    return found


def scored(of, rule, settings, users, asked):
    return RULES[rule].scores(of.parts(users, asked), **settings)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_rules_are_their_formulas_on_what_was_known_before_the_split(log, split):
    clicks = clicks_of(log, "time")
    of, (users, asked) = known(clicks, log, split=split), clicks.targets(split)
    before = np.arange(len(clicks.item)) < clicks.starts(split)[clicks.user()]
    dated = np.asarray(log.timestamp_ms)[clicks.event] > EARLIER_MS
    all_time = np.bincount(clicks.item[before & dated], minlength=ITEMS + 1)
    found = scored(of, "popularity", {"days": 0}, users, asked)
    np.testing.assert_array_equal(found, np.broadcast_to(all_time, found.shape))
    near = cosines(clicks, before)
    for read in (3, 0):
        expected = np.stack(
            [
                near[np.unique(clicks.item[clicks.offsets[user] : at][-read:])].sum(axis=0)
                for user, at in zip(users, asked, strict=True)
            ]
        )
        found = scored(of, "item_knn", {"read": read}, users, asked)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        settings = {"read": read, "days": 0, "power": 0.5}
        found = scored(of, "item_knn_popularity", settings, users, asked)
        np.testing.assert_allclose(found, (expected + 1e-3) * (all_time + 1) ** 0.5, rtol=1e-4)


def test_what_comes_after_the_split_changes_nothing(log):
    clicks = clicks_of(log, "time")
    user = clicks.user()
    later = np.arange(len(clicks.item)) >= clicks.test_start[user]
    other = dataclasses.replace(clicks, item=np.where(later, clicks.item % ITEMS + 1, clicks.item).astype(np.int32))
    users, asked = clicks.targets("test")
    for rule, (_, grid) in RULES.items():
        scores = [scored(known(c, log, split="test"), rule, grid[0], users, asked) for c in (clicks, other)]
        np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("refit", [False, True])
def test_rules_know_the_validation_clicks_where_the_models_beside_them_do(log, monkeypatch, refit):
    clicks = clicks_of(log, "time")
    user, place = clicks.user(), np.arange(len(clicks.item))
    valid = (place >= clicks.starts("valid")[user]) & (place < clicks.starts("test")[user])
    other = dataclasses.replace(clicks, item=np.where(valid, clicks.item % ITEMS + 1, clicks.item).astype(np.int32))
    monkeypatch.setattr(simple_rules, "choose", lambda clicks, timelines: {"popularity": {"days": 0}})
    asked = clicks.targets("test")
    one, another = (tuned(c, log, split="test", refit=refit)["popularity"](*asked) for c in (clicks, other))
    assert np.array_equal(one, another) == (not refit)


def test_the_settings_are_those_of_the_best_mrr_on_the_validation_clicks(log):
    clicks = clicks_of(log, "time")
    chosen, of = choose(clicks, log), known(clicks, log, split="valid")
    negatives = draw_negatives(clicks, clicks.targets("valid")[0], seed=1)

    def mrr(rule, settings):
        score = functools.partial(scored, of, rule, settings)
        return per_user(rank(score, clicks, negatives, split="valid", label=rule).sampled)["mrr"]

    for rule in ("popularity", "item_knn"):
        found = {tuple(settings.values()): mrr(rule, settings).mean() for settings in RULES[rule].grid}
        assert found[tuple(chosen[rule].values())] == pytest.approx(max(found.values()))


def test_neighbours_find_what_tastes_there_are(log):
    clicks = clicks_of(log, "time")
    users, _ = clicks.targets("test")
    negatives = draw_negatives(clicks, users, seed=0)
    rules = tuned(clicks, log, split="test", refit=True)
    mrr = {
        rule: per_user(rank(score, clicks, negatives, split="test", label=rule).sampled)["mrr"].mean()
        for rule, score in rules.items()
    }
    # Of 100 candidates a quarter at most is of the user's taste, and chance has MRR 0.052.
    assert mrr["item_knn"] > mrr["popularity"] + 0.05
