"""Which rows of a table guesses are made of."""

import json

import polars as pl
import pytest

from data.first_look.tables import looked_at
from data.raw.schema.said import Schema

WORDS = ["view", "view", "hide"]


def looks(folder, *, rows=100):
    """Column -> the words that were looked at."""
    return {look.name: look.texts.to_list() for look in looked_at(folder, Schema(), rows=rows)["events"].looks}


def write(folder, days):
    """A CSV file a day, each of the rows (user, action)."""
    (folder / "events").mkdir()
    for day, rows in enumerate(days):
        frame = pl.DataFrame(rows, schema=["user_id", "action"], orient="row").with_columns(item_id=pl.lit("v"))
        frame.write_csv(folder / f"events/day-{day}.csv")


def test_some_rows_of_every_file(tmp_path):
    write(tmp_path, [[("a", "view")] * 50, [("b", "view")] * 50, [("c", "hide")] * 50])
    assert looks(tmp_path, rows=6)["action"] == ["view"] * 4 + ["hide"] * 2


def test_what_a_small_file_lacks_is_taken_of_those_after_it(tmp_path):
    write(tmp_path, [[("a", "view")], [("b", "view")] * 50, [("c", "hide")] * 50])
    assert looks(tmp_path, rows=9)["user_id"] == ["a"] + ["b"] * 4 + ["c"] * 4


def test_an_empty_file_is_passed_over(tmp_path):
    write(tmp_path, [[], [("b", "hide")]])
    assert looks(tmp_path)["action"] == ["hide"]


def test_of_many_files_some_are_read_the_last_among_them(tmp_path):
    write(tmp_path, [[(f"u{day}", "view")] * 3 for day in range(200)])
    users = looks(tmp_path, rows=40)["user_id"]
    assert (len(users), len({*users}), users[0], users[-1]) == (40, 20, "u0", "u199")


@pytest.mark.parametrize("lines", [2, 3])
def test_a_file_is_read_on_until_there_are_rows_enough(tmp_path, monkeypatch, lines):
    monkeypatch.setattr("data.raw.formats.json_lines._LINES", lines)
    events = [{"user_id": "a", "item_id": k, "action": word} for k, word in enumerate(WORDS * 2)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert looks(tmp_path, rows=5)["action"] == [*WORDS, "view", "view"]


def test_columns_that_some_files_lack_or_have_of_another_type(tmp_path):
    (tmp_path / "events").mkdir()
    ids = {"user_id": ["a"], "item_id": ["v"]}
    pl.DataFrame({**ids, "tags": ["x"], "like": [1]}).write_parquet(tmp_path / "events/1.parquet")
    pl.DataFrame({**ids, "tags": [{"x": 1}]}).write_parquet(tmp_path / "events/2.parquet")
    found = looks(tmp_path)
    assert (found["like"], found["tags"], found["user_id"]) == (["1"], ["x"], ["a", "a"])
