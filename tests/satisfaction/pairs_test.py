import dataclasses

import polars as pl
import pytest

from runtime.errors import DataError
from satisfaction.unbiased.predictions import encode_pairs, read_pairs
from tests.logs import random_timelines


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Users 0 to 2, items 100 to 119."""
    return random_timelines.write(tmp_path_factory.mktemp("log") / "t", lengths=[3, 3, 3])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_of_pairs_are_those_that_are_written(opened, tmp_path, suffix):
    path = tmp_path / f"pairs.{suffix}"

    def indices(log, **columns):
        frame = pl.DataFrame(columns)
        frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
        return [codes.tolist() for codes in encode_pairs(read_pairs(path), log, path=path)]

    assert indices(opened, user_id=[2, 0], item_id=[100, 119]) == [[2, 0], [1, 20]]
    with pytest.raises(DataError, match=r"1 of 2 rows have a item_id that .* the first is '0119' in row 2"):
        indices(opened, user_id=[2, 0], item_id=["100", "0119"])
    # A log whose ids are text, where 7 and 007 are two users.
    text = dataclasses.replace(opened, users=pl.DataFrame({"user_id": ["007", "7", "8"]}))
    assert indices(text, user_id=["7", "007"], item_id=[100, 101]) == [[1, 0], [1, 2]]
