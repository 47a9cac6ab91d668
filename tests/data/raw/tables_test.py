import json
import time
from typing import Any

import polars as pl
import pytest

from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.raw.tables import attributes, merge_relogged
from data.readers.canonical.layout import read_tables
from runtime.errors import DataError

T = 1_650_000_000_000
EVENTS = pl.DataFrame(
    {"user_id": [1, 1, 2], "item_id": ["b", "a", "a"], "timestamp_ms": [T, T + 1, T + 2], "like": [0, 1, 0]}
)


def tables(folder, *, quarantine=None, **frames):
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return read_tables(folder, quarantine=quarantine or Quarantine()).whole()


def fault(folder, **frames):
    with pytest.raises(DataError) as caught:
        tables(folder, **frames)
    return str(caught.value)


def test_events_alone_are_enough(tmp_path):
    read = tables(tmp_path, events=EVENTS)
    assert read.events.to_dict(as_series=False) == EVENTS.to_dict(as_series=False)
    assert (read.items, read.users, read.earlier, read.rows_read, attributes(read.items)) == (None, None, None, 3, [])


def test_further_columns_of_items_are_what_their_type_says_and_others_are_told(tmp_path):
    items = pl.DataFrame(
        {
            "item_id": ["a", "b"],
            "creator_id": [5, None],
            "colour": ["red", "blue"],
            "price": [1.5, 2.0],
            "made": pl.Series([0, 1]).cast(pl.Date),
        }
    )
    read = tables(tmp_path, events=EVENTS, items=items, users=pl.DataFrame({"user_id": [1, 2, 3], "region": [1, 1, 2]}))
    assert attributes(read.items) == ["colour", "price"]
    assert read.items.schema["price"] == pl.Float64
    assert read.items["creator_id"].to_list() == [5, None]
    assert read.users.columns == ["user_id", "region"]
    (note,) = read.notes
    assert note.startswith("items.parquet: column made holds dates, no category: left out")


@pytest.mark.parametrize(
    ("cells", "is_left_out"),
    [
        (["2026-01-01", "2026-01-02"], True),
        (["2026-01-01T12:00:00+01:00", ""], True),
        (["2026-01-01", "NULL"], True),
        (pl.Series(["2026-01-01"] * 2, dtype=pl.Categorical), True),
        (pl.Series([T, T]).cast(pl.Datetime("ms", "UTC")), True),
        (["2026-01-01", "a fair"], False),
        (["2026", "2025"], False),
        (["NULL", "NULL"], False),
    ],
)
def test_dates_are_no_category(tmp_path, cells, is_left_out):
    items = pl.DataFrame({"item_id": ["a", "b"], "opening": cells})
    users = pl.DataFrame({"user_id": [1, 2], "opening": cells})
    quarantine = Quarantine()
    read = tables(tmp_path, events=EVENTS, items=items, users=users, quarantine=quarantine)
    assert (attributes(read.items), "opening" in read.users.columns) == (
        ([], False) if is_left_out else (["opening"], True)
    )
    why = "column opening holds dates, no category: left out"
    assert (
        read.notes
        == (
            f"items.parquet: {why}; if an item is there since then, schema.yaml says `uploaded_ms: opening`",
            f"users.parquet: {why}",
        )
        * is_left_out
    )
    assert ("items.parquet: ignored opening" in quarantine.column_lines()) == is_left_out
    # Where that is known, or the dates are said to be categories, there is nothing to advise.
    items = items.with_columns(uploaded_ms=T)
    known = tables(tmp_path, events=EVENTS, items=items, users=users).notes
    assert known == (f"items.parquet: {why}", f"users.parquet: {why}") * is_left_out
    (tmp_path / "schema.yaml").write_text("items: {categories: opening}")
    said = read_tables(tmp_path, quarantine=Quarantine()).items
    assert (attributes(said) == ["opening"]) == (items.schema["opening"] != pl.Datetime("ms", "UTC"))


def test_lists_and_numbers_are_the_same_in_parquet_and_csv(tmp_path):
    columns: dict[str, list[Any]] = {
        "item_id": ["a", "b", "c"],
        "cluster_id": [["x", "y"], None, ["y"]],
        "price": [1.5, None, 20.0],
        "look": [[0.5, 1.0], [], [-2.0, 0.25]],
    }
    (tmp_path / "csv").mkdir()
    EVENTS.write_csv(tmp_path / "csv/events.csv")
    lists = ("cluster_id", "look")
    as_text = {k: [json.dumps(v) if v else "" for v in column] for k, column in columns.items() if k in lists}
    pl.DataFrame(columns | as_text).write_csv(tmp_path / "csv/items.csv")
    quarantine = Quarantine()
    frames = [
        tables(tmp_path, events=EVENTS, items=pl.DataFrame(columns), quarantine=quarantine).items,
        read_tables(tmp_path / "csv", quarantine=Quarantine()).whole().items,
    ]
    assert quarantine.column_lines()[:3] == [
        "items.parquet: read item_id, cluster_id",
        "items.parquet: numbers price",
        "items.parquet: embeddings look",
    ]
    for items in frames:
        assert items.schema == {
            "item_id": pl.String,
            "cluster_id": pl.List(pl.String),
            "price": pl.Float64,
            "look": pl.Array(pl.Float32, 2),
        }
        assert items["cluster_id"].to_list() == columns["cluster_id"]
        assert items["price"].to_list() == columns["price"]
        assert items["look"].to_list() == [[0.5, 1.0], None, [-2.0, 0.25]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("look", [[1.0, 2.0], [3.0, 4.0], [5.0]]), r"row 3, column look: '\[5.0\]' is no list of 2 numbers"),
        (pl.Series("look", [[1.0, None], [3.0, 4.0]]), r"row 1, column look: '.*' holds something that is no finite"),
        (pl.Series("price", [1.5, float("inf")]), "row 2, column price: 'inf' is infinite"),
        (
            pl.Series("cluster_id", [[1.5], [2.5]]),
            r"column cluster_id is of type List\(Float64\); write one value a row",
        ),
    ],
)
def test_what_is_wrong_with_lists_and_numbers_is_told(tmp_path, column, message):
    items = pl.DataFrame({"item_id": ["a", "b", "c"][: len(column)], column.name: column})
    with pytest.raises(DataError, match=message):
        tables(tmp_path, events=EVENTS, items=items)


def test_users_have_no_lists(tmp_path):
    users = pl.DataFrame({"user_id": [1, 2], "age": [20.5, None], "likes": [["a"], ["b"]]})
    read = tables(tmp_path, events=EVENTS, users=users)
    assert read.users.columns == ["user_id", "age"]
    assert read.notes == ("users.parquet: column likes holds lists, which are read of items alone: left out",)


def test_text_of_its_own_for_every_item_is_no_category(tmp_path):
    n = 42
    items = pl.DataFrame({"item_id": [f"i{k}" for k in range(n)], "title": [f"Part {k}" for k in range(n)]})
    items = items.with_columns(
        pl.Series("", range(n)),
        url=pl.format("https://example.org/{}", "item_id"),
        brand=pl.int_range(n) % 21,  # two items of each
        series=pl.int_range(n) % 22,
        author=pl.Series([f"a{k}" if k < 20 else None for k in range(n)]),  # 20 values
    )
    events = EVENTS.with_columns(item_id=pl.lit("i1"))
    users = pl.DataFrame(
        {"user_id": range(n), "mail": [f"{k}@example.org" for k in range(n)], "plan": [1, 2] * (n // 2)}
    )
    quarantine = Quarantine()
    read = tables(tmp_path, events=events, items=items, users=users, quarantine=quarantine)
    assert attributes(read.items) == ["brand", "author"]
    assert read.items["title"].to_list() == items["title"].to_list()
    assert read.users.columns == ["user_id", "plan"]
    why = "has a value of its own for most rows: no category"
    assert read.notes == (
        *(f"items.parquet: column {name} {why}" for name in ("", "url", "series")),
        f"users.parquet: column mail {why}",
    )
    assert quarantine.column_lines()[:3] == [
        "items.parquet: read item_id, title",
        "items.parquet: categories brand, author (did you mean creator_id?)",
        "items.parquet: ignored '', url, series",
    ]


def test_csv_tables(tmp_path):
    EVENTS.write_csv(tmp_path / "events.csv")
    assert read_tables(tmp_path, quarantine=Quarantine()).whole().events["user_id"].to_list() == ["1", "1", "2"]
    EVENTS.write_parquet(tmp_path / "events.parquet")
    with pytest.raises(DataError, match="both are there"):
        read_tables(tmp_path, quarantine=Quarantine()).whole()


@pytest.mark.parametrize(
    ("time", "told"),
    [(T // 1000, "is below 2000-01-01T00:00:00Z"), (-1, "is below"), (T * 1000, "is above"), (None, "is empty")],
)
def test_absurd_times_are_told_with_the_unit(tmp_path, time, told):
    message = fault(tmp_path, events=EVENTS.with_columns(timestamp_ms=pl.Series([T, time, T])))
    assert "row 2, column timestamp_ms" in message
    assert told in message
    assert time is None or "milliseconds since 1970" in message


def test_times_after_now_are_told(tmp_path):
    year = 365 * 86_400_000
    future = time.time_ns() // 1_000_000 + year
    events = EVENTS.with_columns(timestamp_ms=pl.Series([T, future, T]))
    assert f"row 2, column timestamp_ms: '{future}' is above" in fault(tmp_path, events=events)
    now = EVENTS.with_columns(timestamp_ms=pl.lit(future - year))
    assert len(tables(tmp_path, events=now).events) == 3


def test_an_item_may_be_old_or_planned(tmp_path):
    """The film of 1969, the one of today, and what a shop will sell in ten years: none of them is at fault."""
    later = time.time_ns() // 1_000_000 + 3_650 * 86_400_000
    items = pl.DataFrame({"item_id": ["a", "b", "c"], "uploaded_ms": [-14_000_000_000, T, later]})
    read = tables(tmp_path, events=EVENTS, items=items)
    assert read.items["uploaded_ms"].to_list() == [-14_000_000_000, T, later]
    assert len(read.events) == 3
    as_text = items.with_columns(uploaded_ms=pl.Series(["1969-07-21", "2022-04-15", "soon"]))
    told = fault(tmp_path, events=EVENTS, items=as_text)
    assert "row 3, column uploaded_ms: 'soon' is not a time; times are milliseconds since 1970, or ISO 8601; of" in told
    as_text = as_text.with_columns(uploaded_ms=pl.col("uploaded_ms").replace("soon", "2122-04-15"))
    assert tables(tmp_path, events=EVENTS, items=as_text).items["uploaded_ms"].to_list() == [
        -164 * 86_400_000,
        19_097 * 86_400_000,
        (19_097 + 36_524) * 86_400_000,
    ]


def test_feedback_is_required(tmp_path):
    assert "no feedback column, only user_id, item_id, timestamp_ms" in fault(tmp_path, events=EVENTS.drop("like"))
    assert tables(tmp_path, events=EVENTS.drop("like").with_columns(play_ms=5)).events["play_ms"].to_list() == [5] * 3


def test_missing_pieces_are_named(tmp_path):
    assert "events.parquet: no such file; check --data" in fault(tmp_path)
    EVENTS.write_csv(tmp_path / "clicks.csv")
    assert "in a folder called events; there is clicks.csv" in fault(tmp_path)
    assert "clicks.csv: a file; give the folder that it lies in" in fault(tmp_path / "clicks.csv")
    told = fault(tmp_path, events=EVENTS.drop("item_id"))
    assert "no column 'item_id'" in told
    assert "or say in schema.yaml which it is: python -m data.inspect begins one" in told
    assert "no rows" in fault(tmp_path, events=EVENTS.head(0))


def test_negative_item_numbers_are_reserved(tmp_path):
    events = EVENTS.with_columns(item_id=pl.Series([0, 3, -1]))
    assert "row 3, column item_id: '-1' is below 0" in fault(tmp_path, events=events)


def test_an_item_that_the_items_table_lacks(tmp_path):
    items = pl.DataFrame({"item_id": ["a"]})
    assert "row 1, column item_id: 'b' is not in items.parquet" in fault(tmp_path, events=EVENTS, items=items)
    read = tables(tmp_path, events=EVENTS, items=items, quarantine=Quarantine(enabled=True))
    assert (len(read.events), read.rows_read) == (2, 3)
    twice = pl.DataFrame({"item_id": ["a", "b", "b"]})
    assert "items.parquet: row 3, column item_id: 'b' stands in more than one row" in fault(tmp_path, items=twice)


@pytest.mark.parametrize("ids", [["a", "b"], [1, 2]])
def test_an_event_of_an_item_whose_row_was_set_aside(tmp_path, ids):
    """The row is there: to add it to the file, as is told of an item that is not, would be wrong."""
    items = pl.DataFrame({"item_id": ids, "duration_ms": [5, -5]})
    events = EVENTS.with_columns(item_id=pl.Series([*map(str, ids), "7"]))
    quarantine = Quarantine(enabled=True)
    assert len(tables(tmp_path, events=events, items=items, quarantine=quarantine).events) == 1
    reasons = "is below 0", "is of a row of items.parquet that was set aside", "is not in items.parquet"
    assert quarantine.frame()["reason"].to_list() == [*reasons]
    with pytest.raises(
        DataError, match=r"'.' is of a row of items.parquet that was set aside \(1 rows\); mend that row"
    ):
        tables(tmp_path, events=events[1:2], items=items, quarantine=Quarantine(enabled=True))


def test_ids_that_are_text_in_one_table_and_numbers_in_another(tmp_path):
    events = EVENTS.with_columns(item_id=pl.Series(["7", "8", "7"]))
    items, users = pl.DataFrame({"item_id": [7, 8]}), pl.DataFrame({"user_id": ["1", "01", "2"], "region": [1, 2, 3]})
    read = tables(tmp_path, events=events, items=items, users=users)
    made = assemble(read, valid_start_ms=T + 1, test_start_ms=T + 2)
    assert made.users["user_id"].to_list() == ["1", "2"]
    assert made.users["user.region"].to_list() == [1, 3]
    assert made.items["item_id"].to_list() == [None, "7", "8"]
    assert made.arrays["item"].tolist() == [1, 2, 1]
    assert made.notes[:2] == tuple(
        f"{name}: text in one table, numbers in another: taken as text everywhere" for name in ("item_id", "user_id")
    )
    zeros = EVENTS.with_columns(item_id=pl.Series(["07", "8", "7"]))
    assert "row 1, column item_id: '07' is not in items.parquet" in fault(tmp_path, events=zeros, items=items)


def test_events_logged_again_are_merged_in_place():
    flags = {"like": pl.Int8, "play_ms": pl.Int32}
    events = pl.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 1],
            "item_id": [7, 8, 7, 7, 7],
            "timestamp_ms": [5, 5, 5, 5, 6],
            "like": [0, 0, 1, 0, 0],
            "play_ms": [10, 4, 3, None, 2],
            "surface": ["x", "x", "y", "z", "z"],
        },
        schema_overrides=flags,
    )
    # Rows 0 and 2 are one event: OR of the likes, longest play, first surface. Row 4 is of another time.
    assert merge_relogged(events).rows() == [
        (1, 7, 5, 1, 10, "x"),
        (1, 8, 5, 0, 4, "x"),
        (2, 7, 5, 0, None, "z"),
        (1, 7, 6, 0, 2, "z"),
    ]
