import numpy as np
import pytest

from metrics import simple_rules

# Four users, four items: user 0 took 1, 2; user 1 took 1, 2, 3; user 2 took 1; user 3 took 4.
USERS = [0, 0, 1, 1, 1, 2, 3, 3]
ITEMS = [1, 2, 1, 2, 3, 1, 4, 4]  # user 3 took item 4 twice


@pytest.fixture
def matrix():
    return simple_rules.interactions(USERS, ITEMS, num_users=4, num_items=4)


def test_popularity_counts_events():
    np.testing.assert_array_equal(simple_rules.counts(ITEMS, num_items=5), [0, 3, 2, 1, 2, 0])


def test_a_repeated_pair_counts_once(matrix):
    np.testing.assert_array_equal(
        matrix.toarray(), [[0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    )


def test_cosines_by_hand(matrix):
    # Users of 1: 0, 1, 2; of 2: 0, 1; of 3: 1; of 4: 3.
    c12, c13, c23 = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3 * 1), 1 / np.sqrt(2 * 1)
    expected = [[0, 0, 0, 0, 0], [0, 0, c12, c13, 0], [0, c12, 0, c23, 0], [0, c13, c23, 0, 0], [0, 0, 0, 0, 0]]
    similarities = simple_rules.item_neighbours(matrix, neighbours=4)
    np.testing.assert_allclose(similarities.toarray(), expected, rtol=1e-6)


def test_only_the_nearest_stay(matrix):
    c12, c23 = 2 / np.sqrt(6), 1 / np.sqrt(2)
    expected = np.zeros((5, 5))
    expected[1, 2], expected[2, 1], expected[3, 2] = c12, c12, c23  # of 3 the nearer is 2: .71 against .58
    similarities = simple_rules.item_neighbours(matrix, neighbours=1)
    np.testing.assert_allclose(similarities.toarray(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="neighbours = 0"):
        simple_rules.item_neighbours(matrix, neighbours=0)


def test_neighbours_are_those_of_brute_force_whatever_the_block(monkeypatch):
    rng = np.random.default_rng(0)
    dense = rng.random((30, 21)) < 0.3
    dense[:, 0] = False
    matrix = simple_rules.interactions(*np.nonzero(dense), num_users=30, num_items=20)
    norms = np.sqrt(dense.sum(axis=0))
    cosine = dense.T.astype(float) @ dense / np.maximum(np.outer(norms, norms), 1e-9)
    np.fill_diagonal(cosine, 0.0)
    monkeypatch.setattr(simple_rules, "_HELD", 21 * 4)
    np.testing.assert_allclose(simple_rules.item_neighbours(matrix, neighbours=21).toarray(), cosine, atol=1e-6)


def test_scores_add_up_over_the_history(matrix):
    similarities = simple_rules.item_neighbours(matrix, neighbours=4)
    c12, c13, c23 = 2 / np.sqrt(6), 1 / np.sqrt(3), 1 / np.sqrt(2)
    rows, items = [0, 0, 0, 1, 2], [1, 2, 2, 1, 4]  # an item that was taken twice counts once
    np.testing.assert_allclose(
        simple_rules.nearness(rows, items, similarities, num_rows=3),
        [[0, c12, c12, c13 + c23, 0], [0, 0, c12, c13, 0], [0, 0, 0, 0, 0]],
        rtol=1e-6,
    )


def test_item_knn_times_popularity_falls_back_on_popularity():
    counts = np.array([0, 3, 8, 0], np.float32)
    near = np.array([[0, 0.5, 0.0, 0.25], [0, 0, 0, 0]], np.float32)
    parts = simple_rules.Parts(lambda read: near * read, lambda days: counts * days)
    e = 0.001
    np.testing.assert_allclose(
        simple_rules.item_knn_popularity(parts, read=1, days=1, power=0.5),
        [[e, (0.5 + e) * 2, e * 3, 0.25 + e], [e, e * 2, e * 3, e]],
        rtol=1e-6,
    )


def test_the_settings_of_the_best_sum_are_chosen_and_parts_are_counted_once():
    rules = {
        "popularity": simple_rules.Rule(simple_rules.popularity, simple_rules.grid(days=(1, 7))),
        "item_knn": simple_rules.Rule(simple_rules.item_knn, simple_rules.grid(read=(5,))),
        "both": simple_rules.Rule(
            simple_rules.item_knn_popularity, simple_rules.grid(read=(2, 3), days=(1, 7), power=(1.0,))
        ),
    }
    asked = []

    def part(name, best):
        def scores(value):
            asked.append((name, value))
            return np.full((2, 3), float(value == best), np.float32)

        return scores

    queries = [(simple_rules.Parts(part("read", 3), part("days", 7)), lambda scores: scores[:, 1]) for _ in range(2)]
    chosen = simple_rules.choose(rules, queries)
    assert chosen == {"popularity": {"days": 7}, "item_knn": {"read": 5}, "both": {"read": 3, "days": 7, "power": 1.0}}
    assert sorted(asked) == 2 * [("days", 1)] + 2 * [("days", 7)] + 2 * [("read", 2)] + 2 * [("read", 3)]
    assert simple_rules.choose(rules, []) == {name: rule.grid[0] for name, rule in rules.items()}
