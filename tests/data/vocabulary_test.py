import hashlib

import numpy as np
import polars as pl

from data import clock, vocabulary


def test_codes_are_places_in_sorted_order_and_zero_is_unknown():
    ids = vocabulary.build(pl.Series([30, 10, 30, None]), pl.Series([20]))
    assert ids.to_list() == [10, 20, 30]
    np.testing.assert_array_equal(vocabulary.encode(pl.Series([20, 99, None, 10, 30]), ids), [2, 0, 0, 1, 3])
    assert vocabulary.id_dtype(ids) == "int64"


def test_an_id_of_zero_is_an_item_like_any_other():
    ids = vocabulary.build(pl.Series([0, 5]))
    np.testing.assert_array_equal(vocabulary.encode(pl.Series([0, 5]), ids), [1, 2])


def test_text_ids():
    ids = vocabulary.build(pl.Series(["b", "a", "10", "9"]))
    assert ids.to_list() == ["10", "9", "a", "b"]
    np.testing.assert_array_equal(vocabulary.encode(pl.Series(["a", "zz", "9"]), ids), [3, 0, 2])
    assert vocabulary.id_dtype(ids) == "utf8"


def test_fingerprint_tells_vocabularies_apart():
    def of(*ids):
        return vocabulary.fingerprint(pl.Series(list(ids)))

    assert of("a", "b") == hashlib.sha256(b"utf81:a\n1:b\n").hexdigest()
    distinct = {of("a", "b"), of("b", "a"), of("a\nb"), of("ab"), of("a"), of("1", "2"), of(1, 2)}
    assert len(distinct) == 7


def test_clock_reads_offsets_and_shows_utc():
    assert clock.parse("1970-01-01T00:00:01.500") == 1_500
    assert clock.parse("2022-05-03T00:00+08:00") == clock.parse("2022-05-02T16:00Z") == 1_651_507_200_000
    assert clock.show(1_651_507_200_999) == "2022-05-02T16:00:00Z"
