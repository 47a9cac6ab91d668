import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metrics import counting, ranking

NAN, INF = np.nan, np.inf


def untied(ranks):
    """Places [U, M, 2] of targets that tie with nothing."""
    ranks = np.asarray(ranks, float)
    return np.stack([ranks, np.ones_like(ranks)], axis=-1)


def others(eligible):
    """What may not be shown, as pairs."""
    return np.nonzero(~np.asarray(eligible))


def brute_force_places(scores, targets, eligible, where):
    """By counting, in float64."""
    places = np.tile([INF, 1.0], (*targets.shape, 1))
    for u, m in zip(*np.nonzero(where)):
        target = targets[u, m]
        if eligible[u, target]:
            shown = [scores[u, j] for j in range(scores.shape[1]) if eligible[u, j]]
            higher = sum(other > scores[u, target] for other in shown)
            places[u, m] = 1 + higher, sum(other == scores[u, target] for other in shown)
    return places


def test_places_by_hand():
    scores = [[0.1, 0.9, 0.5, 0.5, 0.2]]
    # 1 leads; 2 and 3 share the places 2 and 3; 4 is fourth; 0 is last.
    expected = [[[5, 1], [1, 1], [2, 2], [2, 2], [4, 1]]]
    np.testing.assert_array_equal(ranking.target_places(scores, [[0, 1, 2, 3, 4]]), expected)


def test_what_may_not_be_shown_takes_no_place_and_is_never_found():
    scores = [[0.1, 0.9, 0.5, 0.5, 0.2]]
    eligible = [[True, False, True, False, True]]
    places = ranking.target_places(scores, [[0, 1, 2, 4]], excluded=others(eligible))
    np.testing.assert_array_equal(places, untied([[3, INF, 1, 2]]))
    never = ranking.target_places(scores, [[1]], excluded=others(eligible))
    for figure in (ranking.hits, ranking.recall, ranking.hit_rate, ranking.ndcg):
        np.testing.assert_array_equal(figure(never, 5), [0.0])
    np.testing.assert_array_equal(ranking.reciprocal_rank(never), [0.0])


@pytest.mark.parametrize("num_items", [5, 20, 150, 1000])
def test_a_scorer_of_constants_is_no_better_than_chance(num_items):
    """Also among fewer than 2 k items, where the mean place of everything is within k."""
    places = ranking.target_places(np.zeros((2, num_items)), [[0], [num_items - 1]])
    for k in (1, 10, 100):
        chance = min(k / num_items, 1)
        np.testing.assert_allclose(ranking.recall(places, k), chance)
        np.testing.assert_allclose(ranking.hit_rate(places, k), chance)
        at_random = sum(1 / np.log2(1 + place) for place in range(1, min(k, num_items) + 1)) / num_items
        np.testing.assert_allclose(ranking.ndcg(places, k), at_random)
    harmonic = sum(1 / place for place in range(1, num_items + 1))
    np.testing.assert_allclose(ranking.reciprocal_rank(places), harmonic / num_items)


def test_figures_are_means_over_the_orders_of_what_ties():
    # Two targets, 0 and 4; every order of the items that keeps higher scores ahead, by enumeration.
    scores = np.array([2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 3.0])
    orders = [o for o in itertools.permutations(range(7)) if (np.diff(scores[list(o)]) <= 0).all()]
    assert len(orders) == 3 * 2 * 3 * 2
    ranks = np.array([[1 + order.index(0), 1 + order.index(4)] for order in orders])
    places = ranking.target_places(scores[None], [[0, 4]])
    for k in range(1, 8):
        for figure in (ranking.hits, ranking.recall, ranking.hit_rate, ranking.ndcg):
            np.testing.assert_allclose(figure(places, k)[0], figure(untied(ranks), k).mean(), rtol=1e-12)
    np.testing.assert_allclose(
        ranking.reciprocal_rank(places)[0], ranking.reciprocal_rank(untied(ranks)).mean(), rtol=1e-12
    )


def test_targets_that_tie_with_each_other_are_never_flattered():
    # Three items alike, two of them targets. One of them is always within 2 places, and the first is at 1 in 4 of 6.
    places = ranking.target_places(np.zeros((1, 3)), [[0, 1]])
    np.testing.assert_allclose(ranking.recall(places, 2), 2 / 3)  # exact, as every sum over targets
    assert ranking.hit_rate(places, 2)[0] == pytest.approx(2 / 3)  # ≤ 1
    assert ranking.reciprocal_rank(places)[0] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)  # ≤ (4 · 1 + 2 · 1/2) / 6


@pytest.mark.parametrize("targets_a_row", [6, 30])  # few are counted for, many looked up
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_places_are_those_of_counting(dtype, targets_a_row):
    rng = np.random.default_rng(0)
    scores = rng.integers(-4, 5, size=(20, 40)).astype(dtype)  # many ties
    scores[rng.random(scores.shape) < 0.1] = -INF
    scores[rng.random(scores.shape) < 0.1] = INF
    targets = rng.integers(0, 40, size=(20, targets_a_row))
    eligible, where = rng.random(scores.shape) < 0.8, rng.random(targets.shape) < 0.7
    where[3], eligible[4] = False, False
    np.testing.assert_array_equal(
        ranking.target_places(scores, targets, excluded=others(eligible), where=where),
        brute_force_places(scores, targets, eligible, where),
    )


@pytest.mark.parametrize("targets_a_row", [3, 30])
@pytest.mark.parametrize("num_items", [1, 63, 1000])
def test_what_is_left_out_may_be_named_twice_and_may_be_anything(monkeypatch, num_items, targets_a_row):
    monkeypatch.setattr(counting, "_BLOCK", 64)  # which divides none of them
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, size=(6, num_items)).astype(np.float32)  # many ties
    targets = rng.integers(0, num_items, size=(6, targets_a_row))
    rows = np.sort(rng.integers(0, 6, size=2 * num_items))  # some pairs twice
    columns = rng.integers(0, num_items, size=2 * num_items)
    met_by_nobody, all_met = rows != 1, np.full(num_items, 2)
    rows, columns = np.append(rows[met_by_nobody], all_met), np.append(columns[met_by_nobody], np.arange(num_items))
    order = np.argsort(rows, kind="stable")
    rows, columns = rows[order], columns[order]
    eligible = np.ones(scores.shape, bool)
    eligible[rows, columns] = False
    scores[~eligible & (rng.random(scores.shape) < 0.1)] = NAN  # what may not be shown may be anything
    where = rng.random(targets.shape) < 0.7
    np.testing.assert_array_equal(
        ranking.target_places(scores, targets, excluded=(rows, columns), where=where),
        brute_force_places(scores, targets, eligible, where),
    )
    for k in (1, 7, num_items + 5):
        best = ranking.top_k(scores, k, excluded=(rows, columns))
        for row in range(6):
            allowed = sorted(np.flatnonzero(eligible[row]), key=lambda j: -scores[row, j])[:k]
            np.testing.assert_array_equal(best[row], [*allowed, *[-1] * (k - len(allowed))])


def test_extreme_scores_are_told_apart():
    scores = np.array([[1e38, -1e38, 1e-38, 0.0]], np.float32)
    np.testing.assert_array_equal(ranking.target_places(scores, [[0, 1, 2, 3]]), untied([[1, 4, 2, 3]]))


def test_masked_targets_may_hold_anything():
    where = [[True, False]]
    places = ranking.target_places([[2.0, 1.0]], [[1, -7]], where=where)
    np.testing.assert_array_equal(places, untied([[2, INF]]))


def test_places_refuse_what_has_no_order():
    with pytest.raises(ValueError, match="row 1 hold NaN"):
        ranking.target_places([[0.0, 1.0], [NAN, 1.0]], [[0], [1]])
    # ... but not where the NaN may not be shown.
    shown = ranking.target_places([[NAN, 1.0]], [[1]], excluded=others([[False, True]]))
    np.testing.assert_array_equal(shown, untied([[1]]))
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        ranking.target_places([[0.0, 1.0]], [[2]])
    with pytest.raises(ValueError, match=r"are \[U, M\]"):
        ranking.target_places([[0.0, 1.0]], [[0], [1]])
    with pytest.raises(ValueError, match=r"places \(1, 2\) are \[U, M, 2\]"):
        ranking.recall([[1.0, 2.0]], 10)


@pytest.mark.parametrize("compiled", [False, True])
def test_one_place_compiled_or_not(compiled):
    scores = np.array([[3.0, 1.0, 2.0, 2.0], [0, 0, 0, 0], [NAN, 5, 1, NAN], [-INF, 1, -INF, -INF]])
    own = np.array([2.0, 0.0, 1.0, 1.0])
    place = jax.jit(ranking.place_of) if compiled else ranking.place_of
    first, tied = place(jnp.asarray(own), jnp.asarray(scores)) if compiled else place(own, scores)
    # In the third row two that are NaN, and 5, stand ahead.
    np.testing.assert_array_equal(first, [2, 1, 4, 1])
    np.testing.assert_array_equal(tied, [2, 4, 1, 1])
    lost, alone = place(scores[2:3, 0], scores[2:3])
    np.testing.assert_array_equal([lost, alone], [[4], [1]])  # NaN is last of four
    np.testing.assert_array_equal(ranking.share_within(lost, alone, 3), [0.0])


def test_figures_by_hand():
    # Three users; the first has targets at 1 and 12, the second one at 3; the third has none.
    places = untied([[1, 12], [3, 5], [2, 2]])
    where = np.array([[True, True], [True, False], [False, False]])
    np.testing.assert_array_equal(ranking.hits(places, 10, where=where), [1, 1, 0])
    np.testing.assert_array_equal(ranking.recall(places, 10, where=where), [1 / 2, 1, NAN])
    np.testing.assert_array_equal(ranking.recall(places, 2, where=where), [1 / 2, 0, NAN])
    np.testing.assert_array_equal(ranking.hit_rate(places, 2, where=where), [1, 0, NAN])
    np.testing.assert_array_equal(ranking.reciprocal_rank(places, where=where), [1, 1 / 3, NAN])
    np.testing.assert_allclose(
        ranking.ndcg(places, 10, where=where), [1 / (1 + 1 / np.log2(3)), (1 / np.log2(4)) / 1, NAN], rtol=1e-15
    )


def test_the_best_order_has_ndcg_one_also_with_more_targets_than_places():
    places = untied(np.arange(1, 8)[None])
    for k in (1, 3, 7, 50):
        np.testing.assert_allclose(ranking.ndcg(places, k), [1.0], rtol=1e-15)
    np.testing.assert_allclose(ranking.recall(places, 3), [3 / 7])


def test_figures_without_any_target():
    none = np.zeros((2, 0, 2))
    for figure in (ranking.recall, ranking.ndcg, ranking.hit_rate):
        np.testing.assert_array_equal(figure(none, 10), [NAN, NAN])
    np.testing.assert_array_equal(ranking.reciprocal_rank(none), [NAN, NAN])
    np.testing.assert_array_equal(ranking.hits(none, 10), [0, 0])


def test_top_k_is_a_stable_sort():
    rng = np.random.default_rng(1)
    scores, eligible = rng.integers(0, 6, size=(30, 25)).astype(np.float32), rng.random((30, 25)) < 0.7
    best = ranking.top_k(scores, 10, excluded=others(eligible))
    for row in range(30):
        allowed = [j for j in range(25) if eligible[row, j]]
        expected = sorted(allowed, key=lambda j: -scores[row, j])[:10]  # Python's sort keeps the order of ties
        np.testing.assert_array_equal(best[row], expected + [-1] * (10 - len(expected)))


@pytest.mark.parametrize("values", [2, 50, 1 << 20])
def test_the_highest_are_those_of_a_stable_sort_where_only_groups_are_looked_at(values):
    scores = np.random.default_rng(0).integers(0, values, size=64 * 30 + 5).astype(np.float32)
    for k in (1, 3, 14):
        np.testing.assert_array_equal(counting.highest(scores, k), np.argsort(-scores, kind="stable")[:k])
    rising = np.arange(64 * 30 + 5.0)  # the highest are where the groups leave off
    np.testing.assert_array_equal(counting.highest(rising, 7), np.argsort(-rising)[:7])


def test_what_is_left_out_may_score_nan():
    scores = np.array([[np.nan, 5.0, 4.0, np.nan, 3.0, np.nan, 2.0, 1.0, np.nan, 0.0]])
    out = np.isnan(scores)
    np.testing.assert_array_equal(ranking.top_k(scores, 8, excluded=others(~out)), [[1, 2, 4, 6, 7, 9, -1, -1]])
    assert np.isnan(scores).sum() == 4  # and stays as it was


def test_top_k_of_fewer_items():
    np.testing.assert_array_equal(ranking.top_k([[1.0, 3.0, 2.0]], 5), [[1, 2, 0, -1, -1]])
    np.testing.assert_array_equal(ranking.top_k([[1.0, 3.0]], 2, excluded=others([[False, False]])), [[-1, -1]])
    with pytest.raises(ValueError, match="k = 0"):
        ranking.top_k([[1.0]], 0)
