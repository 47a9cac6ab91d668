"""A stage as a process of its own, its output in a log, never left behind."""

import ctypes
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.graph.sources import ROOT
from runtime import cores as machine
from runtime.errors import UsageError

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class Process:
    """`python arguments` with all that it prints in `log`: a file, which outlives us, as a pipe would not.

    It inherits `lock`: while it lives, the run folder is in use. It runs on `cores`, and `settings` go into its
    environment.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        lock: int | None,
        settings: Mapping[str, str],
        cores: Sequence[int] = (),
    ) -> None:
        self._log, self._began, self._shown = log, time.monotonic(), log.stat().st_size if log.exists() else 0
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env={"PYTHONUNBUFFERED": "1", **os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[] if lock is None else [lock],
                preexec_fn=functools.partial(_begin, cores),
            )

    def ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def show(self) -> None:
        """Copies what it has printed since the last time to our own output."""
        if self._log.stat().st_size > self._shown:
            with open(self._log, "rb") as log:
                log.seek(self._shown)
                sys.stdout.flush()
                sys.stdout.buffer.write(printed := log.read())
                sys.stdout.buffer.flush()
            self._shown += len(printed)

    def terminate(self) -> None:
        """Tells it to save what it has and to end."""
        self._process.terminate()

    def close(self) -> tuple[int, float]:
        """Waits for its end: exit status, 128 + n where signal n ended it, and seconds; shortens its log."""
        status = self._process.wait()
        printed = self._log.read_bytes()
        self._log.write_bytes(re.sub(rb"[^\n]*\r(?!\n)", b"", printed))  # of a progress bar the last state stays
        return 128 - status if status < 0 else status, time.monotonic() - self._began


def compiled_in(cache: Path) -> dict[str, str]:
    """Settings that keep compiled programs in `cache`: the second model of a sweep does not compile what the first has.

    The user's own settings stand.
    """
    found = {
        "JAX_COMPILATION_CACHE_DIR": str(cache.resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return {name: value for name, value in found.items() if name not in os.environ}


def as_on_this_terminal() -> dict[str, str]:
    """Settings by which progress bars are drawn into the log as they would be on our terminal, where we have one."""
    if not sys.stdout.isatty():
        return {}
    size = shutil.get_terminal_size()
    return {"HEED_TERMINAL": "1", "COLUMNS": str(size.columns), "LINES": str(size.lines)}


@dataclass(frozen=True)
class Share:
    """What a stage has of the machine: settings of its environment, and cores, all of them where none are named."""

    settings: Mapping[str, str] = field(default_factory=dict)
    cores: Sequence[int] = ()


def shares(jobs: int) -> list[Share]:
    """The machine for `jobs` stages side by side: a GPU of its own for each, where there are any, and as many cores.

    Errors: UsageError where there are GPUs, but fewer.
    """
    if jobs == 1:
        return [Share(as_on_this_terminal())]
    gpus = _gpus()
    if gpus and len(gpus) < jobs:
        raise UsageError(
            f"--jobs={jobs}: a stage each for {len(gpus)} GPU(s); give at most that, or CUDA_VISIBLE_DEVICES= for none"
        )
    return [
        Share({"CUDA_VISIBLE_DEVICES": gpus[n]} if gpus else {}, cores) for n, cores in enumerate(machine.shares(jobs))
    ]


def _gpus() -> list[str]:
    # Those that the user lets us see, or those that the driver lists.
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), visible.split(",")))  # as CUDA reads it
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(n) for n, line in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]


def commit() -> str:
    """The commit of the checkout, `+` after it where files differ from it; "" where it is no checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    if not shutil.which("git") or not (found := git("rev-parse", "HEAD")):
        return ""
    return found + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def _begin(cores: Sequence[int]) -> None:
    # In the new process, before Python. A stage whose pipeline was killed would go on writing where the next pipeline
    # writes. Linux only; elsewhere the lock makes the next pipeline wait.
    if sys.platform == "linux":
        if cores:
            os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
