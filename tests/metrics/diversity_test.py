import numpy as np
import pytest

from metrics import diversity


def test_coverage_by_hand():
    # Items 1, 2, 3 of 10 are shown; empty places are none.
    assert diversity.coverage([[1, 2], [2, 3], [2, -1], [0, 0]], num_items=10).value == 3 / 10


def test_coverage_without_a_user_loses_what_only_that_user_was_shown():
    slates = np.array([[1, 2], [2, 3], [2, 4], [5, 6]])
    value, low, high = diversity.coverage(slates, num_items=8)
    without = [len(np.unique(np.delete(slates, user, axis=0))) / 8 for user in range(4)]  # 5/8, 5/8, 5/8, 4/8
    half = 1.959964 * np.sqrt(3 * np.var(without))
    assert (value, low, high) == pytest.approx((6 / 8, 6 / 8 - half, min(1.0, 6 / 8 + half)))


def test_coverage_stays_a_share():
    # Three users, one of whom is shown 6 of 10 items and the others nothing: without one of them the share is 0 or .6,
    # so that .6 ± 1.96 · √(2 · (2 / 9) · .6²) reaches beyond both ends.
    found = diversity.coverage([[1, 2, 3, 4, 5, 6], [0] * 6, [0] * 6], num_items=10)
    assert 0.6 - 1.96 * np.sqrt(2 * 2 / 9 * 0.6**2) < 0
    assert tuple(found) == (0.6, 0.0, 1.0)
    with pytest.raises(ValueError, match="items up to 3"):
        diversity.coverage([[3]], num_items=2)


def test_groups_by_hand():
    groups = np.array([[7, 7, 7, 7], [7, 7, 9, 9], [1, 2, 3, 4], [5, 6, 0, 0]])
    where = np.array([[True] * 4, [True] * 4, [True] * 4, [True, True, False, False]])
    np.testing.assert_array_equal(diversity.distinct(groups, where=where), [1, 2, 4, 2])
    np.testing.assert_allclose(
        diversity.entropy(groups, where=where), [0, np.log(2), np.log(4), np.log(2)], rtol=1e-12, atol=1e-12
    )


def test_an_empty_slate_has_no_entropy():
    where = np.zeros((1, 3), bool)
    np.testing.assert_array_equal(diversity.distinct([[1, 2, 3]], where=where), [0])
    np.testing.assert_array_equal(diversity.entropy([[1, 2, 3]], where=where), [np.nan])


def test_entropy_is_that_of_the_shares():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 9, size=(20, 15))
    expected = []
    for row in groups:
        shares = np.unique(row, return_counts=True)[1] / 15
        expected.append(-(shares * np.log(shares)).sum())
    np.testing.assert_allclose(diversity.entropy(groups), expected, rtol=1e-12)
