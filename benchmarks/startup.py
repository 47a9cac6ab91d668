"""Seconds until something happens: --help of every command, an index without TensorFlow, a training's first step.

  python -m benchmarks.startup --data=TIMELINES --dataset=demo

A training is started twice in an empty folder, the first time with an empty cache of compiled programs, and ended once
its first step is in metrics.jsonl. CPU seconds are those of all threads until then: another load on the
machine does not lengthen them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks import record
from runtime import app
from runtime.errors import UsageError
from runtime.paths import define_path

_DATA = define_path("data", "", "Timelines to train on; without them no training is started.")
_DATASET = flags.DEFINE_string("dataset", "demo", "Name of their log in configs/.")
_TRAININGS = flags.DEFINE_list("trainings", ["retrieval", "ranking", "satisfaction"], "Stages that are started.")
_HELP = flags.DEFINE_boolean("every_help", True, "Whether --help of all commands is timed; else of one.")

_POLL_SECONDS = 0.01
_LIMIT_SECONDS = 300.0

_INDEX = """
import numpy as np
from retrieval.export import index
vectors = np.random.default_rng(0).normal(size=(1_000, 16)).astype(np.float32)
index.build(vectors, vectors[:10], k=10).search(vectors[:10], 10)
"""
_WITH_TENSORFLOW = "import scann\n" + _INDEX


def commands() -> list[str]:
    """The modules of the checkout that have flags."""
    files = [file for package in app.ROOT.glob("*/__init__.py") for file in package.parent.rglob("*.py")]
    names = [
        file.relative_to(app.ROOT).with_suffix("") for file in files if "\n    app.run(main" in file.read_text("utf-8")
    ]
    return sorted(".".join(name.parts).removesuffix(".__main__") for name in names)


def seconds_of(*words: str) -> float:
    """Of a Python process from start to end; UsageError with its last line where it fails."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=app.ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode and "--help" not in words:  # absl's --help ends with 1
        raise UsageError(f"{' '.join(words)[:60]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return seconds


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
            return time.perf_counter() - begin, _cpu_seconds(process.pid)
        finally:
            process.kill()
            process.wait()


def _cpu_seconds(process_id: int) -> float:
    # utime and stime, the 14th and 15th field; a name in parentheses stands before the 3rd. 0 where there is no /proc.
    path = Path(f"/proc/{process_id}/stat")
    fields = path.read_text().rpartition(")")[2].split() if path.exists() else ["0"] * 13
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _report(what: str, ours: float, peer: float | None = None, *, against: str = "", note: str = "") -> None:
    print(
        f"{what:<60} {ours:>7.2f} s" + (f"   {against}: {peer:.2f} s" if peer else "") + (f"   {note}" if note else "")
    )
    record.hand_over(record.Row(what, "s", ours, peer, against=against, less_is_better=True, note=note))


def _help() -> None:
    found = commands() if _HELP.value else ["retrieval.train"]
    times = {module: seconds_of("-m", module, "--help") for module in found}
    slowest = max(times, key=times.__getitem__)
    _report(f"--help, median of {len(times)} commands", statistics.median(times.values()))
    _report(f"--help, the slowest of them: {slowest}", times[slowest])


def _index() -> None:
    def best(code: str) -> float:
        return min(seconds_of("-c", code) for _ in range(2))

    _report("a process that builds and searches an index", best(_INDEX), best(_WITH_TENSORFLOW), against="import scann")


def _training(stage: str, cache: Path) -> None:
    words = [f"--config=configs/{stage}.py:{_DATASET.value}", f"--data={Path(_DATA.value).absolute()}"]
    (first, _), (second, cpu) = (first_step(f"{stage}.train", words, cache=cache) for _ in range(2))
    what = f"{stage}.train, second start to its first step"
    _report(what, second, first, against="first start, nothing compiled", note=f"{cpu:.1f} s of CPU")


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    _help()
    _index()
    if not _DATA.value:
        return
    with tempfile.TemporaryDirectory() as cache:
        for stage in _TRAININGS.value:
            _training(stage, Path(cache))


if __name__ == "__main__":
    app.run(main)
