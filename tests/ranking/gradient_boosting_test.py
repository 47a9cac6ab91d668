import builtins
import dataclasses

import numpy as np
import pytest

from data.impressions import ranked_positions
from data.items.content import ItemContent
from data.rates import Rates
from data.timelines import Timelines
from metrics import binary
from ranking import log_statistics, tasks
from ranking.baselines import gradient_boosting, popularity, tree_features
from runtime.errors import UsageError
from tests.logs import impression_log

TASKS = ("EVV", "GVV", "click")
SMALL = {"num_leaves": 4, "min_data_in_leaf": 5, "min_data_per_group": 5}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return impression_log.write(tmp_path_factory.mktemp("log") / "timelines", per_day=8, silent=2)


@pytest.fixture(scope="module")
def statistics(log):
    return log_statistics.build(log, ("EVV", "FVV", "GVV", "click", "like"))


@pytest.fixture(scope="module")
def labels(log, statistics):
    return tasks.labels(TASKS, log, statistics.thresholds, None)


@pytest.fixture(scope="module")
def everything(log, statistics):
    return tree_features.build(log, statistics, np.arange(len(log.item)))


def _column(table, name):
    return table.values[:, table.names.index(name)]


def test_rates_of_a_user_are_those_strictly_before(log, labels, everything):
    click = labels.values[:, 2:]
    trained = log.in_split("train")
    user = log.user_of_event()
    before = Rates(user, click, log.timestamp_ms, prior_rate=click[trained].mean(), prior_count=10.0)
    rates = before.at(user, log.timestamp_ms)
    np.testing.assert_allclose(_column(everything, "user/click"), rates[:, 0], rtol=1e-5)
    np.testing.assert_allclose(_column(everything, "user/count"), rates[:, 1], rtol=1e-5)


def test_pairs_have_rates_of_their_own(log, labels, everything):
    cluster = log.items["cluster"].to_numpy()[log.item]
    at = int(ranked_positions(log, "test")[50])
    user = log.user_of_event()
    same = (user == user[at]) & (cluster == cluster[at]) & (log.timestamp_ms < log.timestamp_ms[at])
    prior = labels.values[log.in_split("train"), 2].mean()
    expected = (labels.values[same, 2].sum() + 10 * prior) / (same.sum() + 10)
    assert _column(everything, "user_cluster/click")[at] == pytest.approx(expected, rel=1e-5)


def test_what_is_measured_against_the_item_has_no_rate_by_item(statistics, log, everything):
    for key in ("item", "creator", "item_surface"):
        assert f"{key}/GVV" in everything.names
        assert f"{key}/EVV" not in everything.names
    assert "user/EVV" in everything.names
    limit = statistics.thresholds[log.item, 0] / 1000
    np.testing.assert_allclose(_column(everything, "threshold/EVV"), np.log1p(limit), rtol=1e-5)


def test_last_outcomes_and_gap(log, labels, everything):
    start = log.offsets[5]
    np.testing.assert_array_equal(
        _column(everything, "last1/click")[start : start + 4], [np.nan, *labels.values[start : start + 3, 2]]
    )
    np.testing.assert_array_equal(
        _column(everything, "last2/click")[start : start + 4], [np.nan, np.nan, *labels.values[start : start + 2, 2]]
    )
    gap = log.timestamp_ms[start + 1] - log.timestamp_ms[start]
    assert _column(everything, "last1/gap")[start + 1] == pytest.approx(np.log1p(gap / 1000), rel=1e-5)


def test_nothing_at_or_after_an_impression_reaches_its_row(log, statistics, everything):
    moment = log.manifest["test_start_ms"] + impression_log.DAY_MS // 2
    later = log.timestamp_ms >= moment
    changed = dataclasses.replace(
        log,
        play_ms=np.where(later, 0, log.play_ms).astype(np.int32),
        feedback=np.where(later, 0, log.feedback).astype(np.uint16),
    )
    again = tree_features.build(changed, statistics, np.arange(len(log.item)))
    np.testing.assert_array_equal(
        again.values[log.timestamp_ms <= moment], everything.values[log.timestamp_ms <= moment]
    )
    assert not np.array_equal(again.values[later], everything.values[later], equal_nan=True)


def test_categories_are_codes(log, everything):
    assert {"item", "surface", "hour", "creator", "cluster", "age"} <= set(everything.categories)
    np.testing.assert_array_equal(_column(everything, "item"), log.item)
    for name in everything.categories:
        column = _column(everything, name)
        assert column.min() >= 0
        np.testing.assert_array_equal(column, column.astype(int))


def test_all_codes_of_an_item_and_its_embedding_are_there(log, statistics, everything, monkeypatch):
    codes = np.zeros((log.num_items + 1, 3), np.int32)
    codes[1:] = 1 + np.arange(3 * log.num_items).reshape(-1, 3) % 7
    codes[5, 1:] = 0
    embeddings = np.arange(2.0 * len(codes), dtype=np.float32).reshape(-1, 2)
    content = ItemContent(codes, (0, 0, 1), ("genre", "creator"), (8, 8), embeddings, (2,))

    monkeypatch.setattr(Timelines, "item_content", lambda timelines: content)
    positions = np.arange(40)
    table = tree_features.build(log, statistics, positions)
    item = log.item[positions]
    for code in range(1, 8):
        np.testing.assert_array_equal(_column(table, f"genre={code}"), (codes[item, :2] == code).any(axis=1))
    np.testing.assert_array_equal(_column(table, "embedding/1"), embeddings[item, 1])
    assert {*table.names} - {*everything.names} == {*(f"genre={n}" for n in range(1, 8)), "embedding/0", "embedding/1"}


def test_a_log_without_watch_time_has_rates_of_what_it_has(tmp_path):
    log = impression_log.write(tmp_path / "log", watch_times=False)
    table = tree_features.build(log, log_statistics.build(log, ("click",)), ranked_positions(log, "valid"))
    assert "user/click" in table.names
    assert "user/EVV" not in table.names
    assert len(set(table.names)) == len(table.names)


@pytest.fixture(scope="module")
def trees(log, statistics, labels):
    return gradient_boosting.fit(log, statistics, TASKS, labels, settings=SMALL, max_rounds=60)


def test_trees_find_the_taste(log, labels, trees):
    test = ranked_positions(log, "test")
    p = trees.predict(test)
    assert p.shape == (len(test), 3)
    assert trees.tasks == TASKS
    for k in range(3):
        assert binary.auc(p[:, k], labels.values[test, k]) > 0.6  # 0.5 is chance; each user likes one of two clusters
        assert binary.logloss(p[:, k], labels.values[test, k]) < binary.logloss(
            np.full(len(test), labels.values[log.in_split("train"), k].mean()), labels.values[test, k]
        )


def test_trees_learn_nothing_from_test_days(log, statistics, labels, trees):
    test = ranked_positions(log, "test")
    flipped = labels.values.copy()
    flipped[test] = 1 - flipped[test]
    again = gradient_boosting.fit(
        log, statistics, TASKS, labels._replace(values=flipped), settings=SMALL, max_rounds=60
    )
    np.testing.assert_array_equal(again.predict(test), trees.predict(test))


def test_popularity_is_the_smoothed_rate_so_far(log, labels):
    model = popularity.popularity(log, TASKS, labels)
    prior = labels.values[ranked_positions(log, "train")].mean(axis=0)
    ranked = ranked_positions(log, "train", "valid", "test")
    position = ranked_positions(log, "test")[:3]
    for row, at in zip(model.predict(position), position, strict=True):
        own = ranked[(log.item[ranked] == log.item[at]) & (log.timestamp_ms[ranked] < log.timestamp_ms[at])]
        np.testing.assert_allclose(row, (labels.values[own].sum(axis=0) + 20 * prior) / (len(own) + 20), rtol=1e-5)


def test_a_missing_openmp_library_is_named_with_its_package(log, statistics, labels, monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"libgomp\.so\.1.*apt install libgomp1.*--nolightgbm"):
        gradient_boosting.fit(log, statistics, TASKS, labels)
