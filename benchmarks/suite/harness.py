"""Runs benchmarks one after the other, each in a process of its own, and keeps what came of each.

One that fails, or is not over in time, has its one line; the others run.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.shared import record
from benchmarks.suite.listed import Benchmark
from runtime import cores
from runtime.app import ROOT


def run(benchmark: Benchmark, *, quick: bool, log: Mapping[str, str]) -> dict[str, Any]:
    """What came of it: `name`, `command`, `cores`, `rows`, `seconds`, `peak_mib`, `failure` ("" where there is none).

    log: what `{data}`, `{config}` and `{workdir}` stand for; `command` names no folder of this machine.
    """
    flags = benchmark.quick if quick else benchmark.flags
    command = [sys.executable, "-m", benchmark.module, *(flag.format(**log) for flag in flags)]
    shown = (flag.format(**{**log, "data": "TIMELINES", "workdir": "DIR"}) for flag in flags)
    number = min(benchmark.cores or cores.count(), cores.count())
    with tempfile.TemporaryDirectory() as folder, _on_cores(number):
        rows = Path(folder) / "rows"
        begin = time.perf_counter()
        ended = finished([*command, f"--json={rows}"], seconds=60 * benchmark.minutes)
        seconds = time.perf_counter() - begin
        found = record.read(rows.read_text(encoding="utf-8")) if rows.exists() else []
    return {
        "name": benchmark.name,
        "command": shlex.join(["python", "-m", benchmark.module, *shown]),
        "cores": number,
        "rows": [{**vars(row), "ratio": row.ratio} for row in found],
        "seconds": round(seconds, 1),
        **ended,
    }


def finished(command: Sequence[str], *, seconds: float, quiet: bool = False) -> dict[str, Any]:
    """Runs `command` in the checkout: `peak_mib` of memory, and `failure`, one line or nothing.

    Its output is ours, where `quiet` errors and progress alone. Past `seconds` it is ended, with all that it started.
    """
    out = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, start_new_session=True)
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.start()
    last = b""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            last = line.strip() or last
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()
        process.returncode = 0  # it has been waited for
    failure = ""
    if late.is_set():
        failure = f"not over after {seconds / 60:g} minutes"
    elif status:
        code = os.waitstatus_to_exitcode(status)
        failure = f"ended by signal {-code}" if code < 0 else last.decode(errors="replace") or f"exit status {code}"
    return {"peak_mib": round(usage.ru_maxrss / 1024), "failure": failure}  # Linux counts KiB


@contextlib.contextmanager
def _on_cores(number: int) -> Iterator[None]:
    # What is started has as many: XLA and PyTorch count them for their threads.
    before = cores.usable()
    if number == len(before):
        yield
        return
    os.sched_setaffinity(0, before[-number:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
