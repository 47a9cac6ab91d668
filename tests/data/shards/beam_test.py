"""Shards by Apache Beam: the same bytes as without it, and one line where a shard's result is not there.

What needs Beam is skipped without it: `pytest --noconftest tests/data/shards/beam_test.py` in the environment of
requirements-beam.txt, with pytest, runs it.
"""

import importlib.util
import pickle
import sys
from functools import partial

import numpy as np
import polars as pl
import pytest

from data.assembly import assemble
from data.raw.tables import Tables
from data.shards import beam
from data.shards.gathered import one_by_one
from runtime.errors import DataError, UsageError

needs_beam = pytest.mark.skipif(
    not importlib.util.find_spec("apache_beam"), reason="apache-beam is not installed (requirements-beam.txt)"
)


def log(events=2000):
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "user_id": pl.Series(rng.integers(0, 50, events)).cast(pl.String),
            "item_id": rng.integers(0, 90, events),
            "timestamp_ms": 1_650_000_000_000 + np.sort(rng.integers(0, 10**6, events)) * 1000,
            "like": pl.Series(rng.integers(0, 2, events).astype(np.int8)),
        }
    )
    return Tables(rows, None, None, None, events)


@needs_beam
@pytest.mark.parametrize("options", [(), ("--direct_num_workers=2", "--direct_running_mode=multi_threading")])
def test_every_byte_is_as_without_beam(tmp_path, options):
    for name in ("here", "beam"):
        scratch = tmp_path / f"{name} scratch"
        each = one_by_one if name == "here" else beam.OnRunner("DirectRunner", scratch, options)
        made = assemble(log(), folder=scratch, shard_rows=500, each=each)
        made.write(tmp_path / name)
    written = sorted(file.name for file in (tmp_path / "here").iterdir())
    assert written == sorted(file.name for file in (tmp_path / "beam").iterdir())
    for name in written:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "beam" / name).read_bytes(), name


@needs_beam
def test_what_is_wrong_with_a_log_is_said_as_without_beam(tmp_path):
    each = beam.OnRunner("DirectRunner", tmp_path)
    with pytest.raises(DataError, match="no item has 5000 events before validation"):
        assemble(log(), folder=tmp_path, shard_rows=500, each=each, min_item_count=5000)
    with pytest.raises(UsageError, match="--runner=NoRunner: Beam has failed"):
        assemble(log(), folder=tmp_path, shard_rows=500, each=beam.OnRunner("NoRunner", tmp_path))


def test_without_beam_its_flag_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UsageError, match="--runner=DirectRunner: needs apache-beam; pip install -r requirements-beam"):
        beam.check("DirectRunner")


def _halved(number, *, by):
    if number % by:
        raise DataError(f"{number} is odd")
    return number // by


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run-1"
    folder.mkdir()
    (folder / "function").write_bytes(pickle.dumps(partial(_halved, by=2)))
    return folder


def test_a_worker_writes_what_it_finds_or_what_is_wrong(run):
    for number, value in enumerate((8, 9)):
        beam._run((str(run), number, pickle.dumps((value,))))
    beam._run((str(run), 0, pickle.dumps((8,))))  # tried again, as engines do
    assert beam.result(run, 0) == 4
    with pytest.raises(DataError, match=r"^9 is odd$"):
        beam.result(run, 1)
    assert sorted(path.name for path in run.iterdir()) == ["function", "result-0", "result-1"]


def test_a_shard_that_is_missing_of_another_run_or_damaged_is_one_line(run):
    beam._run((str(run), 0, pickle.dumps((8,))))
    with pytest.raises(DataError, match=r"result-1: missing: the worker of shard 1 has written elsewhere"):
        beam.result(run, 1)
    (run / "result-1").write_bytes((run / "result-0").read_bytes())
    with pytest.raises(DataError, match=r"result-1: of another run \(run-1, shard 0\)"):
        beam.result(run, 1)
    other = run.with_name("run-2")
    other.mkdir()
    (other / "result-0").write_bytes((run / "result-0").read_bytes())
    with pytest.raises(DataError, match=r"result-0: of another run \(run-1, shard 0\)"):
        beam.result(other, 0)
    (run / "result-0").write_bytes((run / "result-0").read_bytes()[:-3])
    with pytest.raises(DataError, match="result-0: cut short or damaged"):
        beam.result(run, 0)
    with pytest.raises(FileNotFoundError, match="a worker does not see this folder"):
        beam._run((str(run.with_name("elsewhere")), 0, pickle.dumps((8,))))
