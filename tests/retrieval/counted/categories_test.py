"""Categories: what is counted by hand, event by event, with noes and likes, and of items of several categories."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from configs.retrieval import get_config
from data.feedback import BITS
from data.items.content import ItemContent
from retrieval.counted import categories
from retrieval.counted.categories import Categories, count
from retrieval.counted.reactions import Reactions
from tests.logs import random_timelines

LIKE, NO = 1 << BITS["like"], 1 << BITS["dislike"]
SHORT, LONG = 3, 6  # dwell buckets
M, DECAY = 4.0, 0.5
SHARES = np.array([0.5, 0.3, 0.2], np.float32)
# Codes of the items 0 to 5: two columns of categories, behind one of something else. Code 4 is not told apart.
CODES = np.array([[0, 0, 0], [9, 1, 0], [9, 2, 0], [9, 3, 1], [9, 4, 0], [9, 0, 0]], np.int32)
X = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0, 0.5], [0, 0, 0], [0, 0, 0]])


def part(*, weight=1.0, **changed):
    config = get_config("demo,dislike_input_and_label")
    config.update({"category_prior": M, "category_decay": DECAY, **changed})
    counted = {"columns": np.array([1, 2]), "places": np.array([0, 1, 2, 3, 0], np.int32), "shares": SHARES}
    content = ItemContent(CODES, (0, 1, 1), ("creator", "cluster"), (10, 5), np.zeros((6, 0), np.float32), ())
    return Categories(counted, content, config, weight=weight), Reactions(config)


def scores(of, item, dwell=None, feedback=None):
    """Of every item, [6], after one history."""
    categories, reactions = of
    dwell = [LONG] * len(item) if dwell is None else dwell
    feedback = [0] * len(item) if feedback is None else feedback
    columns = (np.asarray(values, np.int32)[None] for values in (item, dwell, feedback))
    states = categories.after(categories.vectors, reactions.read(*columns))
    return np.asarray(categories.queries(states))[0] @ np.asarray(categories.vectors).T


def expected(counts, total):
    return X @ np.log((np.asarray(counts) + M * SHARES) / ((total + M) * SHARES))


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_scores_are_how_much_more_of_a_category_is_taken_than_by_others(weight):
    # 1 and 3 are taken, 2 is skipped, 4 and 5 count towards the total alone; 0 is no event.
    found = scores(part(weight=weight), [1, 3, 2, 0, 4, 5], [LONG, LONG, SHORT, 0, LONG, LONG])
    counts = [DECAY**4 + 0.5 * DECAY**3, 0, 0.5 * DECAY**3]
    np.testing.assert_allclose(found, weight * expected(counts, DECAY**4 + DECAY**3 + DECAY + 1), rtol=1e-4, atol=1e-5)


def test_who_has_taken_nothing_has_no_preference():
    np.testing.assert_allclose(scores(part(), [0, 0]), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ([NO], 0.0),
        ([NO, LIKE], 1 + 3 / 2),  # each like counts itself, and brings half of what is away back
        ([NO, LIKE, LIKE], 2 + 3 * 3 / 4),
        ([NO, LIKE, NO], 0.0),
        ([NO, LIKE, NO, LIKE], 1 + (1 + 3) / 2),
        ([NO | LIKE], 0.0),
    ],
)
def test_a_no_sends_a_category_away_and_likes_bring_it_back(said, left):
    past = [1, 1, 1, 2, *[1] * len(said)]
    found = scores(part(category_decay=1.0), past, None, [0] * 4 + said)
    taken = 4 + sum(word == LIKE for word in said)
    np.testing.assert_allclose(found, expected([left, 1, 0], taken), rtol=1e-4, atol=1e-5)


def test_a_no_to_an_item_of_two_categories_sends_both_away():
    found = scores(part(category_decay=1.0), [1, 2, 3, 3], None, [0, 0, 0, NO])
    np.testing.assert_allclose(found, expected([0, 1, 0], 3), rtol=1e-4, atol=1e-5)


def test_a_model_that_does_not_read_dislikes_scores_the_same_after_one():
    of = part(input_feedback=("like",), memory_feedback=())
    np.testing.assert_array_equal(scores(of, [1, 2]), scores(of, [1, 2], None, [0, NO]))


def test_new_items_have_the_categories_of_their_codes():
    of, _ = part(weight=4.0)
    codes = np.array([[1, 3, 0], [1, 77, 0], [1, 0, 0]], np.int32)  # 77: later than the catalogue
    np.testing.assert_allclose(of.of_content(codes), 2 * np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]]))


def test_what_users_took_before_a_split_is_counted(tmp_path, monkeypatch):
    log = random_timelines.write(tmp_path / "timelines", lengths=[20] * 12, num_items=30)
    found = count(log, "valid", get_config())
    user = log.user_of_event()
    before = np.arange(len(log.item)) < log.valid_start[user]
    taken = before & (log.feedback & (NO | 1 << BITS["skip"]) == 0)
    totals = 1 + np.bincount(log.items["cluster"].to_numpy()[log.item[taken]], minlength=3)[1:]
    order = np.argsort(-totals, kind="stable")
    assert found["columns"].tolist() == [1]
    assert found["places"].tolist() == [0, *(1 + np.argsort(order))]
    np.testing.assert_allclose(found["shares"], totals[order] / totals.sum(), rtol=1e-6)

    monkeypatch.setattr(categories, "MOST", 1)
    alone = count(log, "valid", get_config())
    assert sorted(alone["places"].tolist()) == [0, 0, 1]
    np.testing.assert_allclose(alone["shares"], [totals.max() / totals.sum()], rtol=1e-6)


def test_a_log_without_categories_has_none(tmp_path):
    log = random_timelines.write(tmp_path / "timelines")
    log = dataclasses.replace(log, items=log.items.with_columns(cluster=pl.lit(0, pl.Int32)))
    found = count(log, "valid", get_config())
    assert len(found["shares"]) == 0
    of = Categories(found, log.item_content(), get_config(), weight=1.0)
    assert of.vectors.shape == (log.num_items + 1, 0)
    events = Reactions(get_config()).read(*np.ones((3, 2, 4), np.int32))
    assert of.queries(of.after(of.vectors, events)).shape == (2, 0)
