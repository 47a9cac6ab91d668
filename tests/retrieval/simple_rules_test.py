"""The rules by hand, what they may know at which moment, and that the validation days choose what is best on them."""

import numpy as np
import pytest

from retrieval import simple_rules
from retrieval.queries import NEXT_ITEM, Moments, asked
from retrieval.simple_rules import RULES, Log, choose, score, tuned
from tests.logs import random_timelines
from tests.retrieval.evaluation_test import CLICK, DAY, DISLIKE, LOG, SKIP, TEST, N, write_timelines


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_timelines(tmp_path_factory.mktemp("log") / "timelines", LOG)


def known(timelines, split="test"):
    return Log(timelines, split=split, positive=("click",))


def at_begin(timelines, users):
    return Moments(np.array(users), timelines.test_start[users], np.full(len(users), TEST))


def test_popularity_counts_positives_of_the_last_days(log):
    moments = at_begin(log, [0, 1])
    # Days 4 to 10: item 1 once (day 8), 2 twice (day 9, user 1's is no click), 3 and 4 once (day 10).
    expected = {7: {1: 1, 2: 2, 3: 1, 4: 1}, 1: {3: 1, 4: 1}, 0: {1: 3, 2: 2, 3: 1, 4: 1}}
    for days, counts in expected.items():
        row = np.zeros(N + 1)
        row[list(counts)] = list(counts.values())
        np.testing.assert_array_equal(known(log).popularity(moments, days), [row, row])


def test_popularity_goes_on_by_the_hour(tmp_path):
    hour = DAY // 24
    log = write_timelines(tmp_path / "log", [[(1, 1, CLICK), (2, 11, CLICK), (3, 11.5, CLICK), (4, 11.6, CLICK)]])
    moments = Moments(np.zeros(3, int), np.array([2, 3, 4]), TEST + np.array([0, 12 * hour - 1, 14 * hour]))
    counts = known(log).popularity(moments, 1)
    # At the split's begin nothing of its day; then 2; and from the hour after noon on, 3 as well.
    np.testing.assert_array_equal(counts[:, :5], [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0]])


def test_item_knn_reads_nothing_of_the_held_out_days(log, tmp_path):
    # Users met {1, 2, 3}, {1, 2}, {2}, {1, 4} and nothing: cosines by hand.
    c12, c13, c23, c14 = 2 / 3, 1 / np.sqrt(3), 1 / np.sqrt(3), 1 / np.sqrt(3)
    expected = np.zeros((3, N + 1))
    expected[0, [1, 2, 3, 4]] = c12, c12, c13 + c23, c14  # of user 1, who met 1 and 2
    expected[1, [1, 3]] = c12, c23  # of user 2
    np.testing.assert_allclose(known(log).near(at_begin(log, [1, 2, 4]), 500), expected, rtol=1e-6)
    # Of user 1's last event alone, item 2.
    np.testing.assert_allclose(known(log).near(at_begin(log, [1]), 1)[0, [1, 2, 3]], [c12, 0, c23], rtol=1e-6)

    other_future = [[event for event in user if event[1] < 11] + [(50, 11, CLICK)] for user in LOG]
    changed = write_timelines(tmp_path / "changed", other_future)
    for rule, (_, grid) in RULES.items():
        scores = [score(known(of), rule, grid[-1], at_begin(of, np.arange(5))) for of in (log, changed)]
        np.testing.assert_array_equal(*scores)


def test_what_was_turned_down_brings_nothing_near(tmp_path):
    met = [[(1, 8, CLICK), (2, 8, SKIP), (3, 8, DISLIKE), (4, 8, 0), (9, 11, CLICK)]]
    log = write_timelines(tmp_path / "log", met)
    np.testing.assert_array_equal(np.flatnonzero(known(log).near(at_begin(log, [0]), 500)[0]), [1, 4])


def test_counts_by_the_formula(log):
    # Clusters of 30 items each, item j in 1 + (j − 1) mod 4; no creators: P(g | c, user) is 1.
    # n: item 1 three clicks, 2 two, 3 and 4 one; by cluster Σ (n + 1) = 33, 32, 31, 31.
    of_cluster = np.array([33.0, 32.0, 31.0, 31.0])
    prior = of_cluster / of_cluster.sum()
    met = np.array([1, 1, 1, 0])  # user 0 met 1, 2 and 3
    by_cluster = (met + 3 * prior) / (3 + 3)
    clicks = np.zeros(N)
    clicks[:4] = 3, 2, 1, 1
    cluster = np.arange(N) % 4
    expected = by_cluster[cluster] * (clicks + 1) / of_cluster[cluster]
    scores = score(known(log), "counts", {"read": 500, "days": 0, "m": 3, "m_creator": 30}, at_begin(log, [0]))
    np.testing.assert_allclose(scores[0, 1:], expected, rtol=1e-5)
    assert scores[0, 0] == 0
    assert scores[0, 1:].sum() == pytest.approx(1, rel=1e-5)  # a distribution over all items


def test_the_settings_that_find_most_on_the_validation_days_are_chosen(tmp_path, monkeypatch):
    # Popularity that turns round on the last day, and users with a cluster of their own: settings matter.
    rng = np.random.default_rng(0)

    def event(day, user):
        item = rng.zipf(1.3) % 30 * 4 + (user % 4 if rng.random() < 0.5 else rng.integers(4)) + 1
        return int(item if day < 9 else N + 1 - item), day, CLICK

    many = [[event(day, user) for day in (*rng.integers(1, 9, 12), 9, 9, 10, 10, 10)] for user in range(60)]
    log = write_timelines(tmp_path / "log", [sorted(events, key=lambda e: e[1]) for events in many])
    monkeypatch.setattr(simple_rules, "CUT", 10)
    log = random_timelines.uploaded_late(log, [1, 6, 11], "valid")
    queries = asked(log, split="valid", positive=("click",))[""]
    before = known(log, "valid")
    for rule, (_, grid) in RULES.items():
        recalls = [recall_at(10, before, rule, settings, queries, log) for settings in grid]
        if len(grid) > 1:
            chosen = grid.index(choose(before, queries)[rule])
            assert recalls[chosen] == pytest.approx(max(recalls))
            assert max(recalls) > min(recalls)
    assert choose(before, None) == {rule: grid[0] for rule, (_, grid) in RULES.items()}


def recall_at(k, before, rule, settings, queries, log):
    """Summed over the queries, by brute force, ties in random order."""
    total = 0.0
    for row, user in enumerate(queries.moments.user):
        scores = score(before, rule, settings, queries.rows(np.array([row])).moments)[0]
        unmet = np.setdiff1d(np.arange(1, N + 1), [1, 6, 11, *log.item[log.offsets[user] : log.valid_start[user]]])
        targets = queries.items[row][queries.kind[row] == 0]
        ahead = (scores[unmet] > scores[targets, None]).sum(axis=1)
        tied = (scores[unmet] == scores[targets, None]).sum(axis=1)
        total += np.clip((k - ahead) / tied, 0, 1).mean()
    return total


def test_each_way_of_asking_has_its_scorer(log):
    found = tuned(log, ("", NEXT_ITEM), split="test", positive=("click",))
    assert list(found) == list(RULES)
    for of in found.values():
        assert set(of) == {"", NEXT_ITEM}
        assert of[""](at_begin(log, [0, 1])).shape == (2, N + 1)
