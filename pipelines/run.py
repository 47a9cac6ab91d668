"""Runs the graph of stages: each in its own process, skipped where nothing it depends on has changed.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo
    python -m pipelines.run --config=configs/pipeline.py:kuairand_pure --data=DIR --workdir=runs/kuairand

A stage depends on its flags, the values of its config, the code that its module imports, the versions of the packages
that this imports, and the content of its input files. Killed at any point, the same command goes on: finished stages
are skipped and the interrupted one resumes in its folder. What has another recipe by now is set aside, and comes back
where the old recipe does.

Where the pipeline has a gate and the model to be served falls short of it, what needs the served model is left out and
the exit status is 4, with the report of what was measured.
"""

from collections.abc import Sequence

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/pipeline.py:demo", "Pipeline.")
_DATA = define_path("data", "", "Folder of the logs, for a pipeline on real data.")
_WORKDIR = define_path("workdir", None, "Folder that gets one folder per stage, and report.html.")
_LIST = flags.DEFINE_boolean("list", False, "Say which stages there are, which would run and why, and run none.")
_ONLY = flags.DEFINE_list("only", [], "Run these stages alone: names, or their first part (train).")
_FORCE = flags.DEFINE_boolean("force", False, "Run stages that are up to date too, from the start.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Stages side by side, a GPU each where there are any.", lower_bound=1)


def main(argv: Sequence[str]) -> int:
    """Wires flags to the engine; returns the exit status of the stage that failed, or 0."""
    del argv
    # Here, so that --help stays fast.
    import shlex
    import signal
    import sys
    from pathlib import Path

    from pipelines.graph.engine import FELL_SHORT, Engine
    from pipelines.graph.records import COMMAND, locked
    from pipelines.graph.stage import PIPELINE
    from pipelines.registry import stages
    from runtime.artifact import write_json
    from runtime.errors import UsageError
    from runtime.workdir import open_workdir

    config = _CONFIG.value
    if config.world and _DATA.value:
        raise UsageError(f"--data={_DATA.value}: the pipeline '{config.name}' makes its own data; leave --data out")
    if not config.world and not Path(_DATA.value or "-").is_dir():
        raise UsageError(f"--data={_DATA.value}: no such folder; '{config.name}' needs --data=DIR, its logs")

    workdir = open_workdir(_WORKDIR.value, {"pipeline": config.name})
    graph = stages(config, data=Path(_DATA.value) if _DATA.value else None)
    names = [stage.name for stage in graph]
    for wanted in _ONLY.value:
        if not any(_matches(name, wanted) for name in names):
            raise UsageError(f"--only={wanted}: no such stage; there are {', '.join(names)}")
    selected = [name for name in names if not _ONLY.value or any(_matches(name, wanted) for wanted in _ONLY.value)]

    if _LIST.value:
        for name, reason in Engine(graph, workdir=workdir).plan():
            print(f"to run      {name}  ({reason})" if reason else f"up to date  {name}")
        return 0
    with locked(workdir) as lock:
        write_json(workdir / PIPELINE, config.to_dict())
        if not _ONLY.value:
            typed = [word for word in sys.argv[1:] if not word.startswith("--force")]
            write_json(workdir / COMMAND, shlex.join(["python", "-m", "pipelines.run", *typed]))
        engine = Engine(graph, workdir=workdir, lock=lock)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        status = engine.run(selected, alone=bool(_ONLY.value), force=_FORCE.value, jobs=_JOBS.value)
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
