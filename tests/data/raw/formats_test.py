"""One table in every format, file by file and as a whole: the same rows, and the same words for what is wrong."""

import gzip
import json
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.raw import sources
from data.raw.formats import delimited, json_lines, parquet
from data.raw.quarantine import Quarantine
from data.raw.rows import Column, read
from data.raw.rows import pieces as pieces_of
from runtime.errors import DataError

COLUMNS = (
    Column("user_id", required=True, nullable=False),
    Column("play_ms", pl.Int32, low=0),
    Column("like", pl.Int8, low=0, high=1),
    Column("day", pl.String),
)
TABLE = pl.DataFrame(
    {
        "user_id": [f"u{k % 4}" for k in range(30)],
        "play_ms": [None if k % 5 == 0 else k for k in range(30)],
        "like": [k % 2 for k in range(30)],
        "remark": ['a, "b"; c\td|e\nf' if k % 7 == 0 else None for k in range(30)],
    }
)


def lines(frame):
    # A key that is empty in every second row is left out there.
    rows = [
        {name: cell for name, cell in row.items() if cell is not None or number % 2}
        for number, row in enumerate(frame.to_dicts())
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv(separator):
    return lambda frame: frame.write_csv(separator=separator).encode()


def write(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
        return path
    content = (lines if ".jsonl" in path.name else csv({"s": ";", "t": "\t", "p": "|"}.get(path.name[0], ",")))(frame)
    if path.suffix == ".gz":  # of two members, as files that were put together
        content = gzip.compress(content[:50]) + gzip.compress(content[50:])
    elif path.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)
    return path


FILES = ("a.parquet", "a.csv", "a.csv.gz", "a.csv.zst", "a.CSV", "s.csv", "t.tsv", "p.csv", "a.jsonl", "a.jsonl.gz")


@pytest.fixture(params=[False, True], ids=["whole", "in pieces"])
def pieces(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(delimited, "_BLOCK", 150)
        monkeypatch.setattr(json_lines, "_LINES", 4)
        monkeypatch.setattr(parquet, "_ROWS", 4)


def fault(path):
    with pytest.raises(DataError) as caught:
        read(path, COLUMNS, quarantine=Quarantine())
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_and_columns_in_every_format(tmp_path, name, pieces):
    quarantine = Quarantine()
    frame, count = read(write(tmp_path / name, TABLE), COLUMNS, quarantine=quarantine)
    assert count == 30
    assert frame.rows() == TABLE.drop("remark").rows()
    assert frame.dtypes == [pl.String, pl.Int32, pl.Int8]
    assert quarantine.column_lines() == [f"{name}: read user_id, play_ms, like", f"{name}: ignored remark"]


@pytest.mark.parametrize("name", FILES)
def test_a_bad_row_is_named_in_every_format(tmp_path, name, pieces):
    bad = TABLE.with_columns(play_ms=pl.when(pl.int_range(30) == 17).then(-5).otherwise("play_ms"))
    path = write(tmp_path / name, bad)
    row = 18 if ".parquet" in name or ".jsonl" in name else 19
    assert fault(path).startswith(f"{path}: row {row}, column play_ms: '-5' is below 0; mend the row")
    quarantine = Quarantine(enabled=True)
    frame, count = read(path, COLUMNS, quarantine=quarantine)
    assert (len(frame), count) == (29, 30)
    assert quarantine.frame().rows() == [(name, row, "play_ms", "-5", "is below 0")]


@pytest.mark.parametrize("name", ["part.parquet", "part.csv", "part.jsonl.gz"])
def test_a_folder_of_files_is_one_table_and_its_partitions_are_columns(tmp_path, name, pieces):
    days = ["2026-01-01", "__HIVE_DEFAULT_PARTITION__", "a%2Fb"]
    for k, day in enumerate(days):
        write(tmp_path / "events" / f"day={day}" / name, TABLE[k * 10 : k * 10 + 10])
    (tmp_path / "events" / "_SUCCESS").touch()
    (tmp_path / "events" / "day=a%2Fb" / ".part.crc").touch()
    (tmp_path / "events" / "notes.txt").touch()
    source = sources.find(tmp_path, "events")
    assert [path.name for path in source.others] == ["notes.txt"]
    frame, count = read(source, COLUMNS, quarantine=Quarantine())
    assert count == 30
    of_days = ["2026-01-01"] * 10 + [None] * 10 + ["a/b"] * 10
    assert frame.rows() == [(*row[:3], day) for row, day in zip(TABLE.rows(), of_days, strict=True)]
    # A bad row is told, and set aside, with its own file.
    write(tmp_path / "events" / "day=2026-01-01" / name, TABLE[:3].with_columns(like=pl.Series([0, 1, 2])))
    row = 3 + (name == "part.csv")
    assert fault(source).startswith(f"{tmp_path}/events/day=2026-01-01/{name}: row {row}, column like: '2' is above 1")
    quarantine = Quarantine(enabled=True)
    assert read(source, COLUMNS, quarantine=quarantine)[1] == 23
    assert quarantine.frame()["file"].to_list() == [f"events/day=2026-01-01/{name}"]
    assert "events: ignored remark" in quarantine.column_lines()
    with pytest.raises(DataError, match=r"events: 1 of 23 rows \(4\.3%\) are bad"):
        read(source, COLUMNS, quarantine=Quarantine(enabled=True, max_share=0.04))


def test_parts_that_are_empty_are_left_out(tmp_path):
    write(tmp_path / "log" / "1.csv", TABLE)
    (tmp_path / "log" / "2.csv").touch()
    source = sources.of(tmp_path / "log")
    assert [part.label for part in source.parts] == ["log/1.csv"]
    assert [path.name for path in source.others] == ["2.csv"]
    (tmp_path / "log" / "1.csv").write_text("")
    assert len(sources.of(tmp_path / "log").parts) == 2  # all of them: what is wrong is said of the first


@pytest.mark.parametrize("journal", ["_delta_log", ".hoodie"])
def test_a_table_whose_journal_tells_which_files_count_is_refused(tmp_path, journal):
    write(tmp_path / "log" / "1.parquet", TABLE)
    (tmp_path / "log" / journal).mkdir()
    with pytest.raises(DataError, match=rf"log/{journal}: of such a table some files are old .* snap"):
        sources.of(tmp_path / "log")


def test_a_files_own_column_comes_before_its_partition(tmp_path):
    """As of writers that keep the column of the partition in the files too."""
    write(tmp_path / "events" / "play_ms=7" / "a.parquet", pl.DataFrame({"user_id": ["u"], "play_ms": [5]}))
    assert read(tmp_path / "events", COLUMNS, quarantine=Quarantine())[0].rows() == [("u", 5)]


def test_files_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1):
        write(tmp_path / "events" / f"part-{number}.csv", pl.DataFrame({"user_id": [f"u{number}"]}))
    assert read(tmp_path / "events", COLUMNS, quarantine=Quarantine())[0]["user_id"].to_list() == ["u1", "u9", "u10"]


def test_files_of_a_folder_may_differ_in_columns_and_types(tmp_path):
    """A column of numbers with a gap is one of floats, as pandas writes it; ids stay the same ids."""
    write(tmp_path / "events" / "1.parquet", pl.DataFrame({"user_id": [7, 8], "like": [1, 0]}))
    write(tmp_path / "events" / "2.parquet", pl.DataFrame({"user_id": [7.0, None], "play_ms": [5.0, 6.0]}))
    write(tmp_path / "events" / "3.parquet", pl.DataFrame({"user_id": [8], "play_ms": ["9"]}))
    frame, _ = read(tmp_path / "events", COLUMNS, quarantine=Quarantine(enabled=True))
    assert frame.rows() == [(7, None, 1), (8, None, 0), (7, 5, None), (8, 9, None)]
    write(tmp_path / "events" / "4.parquet", pl.DataFrame({"like": [1]}))
    assert "4.parquet: no column 'user_id', only like" in fault(tmp_path / "events")
    # As a whole, as tables of items are read.
    unique = (Column("item_id", unique=True), Column("n", category=True))
    write(tmp_path / "items" / "1.parquet", pl.DataFrame({"item_id": [1, 2], "n": [2**60 + 1, 1]}))
    write(
        tmp_path / "items" / "2.parquet",
        pl.DataFrame({"item_id": [3.0, None], "n": pl.Series([7, 2**63], dtype=pl.UInt64)}),
    )
    frame, _ = read(tmp_path / "items", unique, quarantine=Quarantine(enabled=True))
    assert frame["item_id"].to_list() == [1, 2, 3, None]
    assert frame["n"].to_list() == [str(2**60 + 1), "1", "7", str(2**63)]
    write(tmp_path / "items" / "3.parquet", pl.DataFrame({"item_id": ["x", "3"], "n": [1, 2]}))
    with pytest.raises(DataError, match=r"items/3\.parquet: row 2, column item_id: '3' stands in more than one row"):
        read(tmp_path / "items", unique, quarantine=Quarantine())


def test_bytes_mean_the_same_in_all_files(tmp_path):
    """16 bytes that happen to be text in one file are a UUID, as all of the column are."""
    for k, cells in enumerate([[b"0123456789abcdef"], [bytes([255, *range(15)])]]):
        write(tmp_path / "events" / f"{k}.parquet", pl.DataFrame({"user_id": cells}))
    frame, _ = read(tmp_path / "events", COLUMNS, quarantine=Quarantine())
    assert frame["user_id"].to_list() == [
        "30313233-3435-3637-3839-616263646566",
        "ff000102-0304-0506-0708-090a0b0c0d0e",
    ]


def test_a_table_stands_there_once(tmp_path):
    write(tmp_path / "events.csv.gz", TABLE)
    assert sources.find(tmp_path, "events").name == "events.csv.gz"
    assert sources.find(tmp_path, "items") is None
    write(tmp_path / "events" / "a.csv", TABLE)
    with pytest.raises(DataError, match=r"events and .*/events\.csv\.gz: both are there; keep one"):
        sources.find(tmp_path, "events")
    write(tmp_path / "items" / "a.csv", TABLE)
    write(tmp_path / "items" / "b" / "b.parquet", TABLE)
    with pytest.raises(DataError, match=r"items/a\.csv and .*items/b/b\.parquet: files of two kinds"):
        sources.find(tmp_path, "items")
    (tmp_path / "users").mkdir()
    with pytest.raises(DataError, match="users: a folder without a file that ends in"):
        sources.find(tmp_path, "users")


def test_a_path_may_lack_the_ending(tmp_path):
    write(tmp_path / "log" / "Clicks.csv.gz", TABLE)
    found = sources.tables(tmp_path, {"events": "log/Clicks", "items": "log/Clicks.csv.gz", "users": ""})
    assert [*found] == ["events", "items"]
    for source in found.values():
        assert (source.path, source.name) == (tmp_path / "log" / "Clicks.csv.gz", "log/Clicks.csv.gz")
    write(tmp_path / "log" / "Clicks" / "a.csv", TABLE)  # what is called so to the letter comes first
    assert sources.tables(tmp_path, {"events": "log/Clicks"})["events"].path == tmp_path / "log" / "Clicks"
    with pytest.raises(
        DataError, match=r"log/views: no such file.*check path: log/views; in .* Clicks, Clicks\.csv\.gz$"
    ):
        sources.tables(tmp_path, {"events": "log/views"})
    with pytest.raises(DataError, match=r"nowhere/views: no such file.*check path: nowhere/views$"):
        sources.tables(tmp_path, {"events": "nowhere/views"})


def test_a_table_without_rows(tmp_path):
    for columns in (COLUMNS, (Column("user_id", unique=True),)):
        for name in FILES[:2]:
            with pytest.raises(DataError, match="no rows; give a file that holds some"):
                read(write(tmp_path / name, TABLE[:0]), columns, quarantine=Quarantine())


def test_links_that_lead_back_are_followed_once(tmp_path):
    write(tmp_path / "events" / "day=1" / "a.csv", TABLE)
    (tmp_path / "events" / "day=1" / "up").symlink_to(tmp_path / "events")
    (tmp_path / "linked").symlink_to(tmp_path / "events")
    assert read(tmp_path / "linked", COLUMNS, quarantine=Quarantine())[1] == 30


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_compressed_file_that_is_cut_short(tmp_path, name):
    big = pl.concat([TABLE] * 50).with_columns(remark=pl.int_range(1500) ** 7)
    path = write(tmp_path / name, big)
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path}: damaged (" in fault(path)
    path.write_bytes(b"no archive")
    assert f"{path}: damaged (" in fault(path)
    path.write_bytes(b"")
    assert str(path) in fault(path)


@pytest.mark.parametrize(
    ("line", "shown"),
    [("oops", "oops"), ("[1]", "[1]"), ('{"user_id": ', '{"user_id":'), ('{"user_id": "é"}', '{"user_id": "�"}')],
)
def test_a_line_that_is_no_object(tmp_path, line, shown):
    path = tmp_path / "a.jsonl"
    path.write_bytes(f'{{"user_id": "u"}}\n\n{line}\n'.encode("latin-1"))
    assert f"{path}: row 3: {shown} is no JSON object of UTF-8 text" in fault(path)
    quarantine = Quarantine(enabled=True)
    assert read(path, COLUMNS, quarantine=quarantine)[1] == 2
    assert quarantine.frame().rows() == [("a.jsonl", 3, "", shown, "is no JSON object of UTF-8 text")]


@pytest.mark.parametrize("first", [[0, 0], [1, 0.5], None])
def test_vectors_of_whole_numbers_beside_others(tmp_path, first):
    path = tmp_path / "items.jsonl"
    cells = [first, [0.6, 0.8], [1, None]]
    path.write_text("".join(json.dumps({"item_id": at, "emb": cell}) + "\n" for at, cell in enumerate(cells)))
    (rows,) = json_lines.rows(path, ["item_id", "emb"])
    assert rows.frame["emb"].dtype == pl.List(pl.Float64)
    assert rows.frame["emb"].to_list() == cells


def test_text_that_parquet_stores_once_is_text_and_long_decimals_are_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    long = pa.array([Decimal("3.5"), None], pa.decimal256(76, 38))
    pq.write_table(pa.table({"word": pa.array(["NULL", "true"]).dictionary_encode(), "long": long}), path)
    (rows,) = parquet.rows(path, ["word", "long"])
    assert rows.frame.schema == {"word": pl.String, "long": pl.Float64}
    assert rows.frame.rows() == [("NULL", 3.5), ("true", None)]


def test_keys_that_come_late_and_numbers_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_LINES", 2)
    ids = [1, 2**64, 3.0, "x", 2**200, True]
    rows = [{"user_id": one} for one in ids] + [{"user_id": "y", "like": 1, "new": 5}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    quarantine = Quarantine()
    frame, _ = read(tmp_path / "a.jsonl", COLUMNS, quarantine=quarantine)
    assert frame["user_id"].to_list() == ["1", str(2**64), "3.0", "x", str(2**200), "true", "y"]
    assert frame["like"].to_list() == [None] * 6 + [1]
    assert "a.jsonl: ignored new" in quarantine.column_lines()
    (tmp_path / "b.jsonl").write_text('{"like": 1}\n')
    assert "b.jsonl: no column 'user_id', only like" in fault(tmp_path / "b.jsonl")


def test_an_attribute_whose_key_comes_late_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_LINES", 2)
    rows = [{"user_id": f"u{k}"} for k in range(5)] + [{"user_id": "u5", "genre": "jazz"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = pieces_of(
        tmp_path / "a.jsonl",
        COLUMNS,
        quarantine=Quarantine(),
        further=lambda cells: Column(cells.name, category=True),
    )
    assert table.whole()[0]["genre"].to_list() == [None] * 5 + ["jazz"]


def test_a_header_shows_its_separator_in_quotes_too(tmp_path):
    (tmp_path / "a.csv").write_text('"user_id";"play, in ms|s";"like"\n"a;b";"1";0\n')
    assert read(tmp_path / "a.csv", COLUMNS, quarantine=Quarantine())[0].rows() == [("a;b", 0)]


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_quotes_are_watched_wherever_a_block_ends(tmp_path, monkeypatch, block):
    monkeypatch.setattr(delimited, "_BLOCK", max(block, 64))
    path, usual = tmp_path / "a.csv", '"u""1",1,0,\n"u3",1,0,"a\n""b"\n'
    for row, good in (("u,1,0,", True), ('"u"4,1,0,', False), ('u"5,1,0,', True), ('"u6,1,0,', False)):
        path.write_text("user_id,play_ms,like,remark\n" + usual * 9 + f"{row}\n" + usual * 9)
        if good:
            assert read(path, COLUMNS, quarantine=Quarantine())[1] == 37
        else:
            assert "row 20: a field's quotes do not close" in fault(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", gzip.compress(b"user_id\n1\n", mtime=0), "is compressed by gzip: let its name end in .csv.gz"),
        ("a.csv", "user_id,like\nu,1\n".encode("utf-16"), "is text in UTF-16"),
        ("a.csv", "user_id,like\nu,1\n".encode("utf-16-le"), "is text in UTF-16 or UTF-32"),  # without a mark
        ("a.csv", b"PK\x03\x04\x14\0", "is a spreadsheet or a zip archive: save the sheet as CSV"),
        (
            "a.csv.gz",
            gzip.compress("user_id\né\n".encode("latin-1"), mtime=0),
            "not UTF-8 text; write it again as UTF-8",
        ),
        ("a.csv", b"sep=;\r\nuser_id;like\r\nu;1\r\n", "row 1 is `sep=;`, as Excel writes it, and no header"),
        ("a.csv", b"PAR1\x15\x04\xff", "is Parquet: let its name end in .parquet"),
        ("a.parquet", b"PAR1\x15\x04", "cut short, or no Parquet file"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("a.jsonl", '{"user_id": "u"}\n'.encode("utf-16"), "is text in UTF-16"),
        ("a.jsonl", b'[{"user_id": "u"},\n {"user_id": "v"}]\n', "write it again, as `jq -c .[]` does"),
        ("a.jsonl", b'{\n "user_id": "u"\n}\n', "write it again, as `jq -c .` does"),
    ],
)
def test_what_a_file_is_that_cannot_be_read(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_bytes(content)
    assert str(path) in fault(path)
    assert told in fault(path)


def test_parquet_times_of_any_zone_are_the_same_moments(tmp_path):
    moments = pa.array([1_767_268_800_000_000, None], pa.timestamp("us"))
    for zone in ("+05:30", "-03:00", "America/New_York", "Nowhere/Land"):
        pq.write_table(pa.table({"at": moments.cast(pa.timestamp("us", zone))}), tmp_path / "a.parquet")
        (batch,) = parquet.rows(tmp_path / "a.parquet", ["at"])
        assert batch.frame["at"].dt.epoch("us").to_list() == [1_767_268_800_000_000, None]


def test_half_a_character_is_no_text_and_a_whole_one_is(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"user_id": "\\ud83d\\ude00"}\n{"user_id": "\\ud83d"}\n')
    (batch,) = json_lines.rows(path, ["user_id"])
    assert (batch.frame["user_id"].to_list(), batch.broken["row"].to_list()) == (["😀"], [2])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_what_is_gone_is_not_called_damaged(tmp_path, name):
    # As what may not be read, which root may all the same.
    path = tmp_path / name
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError) as caught:
        {"a.csv": delimited, "a.jsonl": json_lines, "a.parquet": parquet}[name].header(path)
    assert caught.value.filename == str(path)
