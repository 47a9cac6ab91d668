import numpy as np
import polars as pl

from data.items import catalogue
from data.timelines import NEVER_MS

T = 1_650_000_000_000


def build(item_ids, items, *, durations=None, seen=None, first_ms=None):
    """Durations and times as events tell them, of row 0 too; none, and all items seen, by default."""
    nothing = np.full(len(item_ids) + 1, -1)
    return catalogue.build(
        pl.Series(item_ids),
        items,
        duration_ms=nothing if durations is None else np.array(durations),
        seen=nothing < 0 if seen is None else seen,
        first_ms=np.full(len(nothing), NEVER_MS) if first_ms is None else np.array(first_ms),
    )


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
    table, features, *_ = build([10, 20, 30], items, durations=[-1, 6_999, 1, -1])
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
        {"name": "duration", "cardinality": 3, "edges": list(catalogue.DURATION_EDGES_MS), "first": 1},
    ]
    assert [str(table[name].dtype) for name in ("creator", "cluster", "item.kind", "duration", "duration_ms")] == [
        "Int32"
    ] * 5


def test_names_of_the_log_are_never_names_of_the_table():
    ours = ["creator", "cluster", "duration", "train_count", "duration_ms_of_events", "index", "item.creator", ""]
    items = pl.DataFrame({"item_id": [1, 2], "creator_id": [9, 9], "title": ["One", None]})
    items = items.with_columns(pl.Series(name, [f"{name} b", f"{name} a"]) for name in ours)
    table, features, *_ = build([1, 2], items, durations=[-1, 10_000, 20_000])
    assert table["creator"].to_list() == [0, 1, 1]
    assert table["duration"].to_list() == [0, 2, 3]
    assert table["title"].to_list() == [None, "One", None]
    for name in ours:
        assert table[f"item.{name}"].to_list() == [0, 2, 1]
    assert [feature["name"] for feature in features] == [*(f"item.{name}" for name in ours), "duration"]


def test_without_an_items_table_the_columns_are_there_and_no_feature_is():
    table, features, *_ = build([1, 2], None)
    assert table.select("creator", "cluster", "duration").rows() == [(0, 0, 0)] * 3
    assert features == []


def test_of_several_categories_the_first_is_the_one_and_all_are_there():
    items = pl.DataFrame(
        {"item_id": [1, 2, 3], "cluster_id": [["jazz", "live"], ["live"], None], "tag": [[5], [9], [5]]},
    )
    made = build([1, 2, 3], items)
    assert made.table["cluster_id"].to_list() == [None, "jazz", "live", None]
    assert made.table["cluster"].to_list() == [0, 1, 2, 0]
    assert made.table["all.cluster"].to_list() == [None, [1, 2], [2], None]
    assert made.table["item.tag"].to_list() == [0, 1, 2, 1]
    values = [("cluster", "jazz", 1), ("cluster", "live", 2), ("item.tag", "5", 1), ("item.tag", "9", 2)]
    assert made.codes.rows() == values
    assert made.features == [
        {"name": "cluster", "cardinality": 3, "width": 2},
        {"name": "item.tag", "cardinality": 3},  # no item has two
    ]


def test_too_many_categories_are_cut_and_it_is_said():
    items = pl.DataFrame({"item_id": [1, 2], "tag": [list(range(30)), [29]]})
    made = build([1, 2], items)
    assert made.features == [{"name": "item.tag", "cardinality": 18, "width": 16}]  # 0 to 15, and 29
    assert made.table["all.item.tag"].to_list() == [None, list(range(1, 17)), [17]]
    assert made.notes == ["items: tag has up to 30 values: the first 16 are taken"]


def test_numbers_lie_in_buckets_of_the_items_of_the_training_days():
    price = [2.0, 2.0, 5.0, 8.0, None, 1000.0, 1.0]
    items = pl.DataFrame({"item_id": range(7), "price": price})
    seen = np.array([False, True, True, True, True, False, False, False])  # 2, 2, 5 and 8
    made = build(range(7), items, seen=seen)
    # Up to 5, up to 8, from 8 on; no number is a state of its own; below the least there is no bucket more.
    assert made.table["item.price"].to_list() == [0, 2, 2, 3, 4, 1, 4, 2]
    assert made.features == [{"name": "item.price", "cardinality": 5, "edges": [5.0, 8.0], "first": 2}]


def test_embeddings_stand_beside_the_table():
    items = pl.DataFrame({"item_id": [3, 1], "look": [[0.5, 2.0], None], "sound": [[1.0], [4.0]]})
    items = items.with_columns(
        pl.col("look").cast(pl.Array(pl.Float32, 2)), pl.col("sound").cast(pl.Array(pl.Float32, 1))
    )
    made = build([1, 2, 3], items)
    assert made.embeddings.dtype == np.float32
    np.testing.assert_array_equal(made.embeddings, [[0, 0, 0], [0, 0, 4], [0, 0, 0], [0.5, 2, 1]])
    assert made.embedded == [{"name": "item.look", "size": 2}, {"name": "item.sound", "size": 1}]
    assert made.features == []
    assert not {"look", "sound", "item.look"} & {*made.table.columns}


def test_an_item_is_there_since_its_upload_or_its_first_event():
    items = pl.DataFrame({"item_id": [1, 2, 3], "uploaded_ms": pl.Series([500, 700, None], dtype=pl.Int64)})
    made = build([1, 2, 3, 4], items, first_ms=[NEVER_MS, 600, 600, 600, 600])
    assert made.table["uploaded_ms"].to_list() == [None, 500, 600, None, None]
    assert not build([1, 2], items, first_ms=[NEVER_MS, 500, NEVER_MS]).notes
    # Before 1970 is always, and known, as 0 would not be; what is planned is there once it is.
    films = items.with_columns(uploaded_ms=pl.Series([-14_000_000_000, 0, 4_000_000_000_000]))
    assert build([1, 2, 3], films).table["uploaded_ms"].to_list() == [None, 1, 1, 4_000_000_000_000]
    unknown = items.with_columns(uploaded_ms=pl.lit(None, pl.Int64))
    made = build([1, 2, 3], unknown)
    assert "uploaded_ms" not in made.table.columns
    assert made.notes == ["uploaded_ms: empty for every item: all count as there from the start"]


def test_uploads_after_the_first_events_of_many_items_are_doubted():
    items = pl.DataFrame({"item_id": range(7), "uploaded_ms": pl.Series([T + 500] * 6 + [None], dtype=pl.Int64)})
    # Of the sixth item no event is known, and of the seventh no upload.
    told = "uploaded_ms: events lie before it for {} of 5 items, which count as there since their first event"
    few = build(range(7), items, first_ms=[NEVER_MS, T + 499, *range(T + 500, T + 504), NEVER_MS, T + 499])
    assert (few.notes, few.warnings) == ([told.format(1)], [])
    many = build(range(7), items, first_ms=[NEVER_MS, T + 499, T + 499, *range(T + 501, T + 504), NEVER_MS, T + 499])
    doubt = ": is it when they were imported or changed, or a time of another zone or unit?"
    assert (many.notes, many.warnings) == ([], [told.format(2) + doubt])
    earlier = build(range(7), items, first_ms=[NEVER_MS, 0, 0, 0, 0, 0, NEVER_MS, 0])
    assert (earlier.notes, earlier.warnings) == ([], [])
