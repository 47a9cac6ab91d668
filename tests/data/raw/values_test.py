import uuid
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from data.raw import values

FIVE = [uuid.UUID(int=k * 2**100 + 255) for k in range(5)]


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (pl.Series([3, 7], dtype=pl.UInt64), [3, 7]),
        # One that 63 bits do not hold makes all of them text.
        (pl.Series([3, 2**63], dtype=pl.UInt64), ["3", "9223372036854775808"]),
        (pl.Series([3, None], dtype=pl.UInt64), [3, None]),
        (pl.Series([Decimal(3), Decimal(10) ** 30], dtype=pl.Decimal(38, 0)), ["3", "1" + "0" * 30]),
        (pl.Series([Decimal("3.00"), Decimal("3.50")], dtype=pl.Decimal(9, 2)), [3, None]),
        (pl.Series(["007", "7", "7.0", "", None]), ["007", "7", "7.0", None, None]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["b", "a"]),
        (pl.Series([7.0, 7.5, float("nan")]), [7, None, None]),
        (pl.Series([u.bytes for u in FIVE]), [str(u) for u in FIVE]),
        (pl.Series([b"ann", "böb".encode()]), ["ann", "böb"]),
        (pl.Series([b"\xff", b"a"]), ["ff", "61"]),
    ],
)
def test_ids_are_whole_numbers_or_text(cells, ids):
    assert values.ids(cells, "x").to_list() == ids


@pytest.mark.parametrize(("dtype", "exact_below"), [(np.float16, 2**11), (np.float32, 2**24), (np.float64, 2**53)])
def test_floats_are_ids_as_long_as_no_other_number_is_the_same_float(dtype, exact_below):
    assert dtype(exact_below) == dtype(exact_below + 1)
    cells = pl.Series(np.array([exact_below - 1, exact_below, -exact_below], dtype))
    assert values.ids(cells, "x").to_list() == [exact_below - 1, None, None]
    assert values.inexact(cells).to_list() == [False, True, True]


def test_numbers_beside_text_become_their_digits():
    assert [column.to_list() for column in values.alike(pl.Series([7]), pl.Series(["007"]))] == [["7"], ["007"]]
    assert [column.to_list() for column in values.alike(pl.Series([7]), pl.Series([8]))] == [[7], [8]]


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        (pl.List(pl.Float32), pl.List(pl.Float64), pl.List(pl.Float64)),
        (pl.Array(pl.Float32, 2), pl.List(pl.Int64), pl.List(pl.Float64)),
        (pl.List(pl.Int32), pl.List(pl.Int64), pl.List(pl.Int64)),
        (pl.List(pl.Float64), pl.List(pl.String), pl.List(pl.String)),
        (pl.List(pl.Null), pl.List(pl.Float64), pl.List(pl.Float64)),
        (pl.List(pl.Null), pl.List(pl.Int64), pl.List(pl.Int64)),
        (pl.List(pl.Null), pl.List(pl.String), pl.List(pl.String)),
    ],
)
def test_lists_of_numbers_in_different_files_stay_lists_of_numbers(one, other, dtype):
    columns = [pl.Series([[1, 2]] if kind.inner != pl.Null else [[], []]).cast(kind) for kind in (one, other)]
    assert values.stacked(columns, "emb").dtype == dtype


@pytest.mark.parametrize(
    ("cells", "whole"),
    [
        (["31.000", "900"], [None, 900]),  # thousands of a spreadsheet: 31 would be a thousandth of it
        (["31.000", "900.000"], [31, 900]),  # three places in each
        (["31.000", "900.0"], [31, 900]),
        (["1.234.567", "8"], [None, 8]),
        ([" 7", "8 ", None, ""], [7, 8, None, None]),
    ],
)
def test_text_is_the_whole_number_that_it_says(cells, whole):
    assert values.whole_numbers(pl.Series(cells), "x").to_list() == whole
