"""Benchmarks in processes of their own, and the page of what they found."""

import json
import os

import pytest

from benchmarks.shared.record import Row, read
from benchmarks.suite import harness
from benchmarks.suite.listed import SUITE, Benchmark
from benchmarks.suite.page import page
from tests.helpers import only_flags

LOG = {"data": "/somewhere/timelines", "config": "tiny", "workdir": "/elsewhere"}


def made_up(name, *flags, **more):
    return Benchmark(name, "tests.helpers.made_up_benchmark", flags, **more)


def results(*benchmarks):
    return {
        "circumstances": {"machine": "a | b"},
        "benchmarks": [harness.run(one, quick=False, log=LOG) for one in benchmarks],
    }


def test_a_ratio_above_one_is_in_our_favour():
    assert Row("", "labels/s", 3.0, 2.0).ratio == 3 / 2
    assert Row("", "s", 3.0, 2.0, less_is_better=True).ratio == 2 / 3
    assert Row("", "labels/s", 3.0, 2.0, turns=(1.1, 1.6, 1.2)).ratio == 1.2  # of turns, not of medians
    assert Row("", "labels/s", 3.0).ratio is None
    assert Row("", "labels/s", None, 3.0).ratio is None


def test_those_that_fail_have_a_line_and_the_others_run():
    found = results(
        made_up("first", "--ours=2000", "--peer=1000"),
        made_up("mistaken", "--then=fail"),
        made_up("broken", "--then=break"),
        made_up("endless", "--then=hang", minutes=3 / 60),
        made_up("unknown", "--no_such_flag"),
        made_up("last", "--ours=0.12345"),
    )
    failures = {one["name"]: one["failure"] for one in found["benchmarks"]}
    assert failures["first"] == failures["last"] == ""
    assert "--then=fail: it was told to" in failures["mistaken"]
    assert failures["broken"] == "exit status 7"
    assert failures["endless"] == "not over after 0.05 minutes"
    assert "no_such_flag" in failures["unknown"]
    # What was found before the end stays; the endless one may not have come that far.
    rows_of = {one["name"]: len(one["rows"]) for one in found["benchmarks"] if one["name"] != "endless"}
    assert rows_of == {"first": 1, "mistaken": 1, "broken": 1, "unknown": 0, "last": 1}
    assert all(one["peak_mib"] > 0 for one in found["benchmarks"])

    lines = page(json.loads(json.dumps(found))).splitlines()
    assert [line for line in lines if line.startswith("## ")] == [f"## {one['name']}" for one in found["benchmarks"]]
    rows = [line for line in lines if line.startswith("| speed")]
    assert rows[0] == "| speed | labels/s | 2,000 | 1,000 | peer | **2.00x** |  |"
    assert rows[-1] == "| speed | labels/s | 0.123 |  |  |  |  |"
    assert len(rows) == sum(len(one["rows"]) for one in found["benchmarks"])
    assert sum(line.startswith("**Failed**") for line in lines) == 4
    assert any("it was told to \\| so it did" in line for line in lines)
    assert "| machine | a \\| b |" in lines
    (took,) = (line for line in lines if line.startswith("| took |"))
    assert took.endswith(", 6 benchmarks |")
    assert all(line.count("|") - line.count("\\|") == 8 for line in rows)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the operating system gives nobody cores")
def test_cores_come_back():
    before = os.sched_getaffinity(0)
    assert harness.run(made_up("one", cores=1), quick=False, log=LOG)["cores"] == 1
    assert os.sched_getaffinity(0) == before


def test_the_command_names_no_folder_of_this_machine():
    one = Benchmark("", "no.such_module", ("--data={data}", "--config=a.py:{config}", "--workdir={workdir}"))
    assert harness.run(one, quick=False, log=LOG)["command"] == (
        "python -m no.such_module --data=TIMELINES --config=a.py:tiny --workdir=DIR"
    )


def test_a_ratio_of_heed_against_itself_is_not_bold():
    rows = [Row("speed", "s", 1.0, 2.0, against="a smaller log", own=own) for own in (True, False)]
    one = {"name": "", "command": "", "cores": 1, "seconds": 1.0, "peak_mib": 1, "failure": ""}
    found = [{**vars(row), "ratio": row.ratio} for row in rows]
    lines = page({"circumstances": {}, "benchmarks": [{**one, "rows": found}]}).splitlines()
    ratios = [line.split(" | ")[5] for line in lines if line.startswith("| speed")]
    assert ratios == ["0.50x", "**0.50x**"]


def test_rows_come_back_as_they_were(tmp_path):
    row = Row("speed", "s", None, 2.0, turns=(1.0, 2.0), note="not run")
    assert read(json.dumps(vars(row)) + "\n") == [row]


def test_every_benchmark_knows_its_flags():
    commands = {
        f"{size} {number}": [one.module, *(flag.format(**LOG) for flag in flags), "--json=rows"]
        for number, one in enumerate(SUITE)
        for size, flags in (("full", one.flags), ("quick", one.quick))
    }
    assert {name: ended.stderr for name, ended in only_flags.of(commands).items() if ended.status} == {}
    assert len({one.name for one in SUITE}) == len(SUITE)
