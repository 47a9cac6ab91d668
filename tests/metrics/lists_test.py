import numpy as np
import pytest

from metrics import lists, ranking


def _random(seed, size=80, num_groups=6, levels=10):
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, size) / levels, rng.integers(0, num_groups, size), rng.random(size) < 0.4


@pytest.mark.parametrize("seed", range(3))
def test_ranks_count_who_is_better_and_half_of_equals(seed):
    scores, groups, _ = _random(seed)
    expected = [
        1
        + ((scores > scores[i]) & (groups == groups[i])).sum()
        + (((scores == scores[i]) & (groups == groups[i])).sum() - 1) / 2
        for i in range(80)
    ]
    np.testing.assert_array_equal(lists.ranks_within(scores, groups), expected)


def test_ndcg_by_hand():
    # The list b, a, c with a and c relevant; best is a, c, b.
    ranks = lists.ranks_within([0.5, 0.9, 0.1], [0, 0, 0])
    np.testing.assert_array_equal(ranks, [2, 1, 3])
    found = lists.ndcg(ranks, [1, 0, 1], [0, 0, 0], num_groups=1, k=10)
    np.testing.assert_allclose(found, (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3)))
    found = lists.ndcg(ranks, [1, 0, 1], [0, 0, 0], num_groups=1, k=2)
    np.testing.assert_allclose(found, (1 / np.log2(3)) / (1 + 1 / np.log2(3)))


@pytest.mark.parametrize("levels", [4, 10_000])  # many ties, none
@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_that_of_whole_corpus_ranking(seed, levels):
    scores, groups, relevant = _random(seed, levels=levels)
    found = lists.ndcg(lists.ranks_within(scores, groups), relevant, groups, num_groups=6, k=5)
    for g in range(6):
        own = groups == g
        targets = np.flatnonzero(relevant[own])[None]
        expected = ranking.ndcg(ranking.target_places(scores[own][None], targets), 5)
        assert found[g] == pytest.approx(expected[0])


@pytest.mark.parametrize("size", [3, 12, 19, 40])
def test_constant_scores_have_the_figures_of_chance(size):
    """Also lists of 11 to 19 items, whose mean place is within 10."""
    groups, marked = np.zeros(size, int), np.arange(size) < 2
    ranks = lists.ranks_within(np.ones(size), groups)
    discounts = [1 / np.log2(1 + place) for place in range(1, size + 1)]
    found = lists.ndcg(ranks, marked, groups, num_groups=1, k=10)
    np.testing.assert_allclose(found, 2 * sum(discounts[:10]) / size / sum(discounts[:2]))
    if size > 10:
        share = lists.share_of_top(ranks, marked, groups, num_groups=1, k=10)
        np.testing.assert_allclose(share, 2 / size)  # of 10 places 2 · 10 / size are marked


def test_lists_that_no_order_can_change_have_no_figure():
    groups = [0, 0, 1, 1, 2]
    ranks = lists.ranks_within([1, 2, 3, 4, 5], groups)
    found = lists.ndcg(ranks, [1, 1, 0, 0, 1], groups, num_groups=4, k=10)  # all, none, a single one, no list
    assert np.isnan(found).all()
    np.testing.assert_array_equal(lists.share_of_top(ranks, [1, 0, 1, 0, 1], groups, num_groups=4, k=2), [np.nan] * 4)


def test_share_of_top_counts_places():
    groups = np.zeros(4, int)
    marked = [1, 1, 0, 0]

    def share(scores, k):
        return lists.share_of_top(lists.ranks_within(scores, groups), marked, groups, num_groups=1, k=k)[0]

    assert share([4, 3, 2, 1], 2) == 2 / 2
    assert share([1, 2, 3, 4], 2) == 0.0
    assert share([4, 1, 3, 2], 3) == 1 / 3
    assert share([1, 1, 1, 1], 2) == pytest.approx(2 * (2 / 4) / 2)  # each of four has half a chance of a place
    assert share([1, 2, 2, 3], 2) == pytest.approx((0 + 1 / 2) / 2)  # two share the second place


def test_nothing_gives_nothing():
    assert lists.ranks_within([], []).shape == (0,)
    assert np.isnan(lists.ndcg([], [], [], num_groups=2, k=3)).all()
    assert np.isnan(lists.share_of_top([], [], [], num_groups=2, k=3)).all()


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        lists.ranks_within([np.nan, 1.0], [0, 0])
    with pytest.raises(ValueError, match=r"\[E\]"):
        lists.ranks_within([1.0], [0, 0])
