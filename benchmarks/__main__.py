"""Runs the benchmarks of benchmarks/suite/listed.py and makes the page of them: RESULTS.md, and results.json beside it.

  make bench
  python -m benchmarks [--only=NAME,NAME] [--data=TIMELINES --dataset=kuairand_pure] [--quick --results=DIR]

Without --data on the synthetic feed `demo`, which is made first. Nothing else should run on the machine meanwhile. What
compares with PyTorch, faiss or hnswlib needs requirements-benchmarks.txt; without one of them its row says so.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from runtime import app
from runtime.paths import define_path

_ONLY = flags.DEFINE_list("only", [], "Run those alone whose name begins so; all by default.")
_QUICK = flags.DEFINE_boolean("quick", False, "In sizes that test the commands, and measure nothing.")
_DATA = define_path("data", "", "Timelines to train on, of the log --dataset, instead of the synthetic feed's.")
_DATASET = flags.DEFINE_string("dataset", "", "Name of that log in configs/; `demo` by default, `tiny` with --quick.")
_WORKDIR = define_path("workdir", "runs/bench", "For the synthetic feed, and for what benchmarks write meanwhile.")
_RESULTS = define_path("results", str(app.ROOT / "benchmarks"), "Where RESULTS.md and results.json go.")


def main(argv: Sequence[str]) -> None:
    """Runs, and writes after each."""
    del argv
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which ends the running benchmark too
    from benchmarks.suite import feed, harness
    from benchmarks.suite.listed import SUITE
    from benchmarks.suite.page import circumstances, page
    from runtime.artifact import write_json
    from runtime.errors import UsageError

    chosen = [one for one in SUITE if not _ONLY.value or one.name.startswith(tuple(_ONLY.value))]
    if not chosen:
        names = ", ".join(one.name for one in SUITE)
        raise UsageError(f"--only={','.join(_ONLY.value)}: no benchmark's name begins so; there are {names}")
    name = _DATASET.value or ("tiny" if _QUICK.value else "demo")
    data = _DATA.value or feed.timelines(name, Path(_WORKDIR.value))
    log = {"data": str(data), "config": name, "workdir": str(Path(_WORKDIR.value).absolute() / "written")}
    folder = Path(_RESULTS.value)
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"circumstances": circumstances(quick=_QUICK.value, log=name), "benchmarks": []}
    for number, one in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {one.name}", flush=True)
        results["benchmarks"].append(harness.run(one, quick=_QUICK.value, log=log))
        write_json(folder / "results.json", results)
        (folder / "RESULTS.md").write_text(page(results), encoding="utf-8")
    failed = [one["name"] for one in results["benchmarks"] if one["failure"]]
    if failed:
        print(f"failed, as the page says: {'; '.join(failed)}", file=sys.stderr)
    print(f"results: {folder / 'RESULTS.md'}")


if __name__ == "__main__":
    app.run(main)
