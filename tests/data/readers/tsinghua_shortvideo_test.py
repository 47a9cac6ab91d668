import polars as pl
import pytest

from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.readers.tsinghua_shortvideo import layout as reader
from runtime.errors import DataError
from tests.logs import official_logs


def read(folder, quarantine=None):
    return reader.read_short_video(folder, quarantine=quarantine or Quarantine())


def test_columns_get_their_canonical_names(tmp_path):
    official_logs.tsinghua_shortvideo(tmp_path)
    tables = read(tmp_path)
    assert tables.events.row(0, named=True) == {
        "user_id": 0,
        "item_id": 84_199_269_992,
        "timestamp_ms": 1_663_333_100_000,
        "play_ms": 46_000,
        "duration_ms": 9_000,
        "like": 1,
        "follow": 0,
        "comment": 0,
        "share": 0,
        "dislike": 0,
    }
    items = tables.items.sort("item_id")
    assert items.row(9, named=True) == {
        "item_id": 84_199_270_001,
        "creator_id": "3",
        "cluster_id": "31",
        "category_2": "281",
        "category_3": "1309",
        "tag": "tag 4",
        "title": "Catch lobsters, under the sea 9",
        "duration_ms": 138_566,
    }
    # Item 9 was collected by all who met it.
    collected = tables.events.filter(item_id=84_199_270_001)
    assert collected["like"].to_list() == [1] * len(collected)
    assert tables.users.sort("user_id").row(1) == (1, "F", "35", "Shanghai", "country", "first-tier city")


def test_extracts_repeat_a_row_for_each_tag_and_become_the_same_events(tmp_path):
    official_logs.tsinghua_shortvideo(tmp_path / "whole")
    rows = official_logs.tsinghua_shortvideo(tmp_path / "extract", name="interaction_sampled.csv", extract=True)
    whole, extract = assemble(read(tmp_path / "whole")), assemble(read(tmp_path / "extract"))
    assert extract.fields["counts"]["read"] == rows == 2 * whole.fields["counts"]["read"]
    assert extract.fields["counts"]["merged"] == rows // 2
    for name in ("item", "timestamp_ms", "play_ms"):
        assert (extract.arrays[name] == whole.arrays[name]).all()
    assert "click" in extract.fields["feedback"]
    assert "click" not in whole.fields["feedback"]


def test_bad_rows_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"interaciton_filtered\.csv: no such file, nor interaction_filtered\.csv"):
        read(tmp_path)
    official_logs.tsinghua_shortvideo(tmp_path)
    path = tmp_path / "interaciton_filtered.csv"
    table = pl.read_csv(path, infer_schema=False)
    for column, value, told in (
        ("hate", "maybe", "'maybe' is not true or false"),
        ("watch_time", "long", "'long' is not a number of seconds"),
        ("watch_time", "-1", "'-1' is below 0"),
        ("exposed_time", "4000000000", "'4000000000' is above 20"),
        ("user_id", "x", "'x' is not a whole number"),
    ):
        table.with_columns(pl.Series(column, [value, *table[column][1:]])).write_csv(path)
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        assert f"{path}: row 2, column {column}: {told}" in str(caught.value)
    table.with_columns(pl.Series("watch_time", [" 2.5", *table["watch_time"][1:]])).write_csv(path)
    assert read(tmp_path).events["play_ms"][0] == 2_500
    table.drop("hate").write_csv(path)
    with pytest.raises(DataError, match="no column 'hate'"):
        read(tmp_path)
    table.write_csv(tmp_path / "interaction.csv")
    with pytest.raises(DataError, match="both are there; keep one of them"):
        read(tmp_path)
