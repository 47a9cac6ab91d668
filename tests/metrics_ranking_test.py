import numpy as np
import pytest

from metrics import ranking

NAN = np.nan


def brute_force_ranks(scores, targets, eligible, where):
    """By counting, in float64."""
    ranks = np.full(targets.shape, np.inf)
    for u, m in zip(*np.nonzero(where)):
        target = targets[u, m]
        if eligible[u, target]:
            others = [scores[u, j] for j in range(scores.shape[1]) if eligible[u, j] and j != target]
            higher = sum(other > scores[u, target] for other in others)
            ties = sum(other == scores[u, target] for other in others)
            ranks[u, m] = 1 + higher + ties / 2
    return ranks


def test_ranks_by_hand():
    scores = [[0.1, 0.9, 0.5, 0.5, 0.2]]
    # 1 leads; 2 and 3 share the places 2 and 3; 4 is fourth; 0 is last.
    np.testing.assert_array_equal(ranking.target_ranks(scores, [[0, 1, 2, 3, 4]]), [[5, 1, 2.5, 2.5, 4]])


def test_what_may_not_be_shown_takes_no_place_and_is_never_found():
    scores = [[0.1, 0.9, 0.5, 0.5, 0.2]]
    eligible = [[True, False, True, False, True]]
    np.testing.assert_array_equal(ranking.target_ranks(scores, [[0, 1, 2, 4]], eligible=eligible), [[3, np.inf, 1, 2]])


def test_constant_scores_put_every_target_in_the_middle():
    # Of 5 items all alike: 1 + 0 higher + 4 ties / 2.
    np.testing.assert_array_equal(ranking.target_ranks(np.zeros((2, 5)), [[0], [4]]), [[3], [3]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_are_those_of_counting(dtype):
    rng = np.random.default_rng(0)
    scores = rng.integers(-4, 5, size=(20, 40)).astype(dtype)  # many ties
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    scores[rng.random(scores.shape) < 0.1] = np.inf
    targets = rng.integers(0, 40, size=(20, 6))
    eligible, where = rng.random(scores.shape) < 0.8, rng.random(targets.shape) < 0.7
    where[3], eligible[4] = False, False
    np.testing.assert_array_equal(
        ranking.target_ranks(scores, targets, eligible=eligible, where=where),
        brute_force_ranks(scores, targets, eligible, where),
    )


def test_extreme_scores_are_told_apart():
    scores = np.array([[1e38, -1e38, 1e-38, 0.0]], np.float32)
    np.testing.assert_array_equal(ranking.target_ranks(scores, [[0, 1, 2, 3]]), [[1, 4, 2, 3]])


def test_masked_targets_may_hold_anything():
    where = [[True, False]]
    np.testing.assert_array_equal(ranking.target_ranks([[2.0, 1.0]], [[1, -7]], where=where), [[2, np.inf]])


def test_ranks_refuse_what_has_no_order():
    with pytest.raises(ValueError, match="row 1 hold NaN"):
        ranking.target_ranks([[0.0, 1.0], [NAN, 1.0]], [[0], [1]])
    # ... but not where the NaN may not be shown.
    np.testing.assert_array_equal(ranking.target_ranks([[NAN, 1.0]], [[1]], eligible=[[False, True]]), [[1]])
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        ranking.target_ranks([[0.0, 1.0]], [[2]])
    with pytest.raises(ValueError, match=r"are \[U, M\]"):
        ranking.target_ranks([[0.0, 1.0]], [[0], [1]])


def test_figures_by_hand():
    # Two users; the first has targets at 1 and 12, the second one at 3; the third has none.
    ranks = np.array([[1, 12], [3, 5], [2, 2]])
    where = np.array([[True, True], [True, False], [False, False]])
    np.testing.assert_array_equal(ranking.hits(ranks, 10, where=where), [1, 1, 0])
    np.testing.assert_array_equal(ranking.recall(ranks, 10, where=where), [1 / 2, 1, NAN])
    np.testing.assert_array_equal(ranking.recall(ranks, 2, where=where), [1 / 2, 0, NAN])
    np.testing.assert_array_equal(ranking.hit_rate(ranks, 2, where=where), [1, 0, NAN])
    np.testing.assert_array_equal(ranking.reciprocal_rank(ranks, where=where), [1, 1 / 3, NAN])
    np.testing.assert_allclose(
        ranking.ndcg(ranks, 10, where=where), [1 / (1 + 1 / np.log2(3)), (1 / np.log2(4)) / 1, NAN], rtol=1e-15
    )


def test_the_best_order_has_ndcg_one_also_with_more_targets_than_places():
    ranks = np.arange(1, 8)[None]
    for k in (1, 3, 7, 50):
        np.testing.assert_allclose(ranking.ndcg(ranks, k), [1.0], rtol=1e-15)
    np.testing.assert_allclose(ranking.recall(ranks, 3), [3 / 7])


def test_figures_without_any_target():
    none = np.zeros((2, 0))
    for figure in (ranking.recall, ranking.ndcg, ranking.hit_rate):
        np.testing.assert_array_equal(figure(none, 10), [NAN, NAN])
    np.testing.assert_array_equal(ranking.reciprocal_rank(none), [NAN, NAN])
    np.testing.assert_array_equal(ranking.hits(none, 10), [0, 0])


def test_top_k_is_a_stable_sort():
    rng = np.random.default_rng(1)
    scores, eligible = rng.integers(0, 6, size=(30, 25)).astype(np.float32), rng.random((30, 25)) < 0.7
    best = ranking.top_k(scores, 10, eligible=eligible)
    for row in range(30):
        allowed = [j for j in range(25) if eligible[row, j]]
        expected = sorted(allowed, key=lambda j: -scores[row, j])[:10]  # Python's sort keeps the order of ties
        np.testing.assert_array_equal(best[row], expected + [-1] * (10 - len(expected)))


def test_top_k_of_fewer_items():
    np.testing.assert_array_equal(ranking.top_k([[1.0, 3.0, 2.0]], 5), [[1, 2, 0, -1, -1]])
    np.testing.assert_array_equal(ranking.top_k([[1.0, 3.0]], 2, eligible=[[False, False]]), [[-1, -1]])
    with pytest.raises(ValueError, match="k = 0"):
        ranking.top_k([[1.0]], 0)


def test_padded_sets_values_side_by_side():
    table = ranking.padded([2, 0, 2, 2], [7, 8, 9, 5], num_rows=4)
    np.testing.assert_array_equal(table, [[8, -1, -1], [-1, -1, -1], [7, 9, 5], [-1, -1, -1]])
    assert ranking.padded([], [], num_rows=0).shape == (0, 0)
