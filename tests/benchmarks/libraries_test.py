"""Other libraries' trainings: what they are asked, what becomes of one that does not run, and equal sequences."""

import os
import stat
from collections import Counter

import numpy as np
import pytest

from benchmarks.libraries import equal_sequences
from benchmarks.libraries.others import DIM, HIDDEN, LENGTH, NotRunError, Peer, measured
from benchmarks.libraries.timing import Timing
from runtime.errors import DataError
from tests.logs import random_timelines


def environment(folder, script):
    """A --python that is a shell script."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)


PEER = Peer("some library", "script.py", {"model": "GRU"}, 8)


def test_a_library_is_asked_for_the_sizes_and_its_last_line_is_read(tmp_path):
    file = tmp_path / "sequences.txt"
    python = environment(
        tmp_path, """echo "$@" > asked; echo noise; echo '{"library": "some 1.0", "labels_per_second": 12.5}'"""
    )
    assert measured(PEER, file, python=python, threads=2, seconds=3.0) == ("some 1.0", 12.5)
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0].endswith("benchmarks/libraries/script.py")
    sizes = {f"--length={LENGTH}", f"--dim={DIM}", f"--hidden={HIDDEN}", "--batch=8"}
    assert sizes | {f"--sequences={file}", "--model=GRU", "--seconds=3.0", "--threads=2"} == set(asked[1:])


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo Traceback >&2; echo 'ModuleNotFoundError: No module named x' >&2; exit 1", "No module named x"),
        ("exit 3", "exit status 3"),
        ("""echo '{"library": "some 1.0", "labels_per_second": null}'""", "one batch takes longer than --seconds"),
    ],
)
def test_a_library_that_does_not_train_says_why(tmp_path, script, message):
    with pytest.raises(NotRunError, match=message):
        measured(PEER, tmp_path / "sequences.txt", python=environment(tmp_path, script), threads=1, seconds=1.0)


def test_paths_are_those_of_where_the_command_is_given(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    environment(tmp_path, """echo "$@" > asked; echo '{"library": "some 1.0", "labels_per_second": 1}'""")
    monkeypatch.chdir(tmp_path)
    peer = PEER._replace(flags={"source": "clone"})
    measured(peer, tmp_path / "elsewhere" / "sequences.txt", python="./python", threads=1, seconds=1.0)
    assert f"--source={tmp_path}{os.sep}clone" in (tmp_path / "elsewhere" / "asked").read_text().split()


def test_nothing_is_started_without_an_environment(tmp_path):
    official = PEER._replace(flags={"source": ""})
    for python, peer, message in (
        ("", PEER, "--python: no environment"),
        (str(tmp_path / "none"), PEER, "No such file"),
        ("python", official, "--gru4rec: no folder"),
    ):
        with pytest.raises(NotRunError, match=message):
            measured(peer, tmp_path / "sequences.txt", python=python, threads=1, seconds=1.0)


def test_equal_sequences_are_every_event_after_the_first_once_with_what_came_before(tmp_path):
    lengths = np.array([1, 2, 70, 5])
    log = random_timelines.write(tmp_path / "log", lengths=lengths, num_items=9)
    last = np.asarray(log.valid_start)
    expected = [
        (tuple(log.item[max(begin, label - LENGTH) : label].tolist()), int(log.item[label]))
        for begin, end in zip(log.offsets[:-1], last, strict=True)
        for label in range(begin + 1, end)
    ]
    found, rows = [], 5
    for batch in equal_sequences.batches(log, length=LENGTH, rows=rows):
        assert batch["label_position"].tolist() == [[row * LENGTH + LENGTH - 1 for row in range(rows)]]
        assert batch["label_kind"].tolist() == [[1] * rows]
        for item, reset, label in zip(batch["item"], batch["reset"], batch["label"][0], strict=True):
            assert np.all(np.diff((item > 0).astype(int)) >= 0)  # padding is on the left
            assert np.flatnonzero(reset).tolist() == [0]
            found.append((tuple(item[item > 0].tolist()), int(label)))
    assert len(expected) % rows != 0  # some fill no batch
    assert len(found) == len(expected) // rows * rows
    assert not Counter(found) - Counter(expected)
    with pytest.raises(DataError, match=f"{len(expected)} labels fill no batch of 512"):
        next(equal_sequences.batches(log, length=LENGTH, rows=512))


def test_the_first_batch_is_not_timed(monkeypatch):
    clock = iter([10.0, 11.0, 13.0])
    monkeypatch.setattr("benchmarks.libraries.timing.time.perf_counter", lambda: next(clock))
    timed = Timing(wanted=3.0)
    assert [timed.batch(5), timed.batch(7), timed.batch(9)] == [False, False, True]
    assert (timed.labels, timed.ended - timed.began) == (16, 3.0)
