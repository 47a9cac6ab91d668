"""Python processes: what they print, and how long they take until they have done something."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from runtime import app
from runtime.errors import UsageError

_POLL_SECONDS = 0.01
_LIMIT_SECONDS = 300.0


def commands() -> list[str]:
    """The modules of the checkout that have flags."""
    files = [file for package in app.ROOT.glob("*/__init__.py") for file in package.parent.rglob("*.py")]
    names = [
        file.relative_to(app.ROOT).with_suffix("") for file in files if "\n    app.run(main" in file.read_text("utf-8")
    ]
    return sorted(".".join(name.parts).removesuffix(".__main__") for name in names)


def printed(*words: str, what: str) -> str:
    """What `python words` prints, run in the checkout. Errors: UsageError, `what` and its last line, where it fails."""
    done = subprocess.run([sys.executable, *words], cwd=app.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise UsageError(f"{what}: {last}")
    return done.stdout


def seconds_of(*words: str) -> float:
    """Of `python words` from start to end. Errors: as `printed`."""
    begin = time.perf_counter()
    printed(*words, what=" ".join(words)[:60])
    return time.perf_counter() - begin


def first_step(module: str, words: Sequence[str], *, cache: Path) -> tuple[float, float]:
    """(seconds, CPU seconds) until the training `module` has made a step."""
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "stderr", "w+", encoding="utf-8") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words, f"--workdir={folder}/run"],
            cwd=app.ROOT,
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            while not any(log.stat().st_size for log in Path(folder).rglob("metrics.jsonl")):
                if process.poll() is not None:
                    said.seek(0)
                    raise UsageError((said.read().strip().splitlines() or [f"{module}: no step was made"])[-1])
                if time.perf_counter() - begin > _LIMIT_SECONDS:
                    raise UsageError(f"{module}: no step after {_LIMIT_SECONDS:.0f} s")
                time.sleep(_POLL_SECONDS)
            return time.perf_counter() - begin, cpu_seconds(process.pid)
        finally:
            process.kill()
            process.wait()


def cpu_seconds(process_id: int) -> float:
    """Of a running process: those of all its threads, in user and system mode."""
    # utime and stime, the 14th and 15th field; a name in parentheses stands before the 3rd. 0 where there is no /proc.
    path = Path(f"/proc/{process_id}/stat")
    fields = path.read_text().rpartition(")")[2].split() if path.exists() else ["0"] * 13
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
