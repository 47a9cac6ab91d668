import polars as pl

from data import catalogue

NO_DURATIONS = pl.DataFrame({"item_id": [], "duration_ms": []}, schema={"item_id": pl.Int64, "duration_ms": pl.Int32})


def test_row_i_is_item_i_and_row_0_is_padding():
    items = pl.DataFrame(
        {
            "item_id": [20, 10],
            "creator_id": ["z", None],
            "cluster_id": [3, 1],
            "duration_ms": [7_000, None],
            "kind": ["long", "long"],
        }
    )
    durations = pl.DataFrame({"item_id": [10, 20, 30], "duration_ms": [6_999, 1, -1]})
    table, features = catalogue.build(pl.Series([10, 20, 30]), items, attributes=["kind"], durations=durations)
    assert table["item_id"].to_list() == [None, 10, 20, 30]
    assert table["creator_id"].to_list() == [None, None, "z", None]
    assert table["creator"].to_list() == [0, 0, 1, 0]
    assert table["cluster"].to_list() == [0, 1, 2, 0]
    assert table["item.kind"].to_list() == [0, 1, 1, 0]
    # The table's own duration, else the events', else unknown.
    assert table["duration_ms"].to_list() == [-1, 6_999, 7_000, -1]
    assert table["duration"].to_list() == [0, 1, 2, 0]
    assert features == [
        {"name": "creator", "cardinality": 2},
        {"name": "cluster", "cardinality": 3},
        {"name": "item.kind", "cardinality": 2},
        {"name": "duration", "cardinality": 3},
    ]
    assert [str(table[name].dtype) for name in ("creator", "cluster", "item.kind", "duration", "duration_ms")] == [
        "Int32"
    ] * 5


def test_names_of_the_log_are_never_names_of_the_table():
    ours = ["creator", "cluster", "duration", "train_count", "duration_ms_of_events", "index", "item.creator", ""]
    items = pl.DataFrame({"item_id": [1, 2], "creator_id": [9, 9], "title": ["One", None]})
    items = items.with_columns(pl.Series(name, [f"{name} b", f"{name} a"]) for name in ours)
    durations = pl.DataFrame({"item_id": [1, 2], "duration_ms": [10_000, 20_000]})
    table, features = catalogue.build(pl.Series([1, 2]), items, attributes=ours, durations=durations)
    assert table["creator"].to_list() == [0, 1, 1]
    assert table["duration"].to_list() == [0, 2, 3]
    assert table["title"].to_list() == [None, "One", None]
    for name in ours:
        assert table[f"item.{name}"].to_list() == [0, 2, 1]
    assert [feature["name"] for feature in features] == [*(f"item.{name}" for name in ours), "duration"]


def test_without_an_items_table_the_columns_are_there_and_no_feature_is():
    table, features = catalogue.build(pl.Series([1, 2]), None, attributes=[], durations=NO_DURATIONS)
    assert table.select("creator", "cluster", "duration").rows() == [(0, 0, 0)] * 3
    assert features == []
