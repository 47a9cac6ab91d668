"""What names and cells say of a column, and what is said only in a comment."""

import datetime

import polars as pl
import pytest

from data.first_look import first_schema, guesses
from data.first_look.columns import look
from data.first_look.first_schema import tables_of
from data.raw.schema import yaml_file

SECOND = 1_767_268_800  # 2026-01-01T12:00:00Z
NOON = datetime.datetime(2026, 1, 1, 12)


def lines(table="events", **columns):
    return [
        str(guess)
        for guess in guesses.of_table(table, [look(pl.Series(name, cells)) for name, cells in columns.items()])
    ]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"user_id": ["a"], "item_id": ["v"], "timestamp_ms": [SECOND * 1000], "like": [1]}, []),
        ({"uid": ["a"], "trackId": ["v"]}, ["user_id: uid", "item_id: trackId"]),
        ({"usr_idd": ["a"]}, ["user_id: usr_idd"]),  # needed, so any likeness is taken
        ({"surfaces": ["a"]}, ["# surface: surfaces"]),
        ({"liked": ["true", "false"], "hide": [0, 1]}, ["like: liked", "dislike: hide"]),
        ({"likes": [0, 7]}, ["# like: likes >= 1  # up to 7: counts?"]),
        ({"like": [1, 5]}, ["like: like >= 4  # 1 to 5", "dislike: like <= 2  # 1 to 5"]),
        ({"rating": [0.5, 9.0]}, ["like: rating >= 8  # 0.5 to 9", "dislike: rating <= 4  # 0.5 to 9"]),
        ({"rating": [-3, 5]}, []),
        ({"like": [0, 3]}, ["# like: like >= 1  # up to 3: counts?"]),  # stars begin at one
        ({"liked": ["Y", "N", "Y"]}, ["# like: liked == Y  # or N?"]),
        ({"like": ["no", "Heart", ""]}, ["# like: like == Heart  # or no?"]),
        ({"liked": ["yes", ""]}, ["# like: liked == yes"]),
        ({"liked": ["up", "down"]}, []),
        ({"liked": ["Y", "N", "?!"]}, []),
        ({"share": [0, 7]}, ["# share: share >= 1  # up to 7: counts?"]),
        ({"rating": [1, 3]}, ["# like: rating >= 4  # 1 to 3", "# dislike: rating <= 2  # 1 to 3"]),  # of three?
        ({"rating": ["1,5", "5"]}, ["like: rating >= 4  # 1.5 to 5", "dislike: rating <= 2  # 1.5 to 5"]),
        ({"watch_ms": ["5", "NULL"]}, ["play_ms: {column: watch_ms, unit: ms}"]),
        ({"play_ms": [datetime.timedelta(seconds=31)]}, []),
        ({"watch_ms": [5]}, ["play_ms: {column: watch_ms, unit: ms}"]),
        ({"watchSeconds": [5]}, ["play_ms: {column: watchSeconds, unit: s}"]),
        ({"dwell": [31, 2]}, ["play_ms: {column: dwell, unit: s}  # the middle one is 16.5: seconds?"]),
        ({"dwell": [31_000, 2_000]}, ["play_ms: {column: dwell, unit: ms}  # the middle one is 16500: milliseconds?"]),
        ({"play_ms": [31, 2]}, ["# play_ms: {unit: s}  # the middle one is 16.5: seconds?"]),
        ({"play_ms": [31_000]}, []),
        (
            {"action": ["heart", "view", "hide", "thumbs down"]},
            ['event_type: {column: action, like: [heart], dislike: [hide, "thumbs down"]}  # without feedback: view'],
        ),
        ({"event_type": ["like"]}, ["event_type: {like: [like]}"]),
        ({"action": ["x", "y"]}, []),
    ],
)
def test_columns_of_events(columns, told):
    assert lines(**columns) == told


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([SECOND], "timestamp_ms: {column: ts, unit: s}"),
        ([SECOND + 0.5], "timestamp_ms: {column: ts, unit: s}"),
        ([SECOND * 1000], "timestamp_ms: ts"),
        ([SECOND * 10**6], "timestamp_ms: {column: ts, unit: us}"),
        ([str(SECOND * 10**9)], "timestamp_ms: {column: ts, unit: ns}"),
        ([NOON], "timestamp_ms: ts"),
        (["2026-01-01T12:00:00+01:00"], "timestamp_ms: ts"),
        (["31.12.2026 12:00"], 'timestamp_ms: {column: ts, format: "%d.%m.%Y %H:%M", zone: UTC}'),
        (["12/31/2026 12:00"], 'timestamp_ms: {column: ts, format: "%m/%d/%Y %H:%M", zone: UTC}'),
        (["31/12/2026"], 'timestamp_ms: {column: ts, format: "%d/%m/%Y"}'),
        ([20261231], 'timestamp_ms: {column: ts, format: "%Y%m%d"}'),
        (["soon"], None),
        ([None], None),
    ],
)
def test_times(cells, told):
    assert [line.split("  #")[0] for line in lines(ts=cells)] == ([told] if told else [])
    if told:
        assert [line.split("  #")[0] for line in lines(timestamp_ms=cells)] == (
            [] if told == "timestamp_ms: ts" else [told.replace("column: ts, ", "")]
        )


def test_columns_of_items_and_users():
    assert lines("items", id=["a"], author=["x"], genres=["p|q"], name=["T"], length_s=[5], language=["de"]) == [
        "item_id: id",
        "creator_id: author",
        'cluster_id: {column: genres, separator: "|"}  # such as p|q',
        "title: name",
        "duration_ms: {column: length_s, unit: s}",
    ]
    assert lines("users", id=["a"], country=["de"]) == ["user_id: id"]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"created_at": ["2026-01-01"]}, ["uploaded_ms: created_at  # such as 2026-01-01"]),
        ({"publish_date": [SECOND]}, [f"uploaded_ms: {{column: publish_date, unit: s}}  # such as {SECOND}"]),
        # When a film came out is not when a service had it.
        ({"release_date": ["1969-07-21"]}, ["# uploaded_ms: release_date  # such as 1969-07-21"]),
        ({"release_date": ["1969-07-21"], "listed": ["2026-01-01"]}, ["uploaded_ms: listed  # such as 2026-01-01"]),
    ],
)
def test_since_when_an_item_is_there(columns, told):
    assert lines("items", **columns) == told


def test_names_that_yaml_would_take_for_something_else(tmp_path):
    names = ["user id", "a: b", "#1", "x\ty", 'say "hi"', "ü", "- z", "no"]
    path = tmp_path / "schema.yaml"
    for name in names:
        path.write_text(f"events: {{surface: {guesses.written(name)}}}")
        assert [*yaml_file.read(path).of("events").lines] == [name]


def test_which_table_is_which(tmp_path):
    ratings, films, people = tmp_path / "ratings.csv", tmp_path / "films.csv", tmp_path / "people.csv"
    headers = {films: ["movieId", "title"], people: ["userId", "age"], ratings: ["userId", "movieId", "rating"]}
    assert tables_of(headers) == {"events": ratings, "items": films, "users": people}
    headers = {films: ["id", "title"], people: ["id", "age"], ratings: ["userId", "movieId"]}
    assert tables_of(headers) == {"events": ratings, "items": films}
    assert tables_of({films: ["id", "title"]}) == {}
    headers = {films: ["id", "created_at"], people: ["id", "title"], ratings: ["userId", "movieId"]}
    assert tables_of(headers) == {"events": ratings, "items": people}


def test_a_day_that_may_be_a_month_is_left_to_people():
    (line,) = lines(timestamp_ms=["03/04/2026 12:00:00"])
    assert line.startswith("# timestamp_ms: {format: ")
    assert "or %d/%m/%Y %H:%M:%S: 03/04/2026 12:00:00 may be either" in line
    (line,) = lines(timestamp_ms=["13/04/2026 12:00:00"])
    assert line.startswith('timestamp_ms: {format: "%d/%m/%Y %H:%M:%S"')


def test_words_for_nothing_and_decimal_commas_are_said_once_for_all_tables():
    looks = {
        "events": [look(pl.Series("play_ms", ["5", "NULL", "\\N"])), look(pl.Series("like", ["1", "", "NULL"]))],
        "items": [look(pl.Series("price", ["0,5", "7"])), look(pl.Series("name", ["NULL", "Anna"]))],
    }
    said = first_schema.text(looks, {}).splitlines()
    assert "empty: ['NULL', '\\N']  # where like, play_ms hold no value" in said
    assert 'decimal: ","  # such as 0,5 in price' in said
    # Thousands are written like that too.
    assert "decimal" not in first_schema.text({"items": [look(pl.Series("price", ["31,000", "7"]))]}, {})
