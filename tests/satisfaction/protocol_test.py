"""The evaluation protocol on hand-made cases: clicks, negatives, ranks with ties, groups, paired differences."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import DataError
from satisfaction import click_ranks, protocol
from satisfaction.saqrec.clicks import Clicks


def clicks_of_lists(lists, *, num_items=9):
    """Users' clicks as given; the last is test, the one before it validation."""
    lengths = np.array([len(items) for items in lists])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.array([i for items in lists for i in items], np.int32)
    corpus = np.arange(num_items + 1, dtype=np.int32)
    return Clicks(corpus, corpus, item, np.arange(len(item)), offsets, offsets[1:] - 2, offsets[1:] - 1, num_items)


CLICKS = clicks_of_lists([[1, 2, 3, 4], [5, 1, 2], [9, 8, 7, 6, 5]])


def test_targets_are_the_last_two_clicks():
    for split, expected in (("valid", [3, 1, 6]), ("test", [4, 2, 5])):
        users, at = CLICKS.targets(split)
        np.testing.assert_array_equal(users, [0, 1, 2])
        np.testing.assert_array_equal(CLICKS.item[at], expected)


def test_negatives_were_never_clicked_and_none_is_drawn_twice():
    drawn = protocol.draw_negatives(CLICKS, np.array([0, 2]), seed=0, count=4)
    assert set(drawn[0]) <= {5, 6, 7, 8, 9}  # all but 1, 2, 3, 4, the held-out ones among them
    assert set(drawn[1]) == {1, 2, 3, 4}
    assert len(set(drawn[0])) == 4
    np.testing.assert_array_equal(drawn, protocol.draw_negatives(CLICKS, np.array([0, 2]), seed=0, count=4))


def test_every_item_left_is_drawn_equally_often():
    many = clicks_of_lists([[1, 2, 3]] * 3000, num_items=7)
    drawn = protocol.draw_negatives(many, np.arange(3000), seed=0, count=2)
    counts = np.bincount(drawn.ravel(), minlength=8)
    np.testing.assert_array_equal(counts[:4], 0)
    assert np.abs(counts[4:] - 1500).max() < 5 * np.sqrt(3000 * 0.25)  # each is drawn with probability 2 / 4


@pytest.mark.parametrize("num_items", [130, 3000, 12_000])
def test_negatives_are_drawn_as_from_a_list_of_all_that_is_left(num_items):
    """Whose draws are the same numbers, and whose memory is users times items."""
    rng = np.random.default_rng(3)
    lists = [rng.integers(1, num_items + 1, rng.integers(2, 30)).tolist() for _ in range(20)]
    clicks, users, reference = (
        clicks_of_lists(lists, num_items=num_items),
        np.arange(1, 20, 3),
        np.random.default_rng(7),
    )
    expected = [
        reference.choice(np.setdiff1d(np.arange(1, num_items + 1), lists[user]), 99, replace=False) for user in users
    ]
    np.testing.assert_array_equal(protocol.draw_negatives(clicks, users, seed=7), expected)


def test_too_few_items_left():
    with pytest.raises(DataError, match="a user has only 4 items never clicked, 5 are drawn"):
        protocol.draw_negatives(CLICKS, np.array([0, 2]), seed=0, count=5)


def test_negatives_are_saved_and_read_again(tmp_path):
    wide = clicks_of_lists([[1, 2, 3], [4, 5, 6]], num_items=120)
    drawn = protocol.saved_negatives(tmp_path, wide, seed=1)
    assert drawn.shape == (2, 99)
    np.testing.assert_array_equal(protocol.saved_negatives(tmp_path, wide, seed=1), drawn)
    with pytest.raises(DataError, match=r"negatives\.npz: drawn for other users or another seed; delete it"):
        protocol.saved_negatives(tmp_path, wide, seed=2)
    # Saved items are those of the timelines: one outside the corpus, or beyond all items, is another corpus's.
    corpus = wide.corpus[wide.corpus != drawn[0, 0]]
    code = np.zeros(121, np.int32)
    code[corpus] = np.arange(len(corpus))
    fewer = dataclasses.replace(wide, corpus=corpus, code=code, num_items=119)
    # Of the corpus no more, though still read.
    only_read = dataclasses.replace(wide, num_items=int(drawn.max()) - 1)
    for other in (fewer, only_read, clicks_of_lists([[1, 2, 3], [4, 5, 6]])):
        with pytest.raises(DataError, match=r"negatives\.npz: holds item \d+, which the corpus has not; delete it"):
            protocol.saved_negatives(tmp_path, other, seed=1)


def test_a_kill_while_negatives_are_saved_leaves_none(tmp_path, monkeypatch):
    wide = clicks_of_lists([[1, 2, 3], [4, 5, 6]], num_items=120)

    def killed(file, **arrays):
        Path(file).write_bytes(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez_compressed", killed)
        with pytest.raises(KeyboardInterrupt):
            protocol.saved_negatives(tmp_path, wide, seed=1)
    expected = protocol.draw_negatives(wide, wide.targets("test")[0], seed=1)
    np.testing.assert_array_equal(protocol.saved_negatives(tmp_path, wide, seed=1), expected)
    assert [file.name for file in tmp_path.iterdir()] == [protocol.FILE]


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (5.0, [1, 2, 3, 4], [1, 1]),
        (0.0, [1, 2, 3, 4], [5, 1]),
        (2.0, [1, 2, 3, 4], [3, 2]),  # two above, one beside
        (1.0, [1, 1, 1, 1], [1, 5]),  # all tie
    ],
)
def test_places_among_the_negatives(own, others, expected):
    scores = np.array([[99.0, own, *others]])
    found = protocol.places_among(scores, np.array([1]), np.array([[2, 3, 4, 5]]))
    np.testing.assert_array_equal(found, [expected])


def test_metrics_of_known_places():
    found = click_ranks.per_user(np.array([[1.0, 1], [5, 2], [10, 1], [11, 1]]))  # the second is at 5 or at 6
    np.testing.assert_array_equal(found["hr@1"], [1, 0, 0, 0])
    np.testing.assert_array_equal(found["hr@5"], [1, 1 / 2, 0, 0])
    np.testing.assert_array_equal(found["hr@10"], [1, 1, 1, 0])
    np.testing.assert_allclose(found["ndcg@5"], [1, 1 / np.log2(6) / 2, 0, 0])
    np.testing.assert_allclose(found["ndcg@10"], [1, (1 / np.log2(6) + 1 / np.log2(7)) / 2, 1 / np.log2(11), 0])
    np.testing.assert_allclose(found["mrr"], [1, (1 / 5 + 1 / 6) / 2, 1 / 10, 1 / 11])


def test_constant_scores_are_no_better_than_chance():
    """Among the 1 + 2 sampled items, and among all of 9 that the user has not clicked before."""
    negatives = np.array([[5, 6], [3, 4], [1, 2]])
    found = click_ranks.rank(lambda u, b: np.zeros((3, 10)), CLICKS, negatives, split="test", label="x")
    np.testing.assert_allclose(click_ranks.per_user(found.sampled)["hr@1"], 1 / 3)
    # Users 0, 1 and 2 have clicked 3, 2 and 4 of 9 items before.
    np.testing.assert_allclose(click_ranks.per_user(found.full)["hr@5"], [5 / 6, 5 / 7, 1])
    np.testing.assert_allclose(click_ranks.per_user(found.full)["hr@1"], [1 / 6, 1 / 7, 1 / 5])


def test_full_ranks_leave_out_what_was_clicked_before():
    """Scores fall with the item's number: item 4 is first of those that user 0 has not clicked, 1, 2, 3."""

    def score(users, before):
        return np.broadcast_to(-np.arange(10.0), (len(users), 10))

    negatives = np.array([[5, 6], [3, 4], [1, 2]])
    found = click_ranks.rank(score, CLICKS, negatives, split="test", label="x")
    np.testing.assert_array_equal(found.sampled, [[1, 1], [1, 1], [3, 1]])
    # User 1 clicked 5 and 1 and is asked for 2; user 2 clicked 9, 8, 7, 6 and is asked for 5, after 1, 2, 3, 4.
    np.testing.assert_array_equal(found.full, [[1, 1], [1, 1], [5, 1]])


def test_a_target_clicked_before_can_be_found():
    again = clicks_of_lists([[1, 2, 1]], num_items=4)
    found = click_ranks.rank(
        lambda users, before: np.array([[0.0, 5, 4, 3, 2]]), again, np.array([[3, 4]]), split="test", label="x"
    )
    np.testing.assert_array_equal(found.full, [[1, 1]])


def test_a_score_that_is_not_finite():
    with pytest.raises(DataError, match="gru: a score is not finite"):
        click_ranks.rank(lambda u, b: np.full((3, 10), np.nan), CLICKS, np.ones((3, 2), int), split="test", label="gru")


def test_groups_are_quarters_from_few_clicks_to_many():
    lists = [[1] * count for count in (9, 3, 7, 5, 3, 8, 4, 6)]
    np.testing.assert_array_equal(click_ranks.activity_groups(clicks_of_lists(lists), "test"), [3, 0, 2, 1, 0, 3, 1, 2])


def test_clicks_outside_the_corpus_are_history_and_never_candidates():
    """Items 8 and 9 are only read: they fill no place of a draw, and stand in no ranking."""
    read = dataclasses.replace(CLICKS, num_items=7)
    np.testing.assert_array_equal(read.target[read.user() == 2], [0, 0, 7, 6, 5])
    assert set(protocol.draw_negatives(read, np.array([0, 2]), seed=0, count=3)[0]) <= {5, 6, 7}
    rows, clicked = read.clicked(np.array([2]), np.array([11]))
    np.testing.assert_array_equal(rows, 0)
    assert set(clicked.tolist()) == {0, 6, 7}  # 9, 8, 7 and 6 came before
