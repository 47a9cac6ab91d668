"""Events a second and peak memory of data.prepare on made-up logs of growing size.

  python -m benchmarks.preparation_speed --workdir=DIR [--events=1000000 --events=10000000] [--csv] [--text_ids]

Each log is written into --workdir first, as a folder of files in order of time, and removed with its timelines once it
is measured. `python -m data.prepare` then runs as a process of its own; its peak is what the operating system says it
held at once, pages of mapped files included. Where others use the machine, events a second of processor time tell more
than events a second. Users have a hundred events on average, items fifty, both skewed.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from benchmarks.shared import record
from runtime import app, cores, table
from runtime.paths import define_path

if TYPE_CHECKING:
    import polars as pl

_WORKDIR = define_path("workdir", None, "Folder for logs and timelines while they are measured.", required=True)
_EVENTS = flags.DEFINE_multi_integer("events", [1_000_000, 3_000_000], "Events; once for each row of the table.")
_CSV = flags.DEFINE_bool("csv", False, "Logs as CSV instead of Parquet.")
_TEXT_IDS = flags.DEFINE_bool("text_ids", False, "Ids like u0001234 instead of numbers.")
_CODE = define_path("code", "", "Another checkout of Heed whose data.prepare runs on the same logs too, after ours.")

PART = 5_000_000  # events a file
START_MS, SPAN_MS = 1_700_000_000_000, 30 * 86_400_000
_MEASURED = """
import resource, subprocess, sys, time
begin = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""


def part(number: int, *, events: int, total: int, text_ids: bool) -> "pl.DataFrame":
    """The events of one file: rows [number · PART, number · PART + events) of a log of `total`, in order of time."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng([total, number])
    users, items = max(2, total // 100), max(2, total // 50)
    duration_ms = rng.integers(5_000, 120_000, events, dtype=np.int32)
    frame = pl.DataFrame(
        {
            "user_id": (rng.random(events) ** 2 * users).astype(np.int64),
            "item_id": (rng.random(events) ** 3 * items).astype(np.int64),
            "timestamp_ms": START_MS + SPAN_MS * (number * PART + np.arange(events)) // total,
            "play_ms": (rng.random(events) ** 2 * duration_ms).astype(np.int32),
            "duration_ms": duration_ms,
            "click": rng.random(events) < 0.4,
            "like": rng.random(events) < 0.03,
            "dislike": rng.random(events) < 0.01,
        }
    ).with_columns(pl.col(pl.Boolean).cast(pl.Int8))
    if text_ids:
        frame = frame.with_columns(
            user_id=pl.format("u{}", pl.col("user_id").cast(pl.String).str.zfill(8)),
            item_id=pl.format("i{}", pl.col("item_id").cast(pl.String).str.zfill(8)),
        )
    return frame


def write_log(folder: Path, total: int) -> None:
    """Writes a log of `total` events."""
    (folder / "events").mkdir(parents=True)
    for number in range(-(-total // PART)):
        events = min(PART, total - number * PART)
        frame = part(number, events=events, total=total, text_ids=_TEXT_IDS.value)
        path = folder / "events" / f"part-{number}"
        frame.write_csv(path.with_suffix(".csv")) if _CSV.value else frame.write_parquet(path.with_suffix(".parquet"))


def measured(log: Path, timelines: Path, code: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak bytes of a checkout's data.prepare. Errors: AssertionError where it fails."""
    shutil.rmtree(timelines, ignore_errors=True)
    flags_ = ("--config=configs/data.py:tables", f"--data={log}", f"--workdir={timelines}")
    command = [sys.executable, "-m", "data.prepare", *flags_]
    run = [sys.executable, "-c", _MEASURED, *command]
    # Checksums of another run would spare this one the reading.
    environment = {**os.environ, "PYTHONPATH": str(code), "XDG_CACHE_HOME": str(timelines.with_name("cache"))}
    done = subprocess.run(run, cwd=code, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    status, seconds, processor, peak = map(float, done.stdout.split())
    if status:
        raise AssertionError(f"{' '.join(command)} ended with status {status:.0f}")
    return seconds, processor, peak


def _hand_over(total: int, rate: float, mib: float, first: tuple[int, float] | None, *, note: str) -> None:
    what, against = f"data.prepare of {total:,} events", f"{first[0]:,} events" if first else ""
    of_first = first[1] if first else None
    record.hand_over(record.Row(what, "events/s", rate, of_first, against=against, note=note, own=True))
    record.hand_over(record.Row(f"{what}: peak memory", "MiB", mib, less_is_better=True))


def main(argv: Sequence[str]) -> None:
    """Writes, measures, removes, and prints a row a log."""
    del argv
    workdir = Path(_WORKDIR.value).absolute()
    codes = {"": app.ROOT} | ({f", {_CODE.value}": Path(_CODE.value).absolute()} if _CODE.value else {})
    rows: dict[str, list[str]] = {}
    first: tuple[int, float] | None = None  # events, and events a second, of the smallest log
    for total in _EVENTS.value:
        log, timelines = workdir / f"log-{total}", workdir / f"timelines-{total}"
        shutil.rmtree(log, ignore_errors=True)
        begin = time.perf_counter()
        write_log(log, total)
        size = sum(file.stat().st_size for file in log.rglob("*.*"))
        print(f"{total:,} events written in {time.perf_counter() - begin:.0f} s, {size / 2**20:,.0f} MiB", flush=True)
        for name, code in codes.items():
            seconds, processor, peak = measured(log, timelines, code)
            rows[f"{total:,}{name}"] = [
                f"{seconds:,.1f}",
                f"{total / seconds:,.0f}",
                f"{total / processor:,.0f}",
                f"{peak / 2**20:,.0f}",
                f"{peak / total:,.0f}",
            ]
            print(f"{total:,}{name}: {', '.join(rows[f'{total:,}{name}'])}", flush=True)
            if not name:
                _hand_over(total, total / seconds, peak / 2**20, first, note=f"{total / processor:,.0f} a CPU second")
                first = first or (total, total / seconds)
            shutil.rmtree(timelines)
        shutil.rmtree(log)
    kind = ("CSV" if _CSV.value else "Parquet") + (", ids of text" if _TEXT_IDS.value else "")
    print(f"data.prepare of {kind}, {cores.count()} cores")
    print(table.text("events", ["seconds", "events/s", "a processor second", "peak MiB", "bytes an event"], rows))


if __name__ == "__main__":
    app.run(main)
