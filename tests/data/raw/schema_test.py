"""schema.yaml: what it says becomes Heed's columns, and what it gets wrong is told with its line."""

import datetime
import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from data.raw import times
from data.raw.quarantine import Quarantine
from data.raw.schema import event_types, yaml_file
from data.raw.tables import attributes
from data.readers.canonical.layout import read_tables, source_files
from runtime.errors import DataError, UsageError

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def tables(folder: Path, schema: str, quarantine: Quarantine | None = None, **logs: pl.DataFrame | str):
    """The tables of these CSV files, frames or text, under a schema."""
    folder.mkdir(exist_ok=True)
    for name, log in logs.items():
        (folder / f"{name}.csv").write_text(log if isinstance(log, str) else log.write_csv())
    (folder / "schema.yaml").write_text(schema)
    return read_tables(folder, quarantine=quarantine or Quarantine()).whole()


def test_renamed_columns_units_and_ratings(tmp_path):
    log = (
        "uid,video,ts,watched,stars,hidden\na,v,1767268800.5,3.25,4.5,0\nb,v,1767268801,,1,0\nc,v,1767268802,61,,yes\n"
    )
    read = tables(
        tmp_path,
        """
        events:
          user_id: uid
          item_id: video
          timestamp_ms: {column: ts, unit: s}
          play_ms: {column: watched, unit: s}
          duration_ms: {column: watched, unit: min}
          like: stars >= 4
          dislike: [stars <= 2, hidden == yes]
        """,
        events=log,
    )
    assert read.events.rows() == [
        ("a", "v", NOON_MS + 500, 3_250, 195_000, 1, 0),
        ("b", "v", NOON_MS + 1_000, None, None, 0, 1),
        ("c", "v", NOON_MS + 2_000, 61_000, 3_660_000, None, 1),
    ]
    assert read.events.columns[3:] == ["play_ms", "duration_ms", "like", "dislike"]


def test_which_columns_were_read_as_what_is_said(tmp_path):
    quarantine = Quarantine()
    tables(
        tmp_path,
        "events: {timestamp_ms: at, like: stars >= 4, dislike: stars <= 2}",
        quarantine,
        events=f"user_id,item_id,at,stars,lik\na,v,{NOON_MS},4,0\n",
    )
    assert quarantine.column_lines() == [
        "events.csv: read user_id, item_id, at as timestamp_ms, stars as like and dislike",
        "events.csv: ignored lik",
    ]


@pytest.mark.parametrize(
    ("said", "cell"),
    [
        ("", str(NOON_MS)),
        ("", "2026-01-01T12:00:00Z"),
        ("", "2026-01-01 12:00"),
        ("", "2026-01-01 12:00:00 UTC"),
        ("", "2026-01-01T13:00:00.000+01:00"),
        ("", "2026-01-01T06:30:00-0530"),
        ("unit: s", str(NOON_MS // 1000)),
        ("unit: s", f"{NOON_MS // 1000}.0004"),
        ("unit: us", f"{NOON_MS}000"),
        ("unit: µs", f"{NOON_MS}999"),
        ("unit: ns", f"{NOON_MS}000001"),
        ("zone: Europe/Berlin", "2026-01-01T13:00:00"),
        ("zone: Europe/Berlin", "2026-01-01T12:00:00Z"),
        ('format: "%d.%m.%Y %H:%M"', "01.01.2026 12:00"),
        ('format: "%m/%d/%Y %I:%M %p", zone: America/New_York', "01/01/2026 07:00 AM"),
        ('format: "%d/%b/%Y:%H:%M:%S %z"', "01/Jan/2026:13:00:00 +0100"),
    ],
)
def test_times_of_every_kind(tmp_path, said, cell):
    read = tables(
        tmp_path, f"events: {{timestamp_ms: {{{said}}}}}", events=f'user_id,item_id,timestamp_ms,like\na,v,"{cell}",1\n'
    )
    assert read.events["timestamp_ms"].to_list() == [NOON_MS]
    unzoned = {"2026-01-01 12:00", "01.01.2026 12:00"}
    assert bool(read.notes) == (cell in unzoned)
    if read.notes:
        assert read.notes[0].startswith("events.csv: 1 times of timestamp_ms name no zone: taken as UTC")


def test_date_times_in_parquet(tmp_path):
    naive = datetime.datetime(2026, 1, 1, 12)
    base = {"user_id": ["a"], "item_id": ["v"], "like": [1]}
    at_noon = [
        pl.Series([naive]),
        pl.Series([naive]).dt.cast_time_unit("ns"),
        pl.Series([naive]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        pl.Series([float(NOON_MS)]),
        pl.Series([NOON_MS]).cast(pl.Decimal(20, 2)),
        pl.Series(["2026-01-01T12:00:00"], dtype=pl.Categorical),
    ]
    for k, cells in enumerate(at_noon):
        folder = tmp_path / str(k)
        folder.mkdir()
        pl.DataFrame({**base, "timestamp_ms": cells}).write_parquet(folder / "events.parquet")
        assert read_tables(folder, quarantine=Quarantine()).whole().events["timestamp_ms"].to_list() == [NOON_MS]
    pl.DataFrame({**base, "timestamp_ms": [naive.date()]}).write_parquet(folder / "events.parquet")
    assert read_tables(folder, quarantine=Quarantine()).whole().events["timestamp_ms"].to_list() == [
        NOON_MS - 12 * 3_600_000
    ]


def test_decimals_keep_their_fraction():
    cells = pl.Series([Decimal("3.900"), Decimal("0.750"), Decimal("4.000"), None])
    assert times.Lengths("s")(cells).to_list() == [3_900, 750, 4_000, None]
    assert times.Lengths("h")(cells).to_list() == [14_040_000, 2_700_000, 14_400_000, None]
    nanoseconds = pl.Series([Decimal(NOON_MS * 1_000_000 + 999_999)])  # more digits than a float has
    assert times.Moments("ns")(nanoseconds).to_list() == [NOON_MS]


def test_hours_that_come_twice_and_never(tmp_path):
    """In Berlin half past two came twice on 2025-10-26, first at 00:30 UTC, and never on 2025-03-30."""
    log = "user_id,item_id,timestamp_ms,like\na,v,2025-10-26 02:30,1\n"
    schema = "events: {timestamp_ms: {zone: Europe/Berlin}}"
    read = tables(tmp_path, schema, events=log)
    assert read.events["timestamp_ms"].to_list() == [
        int(datetime.datetime(2025, 10, 26, 0, 30, tzinfo=datetime.UTC).timestamp() * 1000)
    ]
    with pytest.raises(DataError, match=r"row 3, column timestamp_ms: '2025-03-30 02:30' is not a time"):
        tables(tmp_path, schema, events=log + "a,v,2025-03-30 02:30,1\n")


@pytest.mark.parametrize(
    ("said", "column", "told"),
    [
        ("", "timestamp_ms", "'soon' is not a time"),
        ("timestamp_ms: {unit: s}", "timestamp_ms", "'soon' is not a time"),
        ('timestamp_ms: {format: "%Y"}', "timestamp_ms", "'soon' is not a time of the format %Y"),
        ("play_ms: {unit: s}", "play_ms", "'soon' is not a number of s"),
        ("", "play_ms", "'soon' is not a whole number"),
        ("like: like > 3", "like", "'soon' is not a number"),
        ("", "like", "'soon' is not 0 or 1, true or false"),
    ],
)
def test_cells_that_are_nothing_of_the_kind(tmp_path, said, column, told):
    row = {"user_id": "a", "item_id": "v", "timestamp_ms": str(NOON_MS), "play_ms": "1", "like": "1", column: "soon"}
    with pytest.raises(DataError, match=f"events.csv: row 2, column {column}: {told}"):
        tables(tmp_path, f"events: {{{said}}}", events=pl.DataFrame([row]))


@pytest.mark.parametrize(
    ("said", "row", "told"),
    [
        ("", {}, "times are milliseconds since 1970, or ISO 8601, from 2000 to now; of others schema.yaml says "
         "`timestamp_ms: {unit: s}` or `timestamp_ms: {format: "),
        ("timestamp_ms: at", {}, "times are milliseconds since 1970, or ISO 8601, from 2000 to now; of others "
         "schema.yaml says `timestamp_ms: {column: at, unit: s}` or `timestamp_ms: {column: at, format: "),
        ("timestamp_ms: {column: at, unit: ms}", {}, "times are ms since 1970, as schema.yaml says, or ISO 8601, "
         "from 2000 to now; of others schema.yaml says `timestamp_ms: {column: at, unit: s}`"),
        ("timestamp_ms: {unit: s}", {"timestamp_ms": NOON_MS}, "times are s since 1970, as schema.yaml says, or ISO "
         "8601, from 2000 to now; of others schema.yaml says `timestamp_ms: {unit: ms}`"),
        ("timestamp_ms: {format: '%Y'}", {"timestamp_ms": "1999"}, "times are of the format %Y, as schema.yaml says, "
         "from 2000 to now; of others schema.yaml says `timestamp_ms: {unit: s}`"),
        # 40 minutes in milliseconds are 28 days in seconds.
        ("timestamp_ms: {unit: s}, play_ms: {unit: s}", {"play_ms": 2_400_000}, "lengths of time are s, as schema.yaml "
         "says, at most 24 days; of others schema.yaml says `play_ms: {unit: ms}`"),
        ("timestamp_ms: {unit: s}, play_ms: watched", {"watched": 10**10}, "lengths of time are milliseconds, at most "
         "24 days; of others schema.yaml says `play_ms: {column: watched, unit: s}`"),
    ],
)  # fmt: skip
def test_times_that_seem_to_be_of_another_unit(tmp_path, said, row, told):
    row = {"user_id": "a", "item_id": "v", "timestamp_ms": NOON_MS // 1000, "at": NOON_MS // 1000, "like": 1} | row
    log = pl.DataFrame([row] * 2)
    with pytest.raises(DataError) as caught:
        tables(tmp_path, f"events: {{{said}}}", events=log)
    assert f" (1 more rows like it, all of the first 2); {told}" in str(caught.value)
    assert "--quarantine" not in str(caught.value)  # nothing would be left
    with pytest.raises(DataError) as caught:
        tables(tmp_path, f"events: {{{said}}}", Quarantine(enabled=True), events=log)
    assert "none of 2 rows is good" in str(caught.value)
    assert f" (2 rows); {told}" in str(caught.value)


def test_rows_without_a_user_are_counted_so_that_one_run_tells_how_many_to_allow(tmp_path):
    log = pl.DataFrame(
        {"user_id": ["a", "", "b", "", "c", "d", "e"], "item_id": "v", "timestamp_ms": NOON_MS, "like": 1}
    )
    with pytest.raises(DataError) as caught:  # 2 of 7, and one in a hundred more for the rows that follow
        tables(tmp_path, "", Quarantine(max_share=0.01), events=log)
    assert str(caught.value).endswith(
        "row 3, column user_id: is empty (1 more rows like it, 28.6% of the first 7); mend the row, or give "
        "--quarantine --max_quarantine=30% to set such rows aside"
    )
    with pytest.raises(DataError) as caught:
        tables(tmp_path, "", Quarantine(enabled=True, max_share=0.01), events=log)
    assert str(caught.value).endswith(
        "2 of 7 rows (28.6%) are bad, more than --max_quarantine=1%; most often column user_id: is empty (2 rows); "
        "mend the log, or give --max_quarantine=29%"
    )
    allowed = Quarantine(enabled=True, max_share=0.29)
    assert len(tables(tmp_path, "", allowed, events=log).events) == 5
    assert allowed.frame().columns == ["file", "row", "column", "value", "reason"]
    with pytest.raises(DataError, match=r"like it\); mend the row, or give --quarantine to set such rows aside$"):
        tables(tmp_path, "", Quarantine(max_share=0.3), events=log)


def test_a_long_table(tmp_path):
    """What a user did with an item within an hour is one event, at the time of its first row."""
    minute = 60_000
    rows = [
        # user, item, minutes after noon, type, play_ms
        ("a", "v", 0, "view", ""),
        ("a", "v", 1, "heart", ""),
        ("a", "w", 2, "view", ""),
        ("a", "v", 3, "play", "5000"),
        ("b", "v", 3, "hide", ""),
        ("a", "v", 90, "heart", ""),  # more than an hour later
        ("b", "w", 5, "view", ""),
        ("b", "w", 6, "view", ""),
        ("b", "w", 7, "report", ""),  # again, which it is of
        ("b", "", 8, "login", ""),
        ("b", "w", 9, "save", ""),
    ]
    log = pl.DataFrame(
        [(u, i, NOON_MS + m * minute, kind, play) for u, i, m, kind, play in rows],
        schema=["user_id", "item_id", "timestamp_ms", "action", "play_ms"],
        orient="row",
    )
    schema = "events: {event_type: {column: action, like: [heart, save], dislike: [hide, report], left_out: login}}"
    read = tables(tmp_path, schema, events=log)
    # When it was said, where that was later; of the second event of w both were.
    assert read.events["said.like"].to_list() == [NOON_MS + minute, None, None, None, None, NOON_MS + 9 * minute]
    assert read.events["said.dislike"].to_list() == [None] * 5 + [NOON_MS + 7 * minute]
    assert read.events.drop("said.like", "said.dislike").rows() == [
        ("a", "v", NOON_MS, 5000, 1, 0),
        ("a", "w", NOON_MS + 2 * minute, None, 0, 0),
        ("b", "v", NOON_MS + 3 * minute, None, 0, 1),
        ("a", "v", NOON_MS + 90 * minute, None, 1, 0),
        ("b", "w", NOON_MS + 5 * minute, None, 0, 0),
        ("b", "w", NOON_MS + 6 * minute, None, 1, 1),
    ]
    assert (read.rows_read, read.rows_joined) == (10, 4)
    assert read.notes == (
        "events.csv: events without feedback: play (1 rows), view (4 rows)",
        "events.csv: left out: login (1 rows)",
    )
    apart = tables(tmp_path, schema.replace("left_out", "within: 30s, left_out"), events=log)
    assert (len(apart.events), apart.rows_joined) == (10, 0)
    with pytest.raises(DataError, match="row 2, column action: is empty"):
        tables(
            tmp_path,
            schema,
            events=log.with_columns(action=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("")).otherwise("action")),
        )
    rest = tables(tmp_path, schema.replace("save", "safe"), events=log).notes
    assert rest[-1] == "events.csv: no row of safe, of which schema.yaml speaks"


def test_types_that_take_back(tmp_path):
    schema = "events: {event_type: {like: heart, dislike: hide, undo: {like: unheart, dislike: [unhide, show]}}}"
    log = pl.DataFrame(
        [("a", "v", "heart"), ("a", "v", "unheart"), ("a", "w", "hide"), ("a", "w", "show"), ("b", "v", "view")],
        schema=["user_id", "item_id", "event_type"],
        orient="row",
    ).with_columns(timestamp_ms=NOON_MS + 1000 * pl.int_range(5))
    read = tables(tmp_path, schema, events=log)
    assert read.events.select("user_id", "item_id", "like", "dislike").rows() == [
        ("a", "v", 1, 0),
        ("a", "w", 0, 1),
        ("b", "v", 0, 0),
    ]
    assert read.events["undone.like"].to_list() == [NOON_MS + 1000, None, None]
    assert read.events["undone.dislike"].to_list() == [None, NOON_MS + 3000, None]
    assert (read.rows_read, read.rows_joined) == (3, 0)
    assert "events.csv: take back: show (1 rows), unheart (1 rows)" in read.notes
    with pytest.raises(UsageError, match="undo knows no 'share'"):
        tables(tmp_path, schema.replace("{like: unheart", "{share: unshare"), events=log)
    with pytest.raises(DataError, match="every row takes something back"):
        tables(tmp_path, schema, events=log.filter(event_type="unheart"))


@pytest.mark.parametrize(
    ("moments", "events"),
    [
        ({"view": 0, "heart": 60, "unheart": 120}, [(0, 1, 120, 60)]),
        ({"view": 0, "heart": 60, "unheart": 120, "save": 180}, [(0, 1, 120, 60), (180, 1, None, None)]),
        (
            {"heart": 60, "unheart": 120, "save": 180, "unsave": 240, "share": 300},
            [(60, 1, 120, None), (180, 1, 240, 300)],
        ),
        ({"heart": 60, "save": 180, "unsave": 240}, [(60, 1, 240, None)]),
    ],
)
def test_what_is_said_again_is_not_taken_back_by_what_came_before(tmp_path, moments, events):
    """Nor is what stood at the end of training changed by what is said on later days."""
    schema = "events: {event_type: {like: [heart, save], share: share, undo: {like: [unheart, unsave]}}}"
    log = pl.DataFrame({"user_id": "a", "item_id": "v", "event_type": [*moments]}).with_columns(
        timestamp_ms=NOON_MS + 1000 * pl.Series([*moments.values()])
    )
    read = tables(tmp_path, schema, events=log).events
    said = [name for name in read.columns if name.startswith("said.")]
    when = pl.col("undone.like", *said).sub(NOON_MS).floordiv(1000)
    found = read.select(pl.col("timestamp_ms").sub(NOON_MS).floordiv(1000), "like", when)
    assert [(*row[:3], max((x for x in row[3:] if x is not None), default=None)) for row in found.rows()] == events


def test_an_answer_that_comes_late_is_no_dissatisfied_one(tmp_path):
    log = pl.DataFrame(
        {
            "user_id": [*"aab"],
            "item_id": [*"vvv"],
            "event_type": ["view", "answer", "view"],
            "timestamp_ms": [NOON_MS, NOON_MS + 60_000, NOON_MS],
            "questionnaire_answer": [None, 1, None],
        }
    )
    read = tables(tmp_path, "events: {event_type: {like: heart}}", events=log)
    assert read.events["questionnaire_answer"].to_list() == [1, None]
    assert not [name for name in read.events.columns if name.startswith("said.")]


def test_types_in_folders(tmp_path):
    for kind in ("heart", "view"):
        folder = tmp_path / "log" / f"event_type={kind}"
        folder.mkdir(parents=True)
        (folder / "1.jsonl").write_text(f'{{"user_id": "a", "item_id": "v", "timestamp_ms": {NOON_MS}}}\n')
    read = tables(tmp_path, "events: {path: log, event_type: {like: heart}}")
    assert read.events.select("user_id", "like").rows() == [("a", 1)]


def test_joining_keeps_the_first_that_anything_says():
    rows = pl.DataFrame(
        {
            "user_id": [1, 1],
            "item_id": [2, 2],
            "timestamp_ms": [5, 6],
            "surface": [None, "home"],
            "event_type": ["a", "b"],
        }
    )
    assert event_types.joined(rows, within_ms=1).rows() == [(1, 2, 5, "home")]
    assert len(event_types.joined(rows, within_ms=0)) == 2


def test_attributes_that_are_named(tmp_path):
    items = pl.DataFrame(
        {
            "id": [f"i{k}" for k in range(50)],
            "genres": ["a|b | c", "", "d", "a|a", "e"] * 10,
            "year": [1990 + k for k in range(50)],
            "brand": [str(k) for k in range(50)],
            "price": [f"{k % 4}.5" for k in range(50)],
            "shop": [k % 3 for k in range(50)],
            "author": ["x", "y"] * 25,
        }
    )
    schema = """
    items:
      item_id: id
      cluster_id: {column: genres, separator: "|"}
      creator_id: author
      categories: [brand, price]
      numbers: year
    """
    quarantine = Quarantine()
    read = tables(
        tmp_path, schema, quarantine, items=items, events=f"user_id,item_id,timestamp_ms,like\na,i1,{NOON_MS},1\n"
    )
    assert read.items["cluster_id"].head(4).to_list() == [["a", "b", "c"], None, ["d"], ["a"]]
    assert read.items.schema["year"] == pl.Float64
    assert {name: read.items[name][3] for name in attributes(read.items)} == {
        "year": 1993.0,
        "brand": "3",
        "price": "3.5",
    }
    assert "items.csv: ignored shop" in quarantine.column_lines()
    assert read.notes == ("items.csv: column shop is none of the categories of schema.yaml",)


def test_cells_that_are_no_numbers_are_counted_and_white_space_is_none(tmp_path):
    prices = ["12.5", " 7 ", "12.50 EUR", "", "free"]
    items = pl.DataFrame({"item_id": [*"abcde"], "price": prices})
    read = tables(
        tmp_path,
        "{items: {numbers: price}, events: {like: rating >= 4}}",
        items=items,
        events=f"user_id,item_id,timestamp_ms,rating\nu,a,{NOON_MS}, 5\nu,b,{NOON_MS}, 1\n",
    )
    assert read.items["price"].to_list() == [12.5, 7.0, None, None, None]
    assert "items.csv: column price: 2 cells are no numbers, such as '12.50 EUR': unknown" in read.notes
    assert read.events["like"].to_list() == [1, 0]


def test_a_number_may_stand_for_an_empty_field(tmp_path):
    log = pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "timestamp_ms": [NOON_MS] * 2, "play_ms": [-1, 5]})
    log.write_parquet(tmp_path / "events.parquet")
    with pytest.raises(
        DataError, match=r"'-1' is below 0.*where that stands for none, schema.yaml says `empty: \['-1'"
    ):
        read_tables(tmp_path, quarantine=Quarantine()).whole()
    (tmp_path / "schema.yaml").write_text("events: {play_ms: {unit: s}}")
    with pytest.raises(
        DataError, match=r"'-1' is below 0.*where that stands for none, schema.yaml says `empty: \['-1'"
    ):
        read_tables(tmp_path, quarantine=Quarantine()).whole()
    (tmp_path / "schema.yaml").write_text("empty: ['-1']")
    assert read_tables(tmp_path, quarantine=Quarantine()).whole().events["play_ms"].to_list() == [None, 5]


def test_tables_of_one_name_in_two_folders(tmp_path):
    for folder, log in (
        ("a", f"user_id,item_id,timestamp_ms,like\na,v,{NOON_MS},1\na,v,{NOON_MS},9\n"),
        ("b", "item_id\nv\n"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.csv").write_text(log)
    quarantine = Quarantine(enabled=True)
    tables(tmp_path, "{events: {path: a/log.csv}, items: {path: b/log.csv}}", quarantine)
    assert [*quarantine.columns] == ["b/log.csv", "a/log.csv"]
    assert quarantine.frame()["file"].to_list() == ["a/log.csv"]


@pytest.mark.parametrize(
    ("said", "column", "told"),
    [
        ("like: tags == good", "tags", "is of type List(String); write one value a row"),
        ("like: tags >= 4", "tags", "is of type List(String); write one value a row"),
        ("event_type: {column: tags, like: good, left_out: bad}", "tags", "is of type List(String); write one value a"),
        ("like: bytes >= 4", "bytes", "'ff' is not a number"),
        ("event_type: {column: bytes, like: good, left_out: bad}", "", ""),
    ],
)
def test_rules_for_columns_of_other_types(tmp_path, said, column, told):
    columns = {"user_id": ["a", "b"], "item_id": ["v", "w"], "timestamp_ms": [NOON_MS, NOON_MS + 1]}
    columns |= {"tags": [["good"], []], "bytes": [b"\xff", b"\xfe"]}
    pl.DataFrame(columns).write_parquet(tmp_path / "events.parquet")
    (tmp_path / "schema.yaml").write_text(f"events: {{{said}}}")
    if not told:
        assert read_tables(tmp_path, quarantine=Quarantine()).whole().events["like"].to_list() == [0, 0]
        return
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        read_tables(tmp_path, quarantine=Quarantine()).whole()
    assert f"column {column}" in str(caught.value)


def test_a_share_of_the_duration_is_a_long_view(tmp_path):
    log = pl.DataFrame(
        [
            # item, seconds played, of the event's duration, half of which is a long view
            ("v", 5.0, 10.0, 1),
            ("v", 4.999, 10.0, 0),
            ("v", None, 10.0, 0),  # what nobody knows is none
            ("v", 5.0, None, 0),
            ("v", 0.0, 0.0, 0),
            ("w", 5.0, 10.0, 0),  # w's own duration is 20 s
            ("w", 10.0, None, 1),
            ("x", 5.0, 10.0, 1),  # x's own is not known, as it is 0
        ],
        schema=["item_id", "played", "length", "long"],
        orient="row",
    ).with_columns(user_id=pl.lit("a"), timestamp_ms=NOON_MS + 1000 * pl.int_range(8), done=pl.lit(0))
    columns = "play_ms: {column: played, unit: s}, duration_ms: {column: length, unit: s}"
    items = "item_id,duration_ms\nv,\nw,20000\nx,0\n"
    read = tables(
        tmp_path, f"events: {{{columns}, long_view: {{played: 0.5}}}}", items=items, events=log.drop("long", "done")
    )
    assert read.events["long_view"].to_list() == log["long"].to_list()
    ruled = f"events: {{{columns}, long_view: played >= 5}}"
    by_rule = tables(tmp_path, ruled, items=items, events=log.drop("long", "done")).events["long_view"]
    assert by_rule.to_list() == [1, 0, 0, 1, 0, 1, 1, 1]
    # Either of these; and a share that binary numbers do not hold: 0.55 · 1000 is more than 550 to a computer.
    some = log.with_columns(pl.lit(0.55).alias("played"), pl.lit(1.0).alias("length"), done=pl.col("item_id") == "w")
    said = f"events: {{{columns}, long_view: [{{played: 0.55}}, done]}}"
    assert tables(tmp_path, said, items=items, events=some.drop("long")).events["long_view"].to_list() == [1] * 8
    few = some.with_columns(played=0.1).drop("long")
    assert tables(tmp_path, said, items=items, events=few).events["long_view"].to_list() == [0] * 5 + [1] * 2 + [0]
    # The items alone may have the duration, ids in numbers there and in text here.
    numbered = log.select("user_id", "timestamp_ms", item_id=pl.col("item_id").replace({"w": "7"}), play_ms=10_000)
    numbered.write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"item_id": [7], "duration_ms": [20_000]}).write_parquet(tmp_path / "songs.parquet")
    (tmp_path / "schema.yaml").write_text("{events: {path: log, long_view: {played: 0.5}}, items: {path: songs}}")
    quarantine = Quarantine(enabled=True)
    assert read_tables(tmp_path, quarantine=quarantine).whole().events["long_view"].to_list() == [1, 1]


def test_a_share_of_what_is_not_there_is_refused(tmp_path):
    for columns, missing in (("like,duration_ms", "play_ms"), ("like,play_ms", "duration_ms")):
        with pytest.raises(UsageError, match=rf"schema\.yaml: long_view: .* there is no {missing}; say which column"):
            tables(
                tmp_path,
                "events: {long_view: {played: 1}}",
                events=f"user_id,item_id,timestamp_ms,{columns}\na,v,{NOON_MS},1,5\n",
                items="item_id\nv\n",
            )


def test_a_comparison_that_never_holds_is_told_with_what_is_there(tmp_path):
    log = pl.DataFrame(
        {
            "user_id": ["a", "b", "c"],
            "item_id": "v",
            "timestamp_ms": NOON_MS,
            "thumb": ["up", "", "down"],
            "stars": ["3", "1.5", ""],
            "mood": ["a", "b", "c"],
            "none": "",
        }
    )
    said = "{{events: {{like: [thumb == {0}, stars >= {1}, mood == b], dislike: [none == x, mood != z]}}}}"
    assert tables(tmp_path, said.format("up", 3), events=log).notes == (
        "events.csv: no row has none == x; it holds nothing",
    )
    assert tables(tmp_path, said.format("UP", 4), events=log).notes == (
        "events.csv: no row has thumb == UP; it holds up, down",
        "events.csv: no row has stars >= 4; it holds numbers from 1.5 to 3",
        "events.csv: no row has none == x; it holds nothing",
    )
    # Of many words some are shown.
    many = pl.concat([log.with_columns(thumb=pl.lit(f"w{k}")) for k in range(9)])
    assert tables(tmp_path, said.format("UP", 3), events=many).notes[0].endswith("it holds w0, w1, w2, w3, w4, …")


def test_text_for_empty_fields(tmp_path):
    log = f"user_id,item_id,timestamp_ms,play_ms,like\na,v,{NOON_MS},NULL,1\nb,v,{NOON_MS},\\N,0\nc,v,{NOON_MS},5,\n"
    assert tables(tmp_path, 'empty: ["NULL", "\\\\N"]', events=log).events["play_ms"].to_list() == [None, None, 5]
    with pytest.raises(DataError, match="row 2, column play_ms: 'NULL'"):
        tables(tmp_path, "", events=log)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("events:\n  user: uid", "line 2: events knows no 'user'; did you mean user_id?"),
        ("events:\n  like: []", "line 2: like is made of no column"),
        ("events:\n  like: stars >= nan", "line 2: like: 'nan' is no number to compare with"),
        ("decimal: x", "line 1: decimal: 'x' stands before no fraction"),
        ("evnts: {}", "line 1: schema.yaml knows no 'evnts'; did you mean events?"),
        ("events:\n  zzz: 1", "line 2: events knows no 'zzz'; there are path, user_id, item_id"),
        ("events: {play_ms: {unti: s}}", "line 1: play_ms knows no 'unti'; did you mean unit?"),
        ("events: {play_ms: {unit: sec}}", "play_ms: unit 'sec' is none of ns, us"),
        ("events: {timestamp_ms: {zone: Europe/Berln}}", "no zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("events: {timestamp_ms: {format: iso}}", "format 'iso' names no part of a time"),
        ("events: {like: stars >= many}", "'many' is no number to compare with"),
        ("events: {like: rating >= 4}", "line 1: events.csv has no column 'rating'; only user_id, item_id"),
        ("events:\n\n  user_id: usr_id", "line 3: events.csv has no column 'usr_id'; did you mean user_id?"),
        ("events: {event_type: {liek: heart}}", "event_type knows no 'liek'; did you mean like?"),
        ("events: {event_type: {}}", "event_type names no feedback"),
        ("events: {event_type: {like: heart, within: soon}}", "within: 'soon' is no length of time"),
        ("events: {like: a, like: b}", "'like' stands there more than once"),
        ("events: [a]", "events is a list of `name: value`"),
        ("events: {like: }", "like is made of a column: that is one word or text"),
        ("items: {categories: [{separator: x}]}", "categories lacks the name"),
        ("a: [", "line 1: no YAML"),
        ("events:\n  dislike: like = 0", "line 2: events.csv has no column 'like = 0'; to compare, write `like == …`"),
        ("events:\n  dislike: like => 1", "line 2: events.csv has no column 'like ='; to compare, write `like == …`"),
        ("events:\n  long_view: {played: 50%}", "line 2: long_view: write {played: 0.5}, a share of the"),
        ("events:\n  long_view: [{played: 0}]", "line 2: long_view: write {played: 0.5}, a share of the"),
        ("events:\n  long_view: {played: 1, column: x}", "line 2: long_view: write {played: 0.5}, a share"),
        ("events:\n  like: {played: 0.5}", "line 2: like knows no 'played'"),
        ("events:\n  long_view: a >= 0.5 * b", "== and !=; a share of the duration is {played: 0.5}"),
        ("- a\n- b", "line 1: schema.yaml is a list of `name: value`"),
        ("events: {path: nowhere.csv}", "nowhere.csv: no such file"),
        ("users: {user_id: id}", "schema.yaml: speaks of users, but there is no such table"),
    ],
)  # fmt: skip
def test_a_schema_that_is_wrong(tmp_path, schema, told):
    log = f"user_id,item_id,timestamp_ms,like\na,v,{NOON_MS},1\n"
    with pytest.raises((UsageError, DataError)) as caught:
        tables(tmp_path, schema, events=log, items="item_id\nv\n")
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_documented_schemas(tmp_path):
    document = (Path(__file__).resolve().parents[3] / "docs/logs.md").read_text(encoding="utf-8")
    schemas = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    assert len(schemas) == 2
    for text in schemas:
        (tmp_path / "schema.yaml").write_text(text)
        assert yaml_file.read(tmp_path / "schema.yaml").of("events").lines
    assert text.count("event_type") == 1


def test_a_schema_elsewhere_and_an_empty_one(tmp_path):
    assert (
        tables(tmp_path, "# nothing yet", events=f"user_id,item_id,timestamp_ms,like\na,v,{NOON_MS},1\n").rows_read == 1
    )
    assert [path.name for path in source_files(tmp_path)] == ["events.csv", "schema.yaml"]
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text("events: {dislike: like}")
    read = read_tables(tmp_path, quarantine=Quarantine(), schema=str(elsewhere)).whole()
    assert read.events.columns == ["user_id", "item_id", "timestamp_ms", "like", "dislike"][:3] + ["dislike", "like"][
        1:
    ] + ["dislike"]
    assert source_files(tmp_path, schema=str(elsewhere))[-1] == elsewhere
    with pytest.raises(UsageError, match=r"--schema=.*/no\.yaml: no such file"):
        yaml_file.find(tmp_path, str(tmp_path / "no.yaml"))
    (tmp_path / "schema.yml").touch()
    with pytest.raises(UsageError, match="both are there"):
        read_tables(tmp_path, quarantine=Quarantine()).whole()


def test_decimal_commas_are_read_where_it_is_said_and_ids_and_lists_stay_as_they_are(tmp_path):
    read = tables(
        tmp_path,
        """
        decimal: ","
        events: {play_ms: {unit: s}, like: "stars >= 4"}
        items: {cluster_id: {column: tags, separator: ","}}
        """,
        events=f"user_id;item_id;timestamp_ms;play_ms;stars\n1,5;v;{NOON_MS};31,25;4,5\n1.5;v;{NOON_MS};2;3,5\n",
        items='item_id;tags;price;length\nv;1,5;0,5;"1.5"\nw;2;7;2.5\n',
    )
    assert read.events.select("user_id", "play_ms", "like").rows() == [("1,5", 31_250, 1), ("1.5", 2_000, 0)]
    assert read.items.select("cluster_id", "price", "length").rows() == [(["1", "5"], 0.5, 1.5), (["2"], 7.0, 2.5)]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("31,5", "where this is a decimal comma, say in schema.yaml"),
        ("NULL", "where it stands for nothing, say in schema.yaml"),
        ("soon", "lengths of time are milliseconds"),
    ],
)
def test_what_schema_yaml_can_tell_of_a_cell_is_said(tmp_path, cell, told):
    log = "user_id;item_id;timestamp_ms;play_ms\n" + f"u;v;{NOON_MS};{cell}\n" * 2
    with pytest.raises(DataError) as caught:
        tables(tmp_path, "", events=log)
    assert f"'{cell}' is not a whole number (1 more rows like it, all of the first 2); {told}" in str(caught.value)
    with pytest.raises(DataError) as caught:  # of all rows the commonest fault is named
        tables(tmp_path, "", Quarantine(enabled=True), events=log)
    assert f"none of 2 rows is good; most often column play_ms: '{cell}' is not a whole number (2 rows)" in str(
        caught.value
    )


def test_nan_stands_for_nothing_where_it_is_said(tmp_path):
    frame = pl.DataFrame(
        {"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp_ms": NOON_MS, "play_ms": [5.0, None]}
    )
    frame.with_columns(pl.col("play_ms").fill_null(float("nan"))).write_parquet(tmp_path / "events.parquet")
    (tmp_path / "schema.yaml").write_text("empty: [nan]")
    assert read_tables(tmp_path, quarantine=Quarantine()).whole().events["play_ms"].to_list() == [5, None]


@pytest.mark.parametrize(
    ("said", "log", "told"),
    [
        ("", {"like": "Y"}, "of words schema.yaml says which mean yes: `like: like == Y`"),
        ("", {"like": "No"}, "of words schema.yaml says which mean no: `like: like != No`"),
        ("", {"like": "17"}, "of counts schema.yaml says which mean yes: `like: like >= 1`"),
        ("like: heart", {"heart": "Y"}, "which mean yes: `like: heart == Y`"),
        ("like: stars >= 4", {"stars": "good"}, "words with ==, such as `like: stars == good`"),
        ("", {"like": "1", "play_ms": "5000.5"}, "; where they are milliseconds, round them; lengths of time are"),
        ("play_ms: {unit: ms}", {"like": "1", "play_ms": "5000.5"}, "; where they are milliseconds, round them; "),
        ("", {"like": "1", "play_ms": "long"}, "whole number; lengths of time are milliseconds, at most 24 days; of"),
        (
            "play_ms: {unit: s}",
            {"like": "1", "play_ms": "9999999999.5"},
            "; lengths of time are s, as schema.yaml says",
        ),
    ],
)
def test_what_to_do_about_a_cell_is_told_by_what_stands_in_it(tmp_path, said, log, told):
    row = {"user_id": "u", "item_id": "v", "timestamp_ms": str(NOON_MS), **log}
    with pytest.raises(DataError) as caught:
        tables(tmp_path, f"events: {{{said}}}", events=pl.DataFrame([row]))
    assert told in str(caught.value)


def test_counts_are_no_flags_and_what_to_say_of_them_is_told(tmp_path):
    log = f"user_id,item_id,timestamp_ms,like\nu,v,{NOON_MS},2\n"
    with pytest.raises(DataError, match=r"'2' is not 0 or 1, true or false; .* `like: like >= 1`"):
        tables(tmp_path, "", events=log)
