"""EVV, FVV, GVV and shares: thresholds by visible arithmetic, from training days only."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from data.watch_time import group_quantiles, thresholds, watch_feedback, watch_known
from tests.logs import random_timelines


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(
        tmp_path_factory.mktemp("log") / "timelines", lengths=[20] * 20, num_items=6, unseen=2
    )


def with_plays(log, **arrays):
    return dataclasses.replace(log, **arrays)


def test_quantiles_of_groups():
    values, groups = np.array([4.0, 1, 2, 3, 0, 10, 7]), np.array([2, 2, 2, 2, 2, 0, 3])
    quantiles, sizes = group_quantiles(values, groups, 5)
    np.testing.assert_array_equal(sizes, [1, 0, 5, 1, 0])
    np.testing.assert_allclose(quantiles[2], [2.0, 0.6 * 4])  # of 0, 1, 2, 3, 4
    np.testing.assert_allclose(quantiles[[0, 3]], [[10, 10], [7, 7]])
    np.testing.assert_allclose(quantiles[[1, 4]], 0.0)


def test_thresholds_are_numpys_quantiles_of_the_training_plays(log):
    counted = log.in_split("train") & (log.play_ms >= 0)
    found = thresholds(log, min_plays=1)
    for item in range(1, 5):
        expected = np.quantile(log.play_ms[counted & (log.item == item)].astype(float), [0.5, 0.6])
        np.testing.assert_allclose(found[item, :2], expected, rtol=1e-6)


def test_items_of_few_plays_are_measured_against_their_duration_bucket(log):
    bucket = np.array([0, 1, 1, 2, 2, 1, 3])  # items 1, 2 and 5 are of one duration; 5 and 6 were never trained on
    table = log.items.with_columns(duration=bucket)
    found = thresholds(with_plays(log, items=table), min_plays=100)
    counted = log.in_split("train") & (log.play_ms >= 0)

    def quantiles(items):
        return np.quantile(log.play_ms[counted & np.isin(log.item, items)].astype(float), [0.5, 0.6])

    # 240 training plays of items 1 to 4: no item has 100, both pairs of items do.
    assert [np.isin(log.item[counted], items).sum() >= 100 for items in ([1, 2], [3, 4], [1])] == [True, True, False]
    for item, group in ((1, [1, 2]), (2, [1, 2]), (5, [1, 2]), (3, [3, 4]), (6, [1, 2, 3, 4]), (0, [1, 2, 3, 4])):
        np.testing.assert_allclose(found[item, :2], quantiles(group), rtol=1e-6)


def test_later_days_do_not_move_a_threshold(log):
    later = ~log.in_split("train")
    changed = with_plays(log, play_ms=np.where(later, 999_999, log.play_ms))
    np.testing.assert_array_equal(thresholds(changed), thresholds(log))
    moved = with_plays(log, play_ms=np.where(later, log.play_ms, 999_999))
    assert (thresholds(moved)[1:5, :2] != thresholds(log)[1:5, :2]).all()


def test_feedback_of_plays():
    bounds = np.full((3, 6), np.inf, np.float32)
    bounds[:, :2] = [0, 0], [5_000, 8_000], [1_000, 2_000]
    play = np.array([5_000, 5_001, 8_001, 2_999, 3_000, -1, 0])
    item = np.array([1, 1, 1, 2, 2, 2, 2])
    found = watch_feedback(play, item, bounds)
    np.testing.assert_array_equal(found["EVV"], [0, 1, 1, 1, 1, 0, 0])  # above, not at
    np.testing.assert_array_equal(found["FVV"], [0, 0, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(found["GVV"], [0, 0, 0, 1, 0, 0, 1])  # under 3 s, not at; -1 is unknown


def test_without_watch_times_nothing_is_above(log):
    unknown = with_plays(log, play_ms=np.full(len(log.item), -1, np.int32))
    assert np.isinf(thresholds(unknown)).all()


def test_shares_of_the_duration(log):
    duration = pl.Series("duration_ms", [0, 10_001, 8_000, 0, 0, 0, 0])
    bounds = thresholds(with_plays(log, items=log.items.with_columns(duration)))
    play, item = np.array([2_500, 2_501, 10_000, 10_001, -1, 4_000]), np.array([1, 1, 1, 1, 1, 3])
    found, known = watch_feedback(play, item, bounds), watch_known(play, item, bounds)
    np.testing.assert_array_equal(found["watched_25"], [0, 1, 1, 1, 0, 0])  # 10,001 / 4 = 2,500.25
    np.testing.assert_array_equal(found["watched_100"], [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(known["watched_100"], [1, 1, 1, 1, 0, 0])  # item 3's duration is not known
    np.testing.assert_array_equal(known["GVV"], [1, 1, 1, 1, 0, 1])
