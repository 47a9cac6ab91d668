"""Ragged ranges against the same written as loops over the stretches."""

import numpy as np
import pytest

from data import ranges


@pytest.mark.parametrize("lengths", [[2, 0, 3, 1], [0, 0], [], [4]])
def test_stretches_one_after_the_other(lengths):
    starts = 10 * (1 + np.arange(len(lengths)))
    joined = [(n, place) for n, length in enumerate(lengths) for place in range(length)]
    np.testing.assert_array_equal(ranges.owners(lengths), [n for n, _ in joined])
    np.testing.assert_array_equal(ranges.places(lengths), [place for _, place in joined])
    np.testing.assert_array_equal(ranges.positions(starts, lengths), [starts[n] + place for n, place in joined])
    np.testing.assert_array_equal(ranges.begins(lengths), [sum(lengths[:n]) for n in range(len(lengths))])


@pytest.mark.parametrize(
    ("count", "stretch", "position"),
    [(3, [0, 0, 1, 1, 1], [0, 1, 6, 7, 8]), (1, [0, 1], [1, 8]), (0, [0, 0, 1, 1, 1, 1, 1], [0, 1, 4, 5, 6, 7, 8])],
)
def test_the_last_of_each_stretch_one_after_the_other(count, stretch, position):
    found = ranges.last([0, 4, 9], [2, 9, 9], count)  # the third is empty; 0 asks for all
    np.testing.assert_array_equal(found, [stretch, position])


def test_the_newest_of_each_stretch_from_the_left():
    found = ranges.newest([0, 4, 7], [2, 9, 7], 3)
    np.testing.assert_array_equal(found, [[0, 1, -1], [6, 7, 8], [-1, -1, -1]])
    columns = {"a": np.arange(10, 20), "b": np.linspace(0, 0.9, 10, dtype=np.float32)}
    read = ranges.gathered(columns, found)
    np.testing.assert_array_equal(read["a"], [[10, 11, 0], [16, 17, 18], [0, 0, 0]])
    np.testing.assert_allclose(read["b"], [[0, 0.1, 0], [0.6, 0.7, 0.8], [0, 0, 0]], rtol=1e-6)
    assert read["b"].dtype == np.float32


def test_sums_before_and_the_last_true():
    np.testing.assert_array_equal(ranges.sums_before([True, False, True]), [0, 1, 1, 2])
    np.testing.assert_array_equal(ranges.sums_before([[0.5, 1.0], [2.0, 3.0]]), [[0, 0], [0.5, 1.0], [2.5, 4.0]])
    assert ranges.sums_before(np.ones(3, np.float32), np.float64).dtype == np.float64
    assert ranges.sums_before(np.ones(3, np.int8)).dtype == np.cumsum(np.ones(3, np.int8)).dtype
    assert ranges.sums_before(np.zeros((0, 2))).tolist() == [[0, 0]]
    np.testing.assert_array_equal(ranges.last_true(np.array([True, False, True, False, False])), [0, 0, 2, 2, 2])


@pytest.mark.parametrize("values", [[], [7], [3, -1, 3, 3, 5, -1], [2**62, 0, 2**62]])
def test_distinct_values_rise_and_stand_once(values):
    found = ranges.distinct(np.array(values, np.int64))
    assert found.tolist() == sorted(set(values))


@pytest.mark.parametrize("rising", [[], [3], [2, 3, 7]])
def test_among_asks_whether_a_value_is_there(rising):
    values = np.array([[1, 2, 3], [6, 7, 8]])
    np.testing.assert_array_equal(ranges.among(values, np.array(rising, np.int64)), np.isin(values, rising))


def test_padded_sets_values_side_by_side():
    table = ranges.padded([2, 0, 2, 2], [7, 8, 9, 5], num_rows=4)
    np.testing.assert_array_equal(table, [[8, -1, -1], [-1, -1, -1], [7, 9, 5], [-1, -1, -1]])
    assert ranges.padded([], [], num_rows=0).shape == (0, 0)


def test_inside_a_stretch_of_each_range():
    # Ranges [0, 4), [4, 4), [4, 7); of the first the middle, of the last its end.
    found = ranges.inside([0, 4, 4, 7], [1, 4, 5], [3, 4, 7])
    np.testing.assert_array_equal(found, [False, True, True, False, False, True, True])
    assert ranges.inside([0], [], []).tolist() == []


@pytest.mark.parametrize("lengths", [[3, 1, 0, 2, 9, 1, 1], [0, 0], [], [50]])
def test_batches_cover_all_stretches_and_hold_no_more_than_asked(lengths):
    batches = list(ranges.batches(lengths, 4))
    assert [n for batch in batches for n in range(batch.start, batch.stop)] == [*range(len(lengths))]
    for batch in batches:
        assert sum(lengths[batch]) <= 4 or batch.stop - batch.start == 1
