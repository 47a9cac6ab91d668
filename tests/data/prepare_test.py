import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.timelines import Timelines
from runtime.lock import one_writer

ROOT = Path(__file__).parent.parent.parent
T = 1_650_000_000_000


def log(n=40):
    return pl.DataFrame(
        {
            "user_id": [f"u{i % 4}" for i in range(n)],
            "item_id": [f"i{i % 7}" for i in range(n)],
            "timestamp_ms": [T + i * 1000 for i in range(n)],
            "play_ms": [i * 500 for i in range(n)],
        }
    )


def prepare(*flags):
    command = [sys.executable, "-m", "data.prepare", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def tables(tmp_path, frame):
    frame.write_parquet(tmp_path / "events.parquet")
    return "--dataset=tables", f"--data={tmp_path}", f"--workdir={tmp_path / 'out'}"


def test_two_runs_do_not_write_into_one_another(tmp_path):
    flags = tables(tmp_path, log())
    for folder in (tmp_path / "out", tmp_path / "there"):
        with one_writer(folder):
            run = prepare(*flags[:2], f"--workdir={folder}")
            assert run.returncode == 2
            assert last_line(run).endswith(
                f"{folder}: process {os.getpid()} is writing here; wait until it ends, or choose another --workdir"
            )
        (tmp_path / "there").mkdir(exist_ok=True)
        assert prepare(*flags[:2], f"--workdir={folder}").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"events.parquet", "out", "there"}
    assert ".lock" not in {path.name for path in (tmp_path / "there").iterdir()}


def last_line(run):
    return run.stderr.strip().splitlines()[-1]


def test_a_log_becomes_timelines_and_a_second_run_says_so(tmp_path):
    flags = tables(tmp_path, log())
    run = prepare(*flags)
    assert run.returncode == 0, run.stderr
    assert "rows read                  40" in run.stdout
    assert "skip                        6  15.00% of events of known time" in run.stdout  # 0 to 2.5 s
    assert "like                        0  not in this log" in run.stdout
    assert "warning" not in run.stdout
    assert run.stdout.splitlines()[-1] == f"timelines: {tmp_path / 'out'}"
    opened = Timelines.open(tmp_path / "out")
    assert (opened.num_users, opened.num_items, len(opened.item)) == (4, 7, 40)
    assert opened.manifest["dataset"] == "tables"
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["events/train"] + metrics["events/valid"] + metrics["events/test"] == 40

    before = (tmp_path / "out/manifest.json").stat().st_mtime_ns
    again = prepare(*flags)
    assert (again.returncode, again.stdout) == (0, f"complete already: {tmp_path / 'out'}\n")
    assert (tmp_path / "out/manifest.json").stat().st_mtime_ns == before

    # A file of it is damaged: it is made anew.
    (tmp_path / "out/item.npy").write_bytes(b"")
    healed = prepare(*flags)
    assert healed.returncode == 0
    assert "preparing again" in healed.stdout
    assert len(Timelines.open(tmp_path / "out").item) == 40


def test_a_workdir_of_another_log_or_config_is_refused(tmp_path):
    flags = tables(tmp_path, log())
    assert prepare(*flags).returncode == 0
    other = prepare(*flags, "--config.min_item_count=1")
    assert (other.returncode, other.stdout) == (2, "")
    assert "min_item_count" in last_line(other)
    tables(tmp_path, log(60))
    assert prepare(*flags).returncode == 2


def test_a_log_of_several_shards_is_the_same_log(tmp_path):
    flags = tables(tmp_path, log(400))
    (tmp_path / "out.scratch").mkdir()  # what a killed run leaves
    (tmp_path / "out.scratch/rows-0.arrow").write_text("old")
    run = prepare(*flags, "--shard_rows=150")
    assert run.returncode == 0, run.stderr
    assert not (tmp_path / "out.scratch").exists()
    assert all(f"{bar}: 100%" in run.stderr for bar in ("read", "order", "write"))  # by rows
    sharded = Timelines.open(tmp_path / "out")
    assert prepare(*flags[:-1], f"--workdir={tmp_path / 'whole'}").returncode == 0
    whole = Timelines.open(tmp_path / "whole")
    assert (len(sharded.manifest["shards"]), "shards" in whole.manifest) == (5, False)  # 400 rows in four of 150
    assert sharded.items.equals(whole.items)
    order = sharded.users["user_id"].arg_sort()
    for user, at in enumerate(order):
        for name in ("item", "timestamp_ms", "play_ms", "feedback", "dwell"):
            found, expected = (
                getattr(log, name)[log.offsets[u] : log.offsets[u + 1]] for log, u in ((sharded, at), (whole, user))
            )
            np.testing.assert_array_equal(found, expected)


def test_without_apache_beam_its_runner_is_refused(tmp_path):
    run = prepare(*tables(tmp_path, log()), "--runner=DirectRunner")
    if importlib.util.find_spec("apache_beam"):
        assert run.returncode == 0
    else:
        assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
        assert "--runner=DirectRunner: needs apache-beam" in run.stderr


def test_a_folder_of_other_files_is_never_overwritten(tmp_path):
    flags = tables(tmp_path, log())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    run = prepare(*flags)
    assert run.returncode == 2
    assert "holds other files" in last_line(run)
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"


def test_a_bad_row_stops_the_run_or_is_set_aside(tmp_path):
    flags = tables(tmp_path, log().with_columns(play_ms=pl.col("play_ms") - 600))
    run = prepare(*flags)
    assert run.returncode == 3
    assert last_line(run).startswith(
        f"data.prepare: {tmp_path}/events.parquet: row 1, column play_ms: '-600' is below 0"
    )
    assert not (tmp_path / "out").exists()
    # Two rows of 40 are 5%.
    run = prepare(*flags, "--quarantine")
    assert run.returncode == 3
    assert (
        "2 of 40 rows (5.0%) are bad, more than --max_quarantine=1%; "
        "most often column play_ms: '-600' is below 0 (2 rows)"
    ) in last_line(run)
    assert not (tmp_path / "out").exists()
    run = prepare(*flags, "--quarantine", "--max_quarantine=5%")
    assert run.returncode == 0, run.stderr
    assert "dropped                   2  quarantined" in run.stdout
    assert pl.read_csv(tmp_path / "out/quarantine.csv")["row"].to_list() == [1, 2]
    assert Timelines.open(tmp_path / "out").manifest["counts"]["dropped"]["quarantined"] == 2


@pytest.mark.parametrize(
    ("flags", "status", "told"),
    [
        (["--data="], 2, "--data is required"),
        (["--workdir="], 2, "--workdir is required"),
        (["--data=nowhere"], 3, "nowhere/events.parquet: no such file"),
        (["--config.valid_start=soon"], 2, "--config.valid_start=soon: no time"),
        (["--config.valid_start=2050-01-01"], 3, "--config.valid_start"),
        (["--config.test_share=10"], 2, "--config.test_share=10: no share of the log between 0 and 1"),
        (["--config.test_share=0.9"], 2, "leave nothing to learn from"),
        (["--download"], 2, "no download for --dataset=tables"),
        (["--dataset=movies"], 2, "--dataset"),
        (["--config.min_item_count=-1"], 2, "--config.min_item_count=-1: no number of events"),
        (["--max_quarantine=all"], 2, "--max_quarantine=all: no share"),
    ],
)
def test_mistakes_get_one_line_and_a_status(tmp_path, flags, status, told):
    run = prepare(*tables(tmp_path, log()), *flags)
    assert run.returncode == status
    assert told in last_line(run)
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_dataset_of_the_config_that_nobody_knows_is_one_line(tmp_path):
    run = prepare("--config.dataset=movies", f"--data={tmp_path}", f"--workdir={tmp_path / 'out'}")
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "data.prepare: --config.dataset: no dataset 'movies'; there are tables, kuairand_pure" in run.stderr


def test_boundaries_can_be_given(tmp_path):
    flags = tables(tmp_path, log())
    run = prepare(*flags, "--config.valid_start=2022-04-15T05:20:10", "--config.test_start=2022-04-15T05:20:20Z")
    assert run.returncode == 0, run.stderr
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert [metrics[f"events/{split}"] for split in ("train", "valid", "test")] == [10, 10, 20]


def test_a_row_dated_after_now_is_named_and_one_dated_long_ago_does_not_empty_a_split(tmp_path):
    times = log()["timestamp_ms"].to_list()
    flags = tables(tmp_path, log().with_columns(timestamp_ms=pl.Series([10**12, *times[1:-1], 4 * 10**12])))
    assert "row 40, column timestamp_ms: '4000000000000' is above 20" in last_line(prepare(*flags))
    run = prepare(*flags, "--quarantine", "--max_quarantine=5%")
    assert run.returncode == 0, run.stderr
    assert "with 1 before it ('u0' on 'i0' at 2001-09-09T01:46:40Z) and 38 after it" in run.stdout
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    # 80% of 39 events are 31.2, 90% are 35.1: the first times with as many before them are the 33rd and the 37th.
    assert [metrics[f"events/{split}"] for split in ("train", "valid", "test")] == [32, 4, 3]


def test_what_is_not_read_and_what_looks_wrong_is_said(tmp_path):
    whole = log()
    seconds = whole.with_columns(
        pl.col("play_ms") // 1000, duration_ms=pl.lit(30_000), dislikes=pl.lit(1), playMs=pl.lit(5), remark=pl.lit("x")
    )
    flags = tables(tmp_path, seconds)
    pl.DataFrame({"item_id": [f"i{i}" for i in range(7)], "author": ["a", "b", "a", "b", "a", "b", "a"]}).write_parquet(
        tmp_path / "items.parquet"
    )
    said = prepare(*flags).stdout.splitlines()
    assert "events.parquet: read user_id, item_id, timestamp_ms, play_ms, duration_ms" in said
    assert "events.parquet: ignored dislikes (did you mean dislike?), playMs, remark" in said
    assert "items.parquet: categories author (did you mean creator_id?)" in said
    warnings = [line for line in said if line.startswith("warning: ")]
    assert warnings[0].startswith("warning: 99% of plays last at most 0.019 seconds: is play_ms in seconds?")
    assert warnings[1].startswith("warning: the median play lasts 0.0003333 times as long as its item")  # 10 of 30,000
    assert len(warnings) == 2
    # The report shows them too.
    manifest = Timelines.open(tmp_path / "out").manifest
    assert [f"warning: {warning}" for warning in manifest["warnings"]] == warnings
    assert set(manifest["columns"]) <= set(said)


def test_a_partitioned_csv_with_a_schema_is_the_same_log(tmp_path):
    """Ratings, seconds and names of its own, day by day: the timelines are those of the plain Parquet of the events."""
    whole = log(60).with_columns(
        pl.col("timestamp_ms") + pl.int_range(60) * 3_600_000,  # over three days
        play_ms=pl.when(pl.int_range(60) % 7 > 0).then("play_ms"),
        like=(pl.int_range(60) % 5 >= 3).cast(pl.Int8),
        dislike=(pl.int_range(60) % 5 == 0).cast(pl.Int8),
    )
    (tmp_path / "plain").mkdir()
    flags = tables(tmp_path / "plain", whole)
    theirs = whole.select(
        uid="user_id",
        video="item_id",
        at=pl.from_epoch(pl.col("timestamp_ms") // 1000).dt.strftime("%d.%m.%Y %H:%M:%S"),
        seconds=pl.col("play_ms") / 1000,
        stars=pl.int_range(60) % 5 + 1,
        remark=pl.lit('a; "b"\nc'),
        day=pl.from_epoch(pl.col("timestamp_ms") // 1000).dt.strftime("%Y-%m-%d"),
    )
    for (day,), rows in theirs.partition_by("day", as_dict=True).items():
        folder = tmp_path / f"hive/events/day={day}"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text(rows.drop("day").write_csv(separator=";"))
    schema = """
    events:
      user_id: uid
      item_id: video
      timestamp_ms: {column: at, format: "%d.%m.%Y %H:%M:%S", zone: UTC}
      play_ms: {column: seconds, unit: s}
      like: stars >= 4
      dislike: stars <= 1
    """
    assert prepare(*flags).returncode == 0
    hive = ("--config=configs/data.py:tables", f"--data={tmp_path}/hive", f"--workdir={tmp_path}/hive-out")
    (tmp_path / "schema.yaml").write_text(schema)
    run = prepare(*hive, f"--schema={tmp_path}/schema.yaml")
    assert run.returncode == 0, run.stderr
    assert "events: ignored remark, day" in run.stdout
    expected, made = Timelines.open(tmp_path / "plain/out"), Timelines.open(tmp_path / "hive-out")
    for name in ("item", "timestamp_ms", "play_ms", "feedback", "dwell", "offsets", "valid_start", "test_start"):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))
    assert made.users.equals(expected.users)
    # The same file elsewhere is the same recipe, another schema is another.
    (tmp_path / "hive/schema.yaml").write_text(schema)
    assert "complete already" in prepare(*hive).stdout
    (tmp_path / "hive/schema.yaml").write_text(schema.replace(">= 4", "== 5"))
    assert prepare(*hive).returncode == 2
    assert "leave the flag out" in last_line(prepare("--data=x", "--workdir=y", "--schema=z"))


def test_help_loads_no_array_library():
    code = "import sys, data.prepare; print([m for m in ('numpy', 'polars', 'jax', 'tensorflow') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "[]", run.stderr
    assert "--quarantine" in prepare("--help").stdout.replace("[no]", "")
