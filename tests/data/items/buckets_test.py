"""Numbers as buckets: their edges, and what lies in which."""

import numpy as np

from data.items import buckets


def test_few_numbers_have_a_bucket_each():
    edges = buckets.edges([3.0, 1.0, 3.0, np.nan, 7.0])
    np.testing.assert_array_equal(edges, [3.0, 7.0])
    np.testing.assert_array_equal(buckets.codes([1, 3, 7, np.nan, -5, 6.9, 99], edges), [2, 3, 4, 1, 2, 3, 4])


def test_many_numbers_lie_in_buckets_of_equally_many():
    numbers = np.random.default_rng(0).permutation(1600) ** 2.0
    codes = buckets.codes(numbers, buckets.edges(numbers))
    np.testing.assert_array_equal(np.unique(codes), np.arange(2, 2 + buckets.BUCKETS))
    counts = np.bincount(codes)[2:]
    assert counts.min() >= 99  # 1600 / 16, an edge being the first of its bucket
    assert counts.max() <= 101


def test_no_numbers_have_one_bucket():
    for none in ([], [np.nan]):
        edges = buckets.edges(none)
        np.testing.assert_array_equal(buckets.codes([4.0, np.nan], edges), [2, 1])
