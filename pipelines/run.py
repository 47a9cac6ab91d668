"""Runs the graph of stages: each in its own process, skipped where nothing it depends on has changed.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo
    python -m pipelines.run --config=configs/pipeline.py:kuairand_pure --data=DIR --workdir=runs/kuairand

A stage depends on its command line, the values of its config, the source files that its module imports, and its input
files. The engine is doit, as a library. Killed at any point, the same command goes on: finished stages are skipped and
the interrupted one resumes in its folder, or starts afresh where what it depends on has changed meanwhile.

Where the pipeline has a gate and the model to be served falls short of it, the run ends there with exit status 4, with
the report of what was measured.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config

_CONFIG = define_config("configs/pipeline.py:demo", "Pipeline.")
_DATA = flags.DEFINE_string("data", "", "Folder of the logs, for a pipeline on real data.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder that gets one folder per stage, and report.html.")
_LIST = flags.DEFINE_boolean("list", False, "Say which stages there are and which would run, and run none.")
_ONLY = flags.DEFINE_list("only", [], "Run these stages alone: names, or their first part (train).")
_FORCE = flags.DEFINE_boolean("force", False, "Run stages that are up to date too, from the start.")


def main(argv: Sequence[str]) -> int:
    """Wires flags to the engine; returns the exit status of the stage that failed, or 0."""
    del argv
    # Here, so that --help stays fast.
    import signal
    import sys
    from pathlib import Path

    from pipelines.engine import FELL_SHORT, Engine
    from pipelines.stage import PIPELINE
    from pipelines.stages import stages
    from pipelines.state import locked
    from runtime.artifact import write_json
    from runtime.errors import UsageError
    from runtime.workdir import open_workdir

    config = _CONFIG.value
    if config.world and _DATA.value:
        raise UsageError(f"--data={_DATA.value}: the pipeline '{config.name}' makes its own data; leave --data out")
    if not config.world and not Path(_DATA.value or "-").is_dir():
        raise UsageError(f"--data={_DATA.value}: no such folder; '{config.name}' needs --data=DIR, its logs")

    identity = {"pipeline": config.name, "data": _DATA.value and str(Path(_DATA.value).resolve())}
    workdir = open_workdir(_WORKDIR.value, identity)
    state = workdir / ".pipeline"
    state.mkdir(exist_ok=True)
    graph = stages(config, data=_DATA.value, workdir=workdir)
    names = [s.name for s in graph]
    for wanted in _ONLY.value:
        if not any(_matches(name, wanted) for name in names):
            raise UsageError(f"--only={wanted}: no such stage; there are {', '.join(names)}")
    selected = [name for name in names if not _ONLY.value or any(_matches(name, wanted) for wanted in _ONLY.value)]

    with locked(state / "lock") as lock:
        write_json(workdir / PIPELINE, config.to_dict())
        engine = Engine(graph, folder=state, lock=lock)
        if _LIST.value:
            for name, runs in engine.plan():
                print(f"{'to run    ' if runs else 'up to date'}  {name}")
            return 0
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        status = engine.run(selected, alone=bool(_ONLY.value), force=_FORCE.value)
        # Of a model that is not to be served one wants to know all the more how it was measured.
        reported = status == FELL_SHORT and "report" in selected and engine.run_anyway("report") == 0
    if reported:
        print(f"not served; how it was measured: {workdir / 'report.html'}")
    if status == 0:
        print(workdir / "report.html" if "report" in selected else f"{len(selected)} stage(s) done: {workdir}")
    return status


def _matches(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(wanted + "/")


if __name__ == "__main__":
    app.run(main)
