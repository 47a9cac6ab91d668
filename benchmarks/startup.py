"""Seconds until something happens: --help of every command, an index without TensorFlow, a training's first step.

  python -m benchmarks.startup --data=TIMELINES --dataset=demo

A training is started twice in an empty folder, the first time with an empty cache of compiled programs, and ended once
its first step is in metrics.jsonl. CPU seconds are those of all threads until then: another load on the
machine does not lengthen them.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.waiting import commands, first_step, seconds_of
from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", "", "Timelines to train on; without them no training is started.")
_DATASET = flags.DEFINE_string("dataset", "demo", "Name of their log in configs/.")
_TRAININGS = flags.DEFINE_list("trainings", ["retrieval", "ranking", "satisfaction"], "Stages that are started.")
_HELP = flags.DEFINE_boolean("every_help", True, "Whether --help of all commands is timed; else of one.")

_INDEX = """
import numpy as np
from retrieval.export import index
vectors = np.random.default_rng(0).normal(size=(1_000, 16)).astype(np.float32)
index.build(vectors, vectors[:10], k=10).search(vectors[:10], 10)
"""
_WITH_TENSORFLOW = "import scann\n" + _INDEX


def _report(
    what: str, ours: float, peer: float | None = None, *, against: str = "", note: str = "", own: bool = False
) -> None:
    print(
        f"{what:<60} {ours:>7.2f} s" + (f"   {against}: {peer:.2f} s" if peer else "") + (f"   {note}" if note else "")
    )
    record.hand_over(record.Row(what, "s", ours, peer, against=against, less_is_better=True, note=note, own=own))


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
    _report(what, second, first, against="first start, nothing compiled", note=f"{cpu:.1f} s of CPU", own=True)


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
