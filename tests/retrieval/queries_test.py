"""The two ways of asking, on a log that can be read."""

import numpy as np
import pytest

from retrieval import full_corpus
from retrieval.queries import NEXT_ITEM, asked, next_item
from tests.retrieval.evaluation_test import CLICK, LOG, SKIP, measured, scorer, write_timelines

KINDS = {"targets": ("click",), "skips": ("skip",), "dislikes": ("dislike",)}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_timelines(tmp_path_factory.mktemp("log") / "timelines", LOG)


def asked_for(queries):
    return [
        (queries.names[kind], int(user), int(item))
        for user, kind, item in zip(queries.moments.user, queries.kind[:, 0], queries.items[:, 0], strict=True)
    ]


def test_each_held_out_reaction_to_an_item_not_met_before_is_a_query(log):
    queries = next_item(log, KINDS, split="test", most=100)
    assert sorted(asked_for(queries)) == [
        ("dislikes", 1, 4),
        ("skips", 0, 7),
        ("skips", 2, 8),
        ("skips", 2, 9),
        ("skips", 4, 10),
        ("targets", 0, 5),  # once: the second click is of an item that was met by then; item 1 was met on day 1
        ("targets", 0, 6),
        ("targets", 1, 3),
        ("targets", 4, 8),
        ("targets", 4, 10),
    ]
    # In the order of time, each just before its own event.
    assert (np.diff(queries.moments.time_ms) >= 0).all()
    np.testing.assert_array_equal(log.item[queries.moments.before], queries.items[:, 0])
    np.testing.assert_array_equal(log.timestamp_ms[queries.moments.before], queries.moments.time_ms)


def test_a_sample_is_of_each_kind_and_of_those_there_are(log):
    everything = set(asked_for(next_item(log, KINDS, split="test", most=100)))
    drawn = {seed: asked_for(next_item(log, KINDS, split="test", most=2, seed=seed)) for seed in range(8)}
    for chosen in drawn.values():
        assert [kind for kind, *_ in sorted(chosen)] == ["dislikes", "skips", "skips", "targets", "targets"]
        assert set(chosen) <= everything
        assert len(set(chosen)) == 5
    assert len({tuple(chosen) for chosen in drawn.values()}) > 1


def test_a_sample_of_users_is_asked_for_in_both_ways(log):
    # Users 0, 1, 2 and 4 have targets; positives have 0, 1 and 4 alone.
    for_two = asked(log, split="test", positive=("click",), users=2)
    users = set(for_two[""].moments.user)
    assert len(users) == 2
    assert users <= {0, 1, 2, 4}
    assert set(for_two[NEXT_ITEM].moments.user) == users
    assert for_two[""].drawn_from == for_two[""].rows(slice(1)).drawn_from == 4
    assert asked(log, split="test", positive=("click",))[""].drawn_from == 0
    everybody = asked(log, split="test", positive=("click",))[NEXT_ITEM]
    assert set(asked_for(for_two[NEXT_ITEM])) == {query for query in asked_for(everybody) if query[1] in users}


def test_what_was_met_since_the_split_began_is_no_candidate(log):
    # Ahead of all for user 0: items 5, 3 and 6. At the click on 6 the user has met 5 since this morning, 3 yesterday.
    metrics, per_user = measured(scorer({0: {3, 5, 6}}), log)
    row = list(per_user["user"]).index(0)
    assert per_user[f"{NEXT_ITEM}recall@10"][row] == 2.0  # a sum over the user's two queries
    # Places of 5 and 6: 1st after 6 by its index, and then alone; of user 1, 3: items 1 and 2 are met; of 4: 8 and 10.
    expected = (1 / 1 + 1 / 1 + 1 / 1 + 1 / 8 + 1 / 9) / 5
    assert metrics[f"{NEXT_ITEM}mrr"] == pytest.approx(expected)


def test_figures_are_means_over_queries_and_changes_are_of_sums(log):
    everything = {0: {5, 6}, 1: {3}, 4: {8, 10}}
    metrics, best = measured(scorer(everything, {0: {7}, 2: {8, 9}, 1: {4}}), log)
    assert metrics[f"{NEXT_ITEM}recall@100"] == 1.0
    assert metrics[f"{NEXT_ITEM}skip@100"] == 1 / 4  # of 7, 8 and 9, last, and of 10, which user 4 clicks too
    assert (metrics[f"{NEXT_ITEM}targets"], metrics[f"{NEXT_ITEM}skips"], metrics[f"{NEXT_ITEM}dislikes"]) == (5, 4, 1)
    _, worse = measured(scorer({1: {3}}, {0: {5, 6}, 4: {8, 10}}), log)
    change = full_corpus.compare(best, worse)[f"{NEXT_ITEM}recall@100"]
    assert change.value == pytest.approx(1 / 5 - 1)


def test_a_split_whose_positives_are_all_of_items_seen_that_day_has_one_way_of_asking(tmp_path):
    # Shown, without any reaction, and clicked later: a target of the day, and of no moment.
    timelines = write_timelines(tmp_path / "log", [[(1, 1, CLICK), (2, 11, 0), (2, 11, CLICK), (3, 11, SKIP)]])
    assert list(asked(timelines, split="test", positive=("click",))) == [""]
    metrics, _ = measured(scorer({0: {2}}), timelines)
    assert metrics["recall@10"] == 1.0
    assert not any(name.startswith(NEXT_ITEM) for name in metrics)
