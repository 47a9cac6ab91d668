import numpy as np
import polars as pl
import pytest

from data.raw import rows, sampled
from data.raw.quarantine import Quarantine
from data.raw.rows import Column
from runtime.errors import DataError, UsageError


def test_a_share_of_the_users_is_the_same_in_every_file_and_about_as_large():
    users = pl.DataFrame({"uid": pl.Series(range(0, 100_000, 10), dtype=pl.UInt32)})
    chosen = users.select(sampled.of_share(pl.col("uid"), 0.3)).to_series()
    # User u is chosen where u p mod 2^32 < .3 2^32, in Python's whole numbers.
    wanted = [(u * 2_654_435_761) % 2**32 < round(0.3 * 2**32) for u in users["uid"].to_list()]
    assert chosen.to_list() == wanted
    assert abs(chosen.mean() - 0.3) < 0.01
    assert users.select(sampled.of_share(pl.col("uid"), 1.0)).to_series().all()
    more = users.select(sampled.of_share(pl.col("uid"), 0.5)).to_series()
    assert (more | ~chosen).all()  # a larger share has the users of a smaller one


def test_rows_of_the_others_are_skipped_and_the_rest_keep_their_numbers(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"uid": [1, 2, 3, 1, 2, 3], "x": [1, 2, 3, 4, 5, 6], "y": 0}).write_parquet(path)
    columns = (Column("uid", pl.Int64), Column("x", pl.Int64))

    def of_share(share):
        skip = sampled.others("uid", share)
        return rows.read(path, columns, quarantine=Quarantine(), skip=skip, number="at")

    # 1·p mod 2^32 is .618 of it, 2·p .236, 3·p .854.
    some, count = of_share(0.62)
    assert some.rows() == [(1, 1, 1), (2, 2, 2), (1, 4, 4), (2, 5, 5)]
    assert count == 4
    assert len(of_share(1.0)[0]) == 6
    pl.DataFrame({"uid": ["1", "x", "-1", "3"], "x": [1, 2, 3, 4]}).write_parquet(path)
    with pytest.raises(DataError, match=r"row 2, column uid: 'x' is not a whole number"):  # of nobody's share
        of_share(0.62)
    pl.DataFrame({"uid": [1, 2, 3], "x": 1}).write_parquet(path)
    with pytest.raises(DataError, match="no rows that are to be read"):
        of_share(0.001)
    with pytest.raises(UsageError, match=r"--config\.user_share=1\.5: no share of the users above 0, up to 1"):
        of_share(1.5)


def test_vectors_of_the_items_that_are_asked_for(tmp_path):
    path = tmp_path / "embeddings.parquet"
    table = pl.DataFrame({"item_id": [5, 7, 9, 9], "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [0.0, 0.0]]})
    table.write_parquet(path)
    found = sampled.vectors(path, "item_id", "v", pl.Series([9, 4, 5]))
    assert found["item_id"].to_list() == [5, 9]
    assert found.schema["embedding"] == pl.Array(pl.Float32, 2)
    np.testing.assert_array_equal(found["embedding"].to_numpy(), [[1, 2], [5, 6]])
    with pytest.raises(DataError, match="no column 'w'"):
        sampled.vectors(path, "item_id", "w", pl.Series([9]))
    table.with_columns(v=pl.Series([[1.0], [2.0, 3.0], [1.0], [1.0]])).write_parquet(path)
    with pytest.raises(DataError, match="column v holds vectors of different lengths, or no numbers"):
        sampled.vectors(path, "item_id", "v", pl.Series([5, 7]))
    table.with_columns(v=pl.Series([[1.0], [float("nan")], [1.0], [1.0]])).write_parquet(path)
    with pytest.raises(DataError, match="or no numbers"):
        sampled.vectors(path, "item_id", "v", pl.Series([5, 7]))
