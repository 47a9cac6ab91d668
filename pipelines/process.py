"""Runs one stage as a process of its own, on this terminal, and never leaves it behind."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def command(module: str, *, config: str, flags: Sequence[str], folder: Path) -> list[str]:
    """The command line of a stage, as a user would type it (with this interpreter)."""
    given = [f"--config={config}"] if config else []
    return [sys.executable, "-m", module, *given, *flags, f"--workdir={folder}"]


def run_to_end(arguments: Sequence[str], *, cache: Path, lock: int) -> int:
    """Runs a process to its end and returns its exit status (128 + n where signal n ended it).

    Its output goes where ours goes, so progress bars stay alive. It inherits `lock`: while it lives, the workdir is in
    use. `cache` keeps compiled programs, so that the second model of a sweep does not compile what the first has.
    """
    environment = {
        "JAX_COMPILATION_CACHE_DIR": str(cache.resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        **os.environ,
    }
    process = subprocess.Popen(arguments, env=environment, pass_fds=(lock,), preexec_fn=_end_with_parent)
    try:
        status = process.wait()
    except BaseException:  # Ctrl-C or SIGTERM: the stage saves what it has, then we go
        process.terminate()
        process.wait()
        raise
    return 128 - status if status < 0 else status


def _end_with_parent() -> None:
    # A stage whose pipeline was killed would go on writing where the next pipeline writes. Linux only; elsewhere the
    # lock makes the next pipeline wait.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
