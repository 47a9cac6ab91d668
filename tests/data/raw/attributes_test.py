"""Further columns of items: what each type is read as."""

import polars as pl
import pytest

from data.raw import attributes
from runtime.errors import DataError


def read(cells, **how):
    value, wrong = attributes.read(pl.Series(cells), "column x", **how)
    return value.dtype, value.to_list(), [rows.to_list() for rows, _ in wrong]


def test_several_categories_stand_once_each_and_in_order():
    assert read([["b", "a", "b"], [], None, [None, "c"]]) == (pl.List(pl.String), [["b", "a"], None, None, ["c"]], [])
    assert read([[2, 1], [None]]) == (pl.List(pl.Int64), [[2, 1], None], [])
    assert read([[True], [False]]) == (pl.List(pl.Int64), [[1], [0]], [])


def test_lists_of_numbers_with_fractions_are_embeddings_of_the_size_that_most_have():
    found = read([[1.5, 2.0], [3.0, 4.0], [5.0], [float("nan"), 1.0], [], None])
    of_wrong_size, not_finite = [False, False, True, False, False, False], [False, False, False, True, False, False]
    assert found == (pl.Array(pl.Float32, 2), [[1.5, 2.0], [3.0, 4.0], *[None] * 4], [of_wrong_size, not_finite])


def test_nan_is_a_number_that_is_missing():
    assert read([1.5, float("nan"), None]) == (pl.Float64, [1.5, None, None], [[False] * 3])


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1.5", " 2", ""], pl.Float64, [1.5, 2.0, None]),
        (["1", "2", ""], pl.String, ["1", "2", None]),  # whole numbers stay the categories that they were
        (["1.5", "x"], pl.String, ["1.5", "x"]),
        (['["a", "b"]', "[]", ""], pl.List(pl.String), [["a", "b"], None, None]),
        (["[1, 2.5]", ""], pl.Array(pl.Float32, 2), [[1.0, 2.5], None]),
        (["[1, 2.5]", "x"], pl.String, ["[1, 2.5]", "x"]),
        (["[oops]"], pl.String, ["[oops]"]),
        (["", ""], pl.String, [None, None]),
    ],
)
def test_text_is_what_all_of_it_can_be_read_as(cells, dtype, values):
    found = read(cells, from_text=True)
    assert found[:2] == (dtype, values)
    assert read(cells)[0] == pl.String  # but not where the file knows types


def test_other_types_are_no_attributes():
    kinds = {pl.Date(): False, pl.Struct([]): False, pl.List(pl.List(pl.Int8)): False, pl.Binary(): False}
    kinds |= {pl.Array(pl.Float64, 3): True, pl.Decimal(4, 2): True, pl.Boolean(): True, pl.Null(): True}
    assert {kind: attributes.may_be_attribute(kind) for kind in kinds} == kinds
    with pytest.raises(DataError, match="column x is of type"):
        attributes.read(pl.Series([{"a": 1}]), "column x")
