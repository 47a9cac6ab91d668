from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.raw.batches import Rows
from data.raw.quarantine import Quarantine
from data.raw.rows import Column, checked, read
from data.raw.schema.rules import flags
from data.raw.times import Lengths
from runtime.errors import DataError

COLUMNS = (
    Column("user_id", required=True, nullable=False),
    Column("play_ms", pl.Int32, low=0, high=2**31 - 1),
    Column("like", pl.Int8, low=0, high=1, remedy="likes are 0 or 1"),
)
GOOD = pl.DataFrame({"user_id": [7, 8, 9], "play_ms": [1, None, 3], "like": [0, 1, None]})


def parquet(tmp_path, frame, name="log.parquet"):
    frame.write_parquet(tmp_path / name)
    return tmp_path / name


def csv(tmp_path, text, name="log.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def rows(path, columns=COLUMNS, **options):
    return read(path, columns, quarantine=Quarantine(), **options)


def fault(path, columns=COLUMNS, **options):
    with pytest.raises(DataError) as caught:
        rows(path, columns, **options)
    return str(caught.value)


def test_good_rows_come_as_they_are_with_their_types(tmp_path):
    frame, count = rows(parquet(tmp_path, GOOD))
    assert count == 3
    assert frame.to_dict(as_series=False) == GOOD.to_dict(as_series=False)
    assert frame.dtypes == [pl.Int64, pl.Int32, pl.Int8]


def test_csv_ids_are_text_and_empty_fields_are_unknown(tmp_path):
    frame, count = rows(csv(tmp_path, "user_id,play_ms,like\n007,1,0\nb,,1\n"))
    assert count == 2
    assert frame.rows() == [("007", 1, 0), ("b", None, 1)]


def test_whole_numbers_may_be_written_as_floats_booleans_or_text(tmp_path):
    frame = pl.DataFrame({"user_id": ["a", "b"], "play_ms": [1.0, 2.0], "like": [True, False]})
    assert rows(parquet(tmp_path, frame))[0].rows() == [("a", 1, 1), ("b", 2, 0)]
    assert rows(csv(tmp_path, "user_id,play_ms,like\na,87433.0,1\n"))[0].rows() == [("a", 87_433, 1)]


def test_columns_come_under_their_canonical_names_and_missing_optional_ones_stay_out(tmp_path):
    columns = (Column("item_id", pl.Int64, source="video_id", required=True), Column("like", pl.Int8))
    frame, _ = rows(csv(tmp_path, "other,video_id\nx,4\n"), columns)
    assert frame.to_dict(as_series=False) == {"item_id": [4]}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "row 2, column play_ms: 'nan' is not a whole number"),
        (1.5, "row 2, column play_ms: '1.5' is not a whole number"),
        ("long", "row 2, column play_ms: 'long' is not a whole number"),
        (-5, "row 2, column play_ms: '-5' is below 0"),
        (2**31, "row 2, column play_ms: '2147483648' is above 2147483647"),
    ],
)
def test_a_bad_number_is_named(tmp_path, value, told):
    kind = str if isinstance(value, str) else type(value)
    frame = GOOD.with_columns(play_ms=pl.Series([kind(1), value, kind(3)]))
    path = parquet(tmp_path, frame)
    assert told in fault(path)
    assert str(path) in fault(path)
    assert "--quarantine" in fault(path)


def test_csv_rows_are_numbered_as_an_editor_does(tmp_path):
    path = csv(tmp_path, "user_id,play_ms,like\na,1,0\nb,x,0\n")
    assert "row 3, column play_ms: 'x' is not a whole number" in fault(path)


def test_how_many_more_and_the_remedy_are_told(tmp_path):
    told = fault(parquet(tmp_path, GOOD.with_columns(like=pl.lit(2))))
    assert "row 1, column like: '2' is above 1 (2 more rows like it, all of the first 3); likes are 0 or 1" in told


def test_an_empty_required_field(tmp_path):
    assert "row 1, column user_id: is empty" in fault(
        parquet(tmp_path, GOOD.with_columns(user_id=pl.Series([None, 8, 9])))
    )
    assert "column user_id: '' is empty" in fault(parquet(tmp_path, GOOD.with_columns(user_id=pl.lit(""))))


@pytest.mark.parametrize("many", [0, 1 << 17], ids=["many", "few"])
def test_values_that_must_be_known_or_unique(tmp_path, monkeypatch, many):
    monkeypatch.setattr("data.raw.rows.MANY", many)
    known = {"user_id": (pl.Series([7, 9]), "users.parquet")}
    assert "row 2, column user_id: '8' is not in users.parquet" in fault(parquet(tmp_path, GOOD), known=known)
    # Beside text a number is its digits: 7 is '7', and not '007'.
    text = {"user_id": (pl.Series(["7", "008"]), "users.parquet")}
    assert "row 2, column user_id: '8' is not in users.parquet (1 more" in fault(parquet(tmp_path, GOOD), known=text)
    twice = pl.concat([GOOD, GOOD.head(1)])
    unique = (Column("user_id", unique=True),)
    assert "row 4, column user_id: '7' stands in more than one row" in fault(parquet(tmp_path, twice), unique)


def test_a_missing_file_column_or_row(tmp_path):
    assert "no.csv: no such file" in fault(tmp_path / "no.csv")
    assert "no column 'user_id', only play_ms, like" in fault(parquet(tmp_path, GOOD.drop("user_id")))
    assert "no rows" in fault(parquet(tmp_path, GOOD.head(0)))
    assert "no rows" in fault(csv(tmp_path, "user_id,play_ms,like\n"))
    assert "empty file" in fault(csv(tmp_path, ""))


def test_a_truncated_csv(tmp_path):
    whole = "user_id,play_ms,like\na,1,0\nb,2,1\n"
    assert "row 3: 2 fields where the header has 3: cut short" in fault(csv(tmp_path, whole[: whole.rindex(",")]))
    # A quoted comma is no new field, a blank line is no row.
    assert rows(csv(tmp_path, 'user_id,play_ms,like\n"a,b",1,0\n'))[0]["user_id"].to_list() == ["a,b"]
    assert "row 2: 0 fields" in fault(csv(tmp_path, "user_id,play_ms,like\n\na,1,0\n"))
    assert "row 2: 4 fields" in fault(csv(tmp_path, "user_id,play_ms,like\na,1,0,1\nb,1,0\n"))


def test_an_empty_field_is_empty_in_quotes_too(tmp_path):
    quoted = '"user_id","play_ms","like"\n"a","","1"\n"b","5",""\n'
    columns = (*COLUMNS, Column("creator_id"))
    assert rows(csv(tmp_path, quoted))[0].rows() == [("a", None, 1), ("b", 5, None)]
    for empty in ("", '""'):
        frame, _ = rows(csv(tmp_path, f"user_id,creator_id\na,{empty}\nb,c\n"), columns)
        assert frame["creator_id"].to_list() == [None, "c"]
    assert rows(parquet(tmp_path, pl.DataFrame({"user_id": ["a"], "play_ms": [""]})))[0].rows() == [("a", None)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_line_breaks_in_quotes(tmp_path, end):
    lines = ["user_id,remark,play_ms,like", 'a,"one\n\ntwo, ""three""",1,0', 'b,"x\r\ny",x,1', "c,5,1"]
    path = csv(tmp_path, "")
    # The remark is not even read; rows are counted as a spreadsheet does.
    for good in (0, 1):
        path.write_bytes(end.join(lines[: 2 + good] + [""] * (3 - good)).encode())
        if good:
            assert "row 3, column play_ms: 'x' is not a whole number" in fault(path)
        else:
            assert rows(path)[0].rows() == [("a", 1, 0)]
    path.write_bytes(end.join([*lines[:2], lines[3], ""]).encode())
    assert "row 3: 3 fields where the header has 4" in fault(path)
    path.write_bytes(end.join(lines).encode())
    assert "row 4: 3 fields where the header has 4" in fault(path)


def test_empty_rows_at_the_end_are_none(tmp_path):
    assert rows(csv(tmp_path, "user_id,play_ms,like\na,1,0\n,,\n\n\n"))[1] == 1
    assert "no rows" in fault(csv(tmp_path, "user_id,play_ms,like\n\n\n"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('b"c,1,0', None),  # a character like any other
        ('5" screen,1,0', None),
        ('"b,1,0', "row 3: a field's quotes do not close"),
        ('b,1,"0', "row 3: a field's quotes do not close"),
        ('"b"c,1,0', "row 3: a field's quotes do not close"),
    ],
)
def test_quotes_that_do_not_close_never_swallow_rows(tmp_path, row, told):
    path = csv(tmp_path, f"user_id,play_ms,like\na,1,0\n{row}\nd,1,0\n")
    if told:
        assert told in fault(path)
    else:
        assert rows(path)[0]["user_id"].to_list() == ["a", row.split(",")[0], "d"]


def test_a_name_that_stands_twice(tmp_path):
    assert "column 'like' stands there more than once" in fault(csv(tmp_path, "user_id,like,like\na,1,0\n"))
    table = pa.Table.from_arrays([pa.array([1]), pa.array([1]), pa.array([2])], names=["user_id", "like", "like"])
    pq.write_table(table, tmp_path / "log.parquet")
    assert "column 'like' stands there more than once" in fault(tmp_path / "log.parquet")


def test_ids_of_any_type_stay_apart(tmp_path):
    uuids = [bytes([255, *range(k, k + 15)]) for k in range(40)]
    table = pa.table({"user_id": pa.array(uuids, pa.binary(16))})
    pq.write_table(table, tmp_path / "log.parquet")
    assert rows(tmp_path / "log.parquet")[0]["user_id"].n_unique() == 40
    hashes = pl.DataFrame({"user_id": pl.Series([2**63 + k for k in range(40)], dtype=pl.UInt64)})
    assert rows(parquet(tmp_path, hashes))[0]["user_id"].to_list() == [str(2**63 + k) for k in range(40)]
    floats = pl.DataFrame({"user_id": pl.Series([2**24 + k for k in range(40)], dtype=pl.Float32)})
    assert "row 1, column user_id: '16777216.0' is too large to be exact as Float32 (39 more" in fault(
        parquet(tmp_path, floats)
    )


def test_a_truncated_or_altered_parquet_file(tmp_path):
    path = parquet(tmp_path, GOOD)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert "cut short, or no Parquet file" in fault(path)
    # Without page checksums most flipped bits would be read as values.
    ids = pa.array(range(10_000))
    pq.write_table(pa.table({"user_id": ids}), path, write_page_checksum=True, compression="none", use_dictionary=False)
    altered = bytearray(path.read_bytes())
    altered[len(altered) // 2] ^= 1
    path.write_bytes(altered)
    assert "damaged" in fault(path)


def test_a_column_of_a_wrong_type(tmp_path):
    times = GOOD.with_columns(play_ms=pl.from_epoch("user_id"))
    assert "column play_ms is of type Datetime" in fault(parquet(tmp_path, times))
    assert "column user_id is of type List" in fault(
        parquet(tmp_path, GOOD.with_columns(user_id=pl.concat_list("like")))
    )


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "log.csv"
    for text in ("user_id,größe\na,1\n", "user_id,play_ms\nä,1\n", 'user_id,play_ms\n"ä",1\n'):
        path.write_bytes(text.encode("latin-1"))
        assert "UTF-8" in fault(path)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,play_ms,like\na,1,0\n", encoding="utf-8-sig")
    assert rows(path)[0].rows() == [("a", 1, 0)]


def test_quarantine_sets_each_bad_row_aside_once(tmp_path):
    frame = pl.DataFrame({"user_id": [1, 2, 3, None], "play_ms": [-1, 2, -3, -4], "like": [5, 0, 0, 0]})
    quarantine = Quarantine(enabled=True)
    good, count = read(parquet(tmp_path, frame), COLUMNS, quarantine=quarantine)
    assert count == 4
    assert good.rows() == [(2, 2, 0)]
    assert quarantine.frame().rows() == [
        ("log.parquet", 4, "user_id", None, "is empty"),
        ("log.parquet", 1, "play_ms", "-1", "is below 0"),
        ("log.parquet", 3, "play_ms", "-3", "is below 0"),
    ]
    assert quarantine.notes()[1] == "quarantined: 2 rows of log.parquet: play_ms is below 0"


def test_quarantine_of_everything_is_an_error(tmp_path):
    path = parquet(tmp_path, GOOD.with_columns(like=pl.lit(2)))
    with pytest.raises(DataError, match="none of 3 rows is good"):
        read(path, COLUMNS, quarantine=Quarantine(enabled=True))


def test_a_column_can_be_read_as_several_and_converted():
    columns = (
        Column("play_ms", pl.Int32, source="watched", convert=Lengths("s"), what="a number of seconds", high=9_000),
        Column("whole", pl.Int8, source="watched", convert=lambda cells: (cells.cast(pl.Float64) == 2).cast(pl.Int8)),
        Column("like", pl.Int8, source="liked", convert=flags, what="true or false"),
    )
    told = []

    def frame(table):
        return checked(Path("log.parquet"), table, table.frame.columns, columns, quarantine=Quarantine())[0]

    def table(**cells):
        made = pl.DataFrame(cells)
        return Rows(made, pl.int_range(2, 2 + len(made), eager=True))

    assert frame(table(watched=["1.2344", "2", None], liked=["True", "false", None])).rows() == [
        (1234, 0, 1),
        (2000, 1, 0),
        (None, None, None),
    ]
    assert frame(table(watched=[1, 2], liked=[True, False])).rows() == [(1000, 0, 1), (2000, 1, 0)]
    for cells in (
        {"watched": ["soon"], "liked": ["1"]},
        {"watched": ["9.5"], "liked": ["1"]},
        {"watched": ["nan"], "liked": ["1"]},
        {"watched": [2**60], "liked": [" 1"]},  # more milliseconds than 64 bits hold
        {"watched": ["1"], "liked": ["yes"]},
    ):
        with pytest.raises(DataError) as caught:
            frame(table(**cells))
        told.append(str(caught.value).removeprefix("log.parquet: row 2, column ").split(";")[0])
    assert told == [
        "watched: 'soon' is not a number of seconds",
        "watched: '9.5' is above 9000",
        "watched: 'nan' is not a number of seconds",
        f"watched: '{2**60}' is not a number of seconds",
        "liked: 'yes' is not true or false",
    ]
