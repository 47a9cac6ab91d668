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
from tests.helpers import new_dataset


def timelines(folder, text, **options):
    (folder / "sequences.txt").write_text(text)
    dataset = named("sequences")
    tables = read(folder / "sequences.txt", quarantine=Quarantine(**options))
    moments = {f"{split}_start_ms": clock.parse(getattr(dataset, f"{split}_start")) for split in ("valid", "test")}
    made = assemble(tables, **moments)
    made.write(folder / "timelines")
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
    with pytest.raises(DataError, match=r"sequences.txt: row 2: bob has no item after it: a line is a user and the"):
        timelines(tmp_path, "ann 5 3 9\nbob\n")
    with pytest.raises(DataError, match=r"row 3, column user: 'ann' stands in more than one row; keep one of them"):
        timelines(tmp_path, "ann 5 3 9\nbob 1 2 3\nann 1\n")
    log, made = timelines(tmp_path, "ann 5 3 9\nbob\n\nann 1 2\neve 9 5 3\nbob 5\n", enabled=True)
    assert log.users["user_id"].to_list() == ["ann", "bob", "eve"]
    # Bob's first line counts as one row, Ann's second as its two items.
    assert made.fields["counts"]["read"] == 3 + 1 + 2 + 3 + 1
    assert made.fields["counts"]["dropped"]["quarantined"] == 3


def test_as_many_lines_may_be_bad_as_is_said(tmp_path):
    (tmp_path / "sequences.txt").write_text("".join(f"u{n}{' 5 3 9' if n < 4 else ''}\n" for n in range(10)))
    with pytest.raises(DataError, match=r"sequences.txt: 6 of 10 rows \(60.0%\) are bad, .*--max_quarantine=1%; most"):
        read(tmp_path, quarantine=Quarantine(enabled=True, max_share=0.01))
    lenient = Quarantine(enabled=True, max_share=0.6)
    assert read(tmp_path, quarantine=lenient).rows_read == 4 * 3 + 6
    assert lenient.column_lines() == ["sequences.txt: read user as user_id, items as item_id"]


def test_what_is_no_text_or_holds_no_line_is_refused(tmp_path):
    (tmp_path / "sequences.txt").write_bytes("ann 5 3 café\n".encode("iso-8859-1"))
    with pytest.raises(DataError, match=r"sequences.txt: not UTF-8 text \(byte 11\); write it again as UTF-8"):
        read(tmp_path, quarantine=Quarantine())
    (tmp_path / "sequences.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"sequences.txt: no rows; give a file that holds some"):
        read(tmp_path, quarantine=Quarantine())
    (tmp_path / "sequences.txt").write_text("ann\nbob\n")
    with pytest.raises(DataError, match=r"sequences.txt: none of 2 rows is good; most often row: ann has no item"):
        read(tmp_path, quarantine=Quarantine(enabled=True))


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
