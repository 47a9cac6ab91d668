"""Sequence files become timelines that are split leave-one-out, and a model learns from them."""

import numpy as np
import pytest

from data import clock
from data import timelines as timelines_format
from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.readers import named
from data.readers.sequences import read
from retrieval.queries import NEXT_ITEM, asked
from runtime.errors import DataError
from tests import new_dataset


def timelines(folder, text, **options):
    (folder / "sequences.txt").write_text(text)
    dataset = named("sequences")
    tables = read(folder / "sequences.txt", quarantine=Quarantine(**options))
    moments = {f"{split}_start_ms": clock.parse(getattr(dataset, f"{split}_start")) for split in ("valid", "test")}
    made = assemble(tables, **moments)
    timelines_format.write(
        folder / "timelines", arrays=made.arrays, items=made.items, users=made.users, fields=made.fields
    )
    return timelines_format.Timelines.open(folder / "timelines"), made


def ids(log, split):
    start, end = log.bounds(split)
    names = log.items["item_id"].to_list()
    users = log.users["user_id"].to_list()
    return {users[u]: [names[item] for item in log.item[start[u] : end[u]]] for u in range(log.num_users)}


def test_the_last_item_is_tested_and_the_one_before_it_validates(tmp_path):
    log, made = timelines(tmp_path, "ann 5 3 9 7\n\nbob 7 5\n  eve 3 3  9 \n")
    assert ids(log, "train") == {"ann": ["5", "3"], "bob": ["7", "5"], "eve": ["3"]}
    assert ids(log, "valid") == {"ann": ["9"], "bob": [], "eve": ["3"]}
    assert ids(log, "test") == {"ann": ["7"], "bob": [], "eve": ["9"]}
    assert made.fields["counts"]["read"] == 9
    assert log.positive_feedback == ("click",)


def test_each_tested_item_is_asked_for_with_all_before_it(tmp_path):
    log, _ = timelines(tmp_path, "ann 5 3 9 7\nbob 7 5 1\n")
    queries = asked(log, split="test", positive=("click",))[NEXT_ITEM]
    np.testing.assert_array_equal(queries.moments.before, log.test_start[queries.moments.user])
    assert [log.items["item_id"][int(item)] for item in queries.items[:, 0]] == ["7", "1"]


def test_lines_that_are_none_are_named_or_set_aside(tmp_path):
    with pytest.raises(DataError, match=r"sequences.txt: row 2, column user: 'bob' no item after the user; a line is"):
        timelines(tmp_path, "ann 5 3 9\nbob\n")
    with pytest.raises(DataError, match=r"row 3, column user: 'ann' a user of an earlier line; give each user one"):
        timelines(tmp_path, "ann 5 3 9\nbob 1 2 3\nann 1\n")
    log, made = timelines(tmp_path, "ann 5 3 9\nbob\nann 1\neve 9 5 3\n", enabled=True)
    assert log.num_users == 2
    assert made.fields["counts"]["read"] == 6


def test_a_folder_of_none_or_of_two_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no .txt file; --data is the file of sequences"):
        read(tmp_path, quarantine=Quarantine())
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("ann 5 3 9\n")
    with pytest.raises(DataError, match=r"a.txt, b.txt; --data is"):
        read(tmp_path, quarantine=Quarantine())


def test_a_model_learns_from_a_file(tmp_path):
    lines = [" ".join([f"u{user}", *(f"i{(7 * user + 3 * n) % 40}" for n in range(12))]) for user in range(20)]
    (tmp_path / "log.txt").write_text("\n".join(lines) + "\n")
    prepared, trained = new_dataset.learned("sequences", tmp_path / "log.txt", workdir=tmp_path / "runs")
    assert (prepared["events/train"], prepared["events/valid"], prepared["events/test"]) == (200, 20, 20)
    assert trained["steps"] > 0
