import numpy as np
import pytest

from metrics import baselines

# Four users, four items: user 0 took 1, 2; user 1 took 1, 2, 3; user 2 took 1; user 3 took 4.
USERS = [0, 0, 1, 1, 1, 2, 3, 3]
ITEMS = [1, 2, 1, 2, 3, 1, 4, 4]  # user 3 took item 4 twice


@pytest.fixture
def matrix():
    return baselines.interactions(USERS, ITEMS, num_users=4, num_items=4)


def test_popularity_counts_events():
    np.testing.assert_array_equal(baselines.popularity(ITEMS, num_items=5), [0, 3, 2, 1, 2, 0])


def test_a_repeated_pair_counts_once(matrix):
    np.testing.assert_array_equal(
        matrix.toarray(), [[0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    )


def test_cosines_by_hand(matrix):
    # Users of 1: 0, 1, 2; of 2: 0, 1; of 3: 1; of 4: 3.
    c12, c13, c23 = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3 * 1), 1 / np.sqrt(2 * 1)
    expected = [[0, 0, 0, 0, 0], [0, 0, c12, c13, 0], [0, c12, 0, c23, 0], [0, c13, c23, 0, 0], [0, 0, 0, 0, 0]]
    similarities = baselines.item_neighbours(matrix, neighbours=4)
    np.testing.assert_allclose(similarities.toarray(), expected, rtol=1e-6)


def test_only_the_nearest_stay(matrix):
    c12, c23 = 2 / np.sqrt(6), 1 / np.sqrt(2)
    expected = np.zeros((5, 5))
    expected[1, 2], expected[2, 1], expected[3, 2] = c12, c12, c23  # of 3 the nearer is 2: .71 against .58
    similarities = baselines.item_neighbours(matrix, neighbours=1)
    np.testing.assert_allclose(similarities.toarray(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="neighbours = 0"):
        baselines.item_neighbours(matrix, neighbours=0)


def test_neighbours_are_those_of_brute_force_whatever_the_block(monkeypatch):
    rng = np.random.default_rng(0)
    dense = rng.random((30, 21)) < 0.3
    dense[:, 0] = False
    matrix = baselines.interactions(*np.nonzero(dense), num_users=30, num_items=20)
    norms = np.sqrt(dense.sum(axis=0))
    cosine = dense.T.astype(float) @ dense / np.maximum(np.outer(norms, norms), 1e-9)
    np.fill_diagonal(cosine, 0.0)
    monkeypatch.setattr(baselines, "_HELD", 21 * 4)
    np.testing.assert_allclose(baselines.item_neighbours(matrix, neighbours=21).toarray(), cosine, atol=1e-6)


def test_scores_add_up_over_the_history(matrix):
    similarities = baselines.item_neighbours(matrix, neighbours=4)
    c12, c13, c23 = 2 / np.sqrt(6), 1 / np.sqrt(3), 1 / np.sqrt(2)
    np.testing.assert_allclose(
        baselines.knn_scores(matrix[[0, 2, 3]], similarities),
        [[0, c12, c12, c13 + c23, 0], [0, 0, c12, c13, 0], [0, 0, 0, 0, 0]],
        rtol=1e-6,
    )


def test_times_popularity_falls_back_on_popularity():
    counts = np.array([0, 3, 8, 0], np.float32)
    scores = np.array([[0, 0.5, 0.0, 0.25], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(
        baselines.times_popularity(scores, counts, power=0.5, floor=0.1),
        [[0.1, 0.6 * 2, 0.1 * 3, 0.35], [0.1, 0.1 * 2, 0.1 * 3, 0.1]],
        rtol=1e-6,
    )
