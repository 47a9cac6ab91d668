"""`python -m data.inspect`: what it says of a folder, and the first schema.yaml, by which `data.prepare` reads it."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from data.timelines import Timelines
from tests.helpers import command_line

SECOND = 1_767_268_800  # 2026-01-01T12:00:00Z
PRELOAD = ("data.assembly", "data.raw.plausibility", "data.readers.canonical.layout", "data.first_look.tables")


def inspect(*flags: object) -> command_line.Ended:
    return command_line.run({"it": ["data.inspect", *map(str, flags)]}, preload=PRELOAD)["it"]


def write(folder: Path, n: int = 200) -> None:
    """A log with names of its own: plays in seconds, stars, genres."""
    folder.mkdir(exist_ok=True)
    pl.DataFrame(
        {
            "uid": [f"u{k % 7}" for k in range(n)],
            "video": [f"v{k % 30}" for k in range(n)],
            "ts": [SECOND + 3600 * k for k in range(n)],
            "watch_seconds": [[2, 31, None, 77][k % 4] for k in range(n)],
            "rating": [k % 5 + 1 for k in range(n)],
            "remark": ["x;y"] * n,
        }
    ).write_csv(folder / "ratings.csv", separator=";")
    items = [{"id": f"v{k}", "genres": ["a|b", "c"][k % 2], "lang": "de"} for k in range(30)]
    (folder / "videos.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


def test_a_first_look_and_a_schema_to_prepare_by(tmp_path: Path) -> None:
    write(tmp_path)
    done = inspect(f"--data={tmp_path}")
    assert (done.status, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert f"events: {tmp_path}/ratings.csv, one file" in said
    assert "  watch_seconds  whole numbers  25%    3       2" in said
    assert "ratings.csv: ignored remark" in said
    assert "videos.jsonl: categories lang" in said
    assert "dislike                    80  40.00% of events of known time" in said  # one and two stars of five
    assert "skip                       30  15.00% of events of known time" in said  # 2 s, and not four stars or five
    assert "first and last    2026-01-01T12:00:00Z, 2026-01-09T19:00:00Z" in said  # 199 hours
    assert "missing for responsiveness by creator: creator_id of items" in said
    assert "missing for candidates that are there at the moment: uploaded_ms of items" in said
    assert not any("missing for models that learn" in line for line in said)
    schema = (tmp_path / "schema.yaml").read_text()
    assert "\n  timestamp_ms: {column: ts, unit: s}" in schema
    assert "\n  dislike: rating <= 2" in schema

    flags = [said[-1].split()[3], f"--data={tmp_path}", f"--workdir={tmp_path}/out"]
    assert said[-1].split()[1:5] == ["-m", "data.prepare", "--config=configs/data.py:tables", f"--data={tmp_path}"]
    again = {"prepare": ["data.prepare", *flags], "inspect": ["data.inspect", f"--data={tmp_path}"]}
    ended = command_line.run(again, preload=PRELOAD)
    assert ended["prepare"].status == 0, ended["prepare"].stderr
    made = Timelines.open(tmp_path / "out")
    assert (made.num_users, made.num_items, int(made.timestamp_ms.max())) == (7, 30, (SECOND + 199 * 3600) * 1000)
    # A schema that is there stays.
    assert ended["inspect"].stdout.splitlines()[-1] == f"schema: {tmp_path}/schema.yaml, left as it is"
    assert (tmp_path / "schema.yaml").read_text() == schema


def test_a_log_in_heeds_own_names_needs_none(tmp_path: Path) -> None:
    log = {"user_id": [1, 2] * 20, "item_id": [k % 9 for k in range(40)], "click": [1] * 40}
    log["timestamp_ms"] = [SECOND * 1000 + k for k in range(40)]
    pl.DataFrame(log).write_parquet(tmp_path / "events.parquet")
    done = inspect(f"--data={tmp_path}", f"--workdir={tmp_path}/here")
    assert done.status == 0, done.stderr
    assert not (tmp_path / "schema.yaml").exists()
    assert (tmp_path / "here/schema.yaml").read_text().endswith("\nevents:  # by their own names\n")
    assert f"--schema={tmp_path}/here/schema.yaml --workdir" in done.stdout.splitlines()[-1]
    assert "missing for models that learn from dislikes: dislike" in done.stdout
    assert "is there already, and stays" in inspect(f"--data={tmp_path}", f"--workdir={tmp_path}/here").stderr


MISTAKES = [
    ({}, [], 3, "no table with a user and an item in each row; call it events.csv"),
    ({"a.csv": "x,y\n1,2\n"}, [], 3, "no table with a user and an item in each row, only a.csv"),
    ({"events.csv": "user,item,like\na,b,1\n"}, [], 3, "no column 'timestamp_ms'"),
    ({"events.csv": "user,item,like,when\na,b,1,1\n"}, [], 3, "schema.yaml"),
    ({"events.csv": ""}, [], 3, "events.csv: an empty file"),
    ({"events.csv": "user_id\n"}, [], 3, "events.csv: no rows"),
    ({"schema.yaml": "events: [", "events.csv": "user_id\na\n"}, [], 2, "schema.yaml: line 1: no YAML"),
    ({}, ["--data="], 2, "--data is required"),
    ({}, ["--rows=0"], 2, "--rows"),
    ({"events.csv": "# of May\n"}, ["--schema=/dev/null"], 2, "--schema=/dev/null: no such file"),
    ({"events.xlsx": "PK\x03\x04"}, [], 3, "no table with a user and an item in each row, only events.xlsx"),
    ({}, ["--data=nowhere"], 2, "--data=nowhere: no such folder"),
    ({"events.csv": "user,item,like\na,b,1\n"}, ["--workdir=/proc/1/x"], 2, "/proc/1/x"),
]


def test_mistakes_get_one_line_and_a_status(tmp_path: Path) -> None:
    commands = {}
    for place, (files, flags, _, _) in enumerate(MISTAKES):
        (tmp_path / str(place)).mkdir()
        for name, content in files.items():
            (tmp_path / str(place) / name).write_text(content)
        commands[str(place)] = ["data.inspect", f"--data={tmp_path}/{place}", *flags]
    ended = command_line.run(commands, preload=PRELOAD)
    for place, (_, _, status, told) in enumerate(MISTAKES):
        done = ended[str(place)]
        assert (done.status, len(done.stderr.splitlines())) == (status, 1), done.stderr
        assert told in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    write(tmp_path)
    tmp_path.chmod(0o500)
    done = inspect(f"--data={tmp_path}")
    assert done.status == 2
    assert "give a --workdir where schema.yaml can be written" in done.stderr
