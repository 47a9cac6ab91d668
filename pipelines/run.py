"""Runs the graph of stages: each in its own process, skipped where nothing it depends on has changed.

    python -m pipelines.run --config=configs/pipeline.py:demo --workdir=runs/demo
    python -m pipelines.run --config=configs/pipeline.py:tables --data=DIR --workdir=runs/mine

The log is prepared first; what it cannot carry (models that learn from dislikes, where nobody dislikes anything) is
left out of the plan then, which says so and what would have to be logged. --list shows the stages by what they are for.
Settings of stages: --config.stages.retrieval.num_epochs=3, see configs/pipeline.py.

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
_JOBS = flags.DEFINE_integer("jobs", 1, "Stages side by side, each on its share of cores and GPUs.", lower_bound=1)
_SCHEMA = define_path("schema", None, "What the columns of one's own log are, as data.prepare has it.")
_QUARANTINE = flags.DEFINE_boolean("quarantine", None, "Set bad rows of the log aside, as data.prepare does.")
_MAX_QUARANTINE = flags.DEFINE_string("max_quarantine", None, "With it: the largest share of bad rows, like 1%.")


def main(argv: Sequence[str]) -> int:
    """Wires flags to the engine; returns the exit status of the stage that failed, or 0."""
    del argv
    # Here, so that --help stays fast.
    import shlex
    import signal
    import sys
    from functools import partial
    from pathlib import Path

    from pipelines import listing, settings
    from pipelines.graph.engine import FELL_SHORT, Engine
    from pipelines.graph.records import COMMAND, locked
    from pipelines.planning import Planned, plan, positive_of, preparing
    from pipelines.registry import stages
    from runtime.artifact import write_json
    from runtime.errors import UsageError
    from runtime.workdir import open_workdir

    config = _CONFIG.value
    of_prepare = {"schema": _SCHEMA.value, "quarantine": _QUARANTINE.value, "max_quarantine": _MAX_QUARANTINE.value}
    for name, value in of_prepare.items():
        if value is not None and name not in config.stages.prepare:
            raise UsageError(f"--{name}: '{config.name}' is read in its own layout; leave the flag out")
        if value is not None:
            config.stages.prepare[name] = value
    if config.world and _DATA.value:
        raise UsageError(f"--data={_DATA.value}: the pipeline '{config.name}' makes its own data; leave --data out")
    if not config.world and not Path(_DATA.value or "-").is_dir():
        raise UsageError(f"--data={_DATA.value}: no such folder; '{config.name}' needs --data=DIR, its logs")
    data = Path(_DATA.value) if _DATA.value else None

    # What is wrong with these is told before anything is written.
    settings.check(config)
    asked = stages(config, data=data)
    positive_of(config)
    # One folder for NAME and NAME_full: the one goes on from what the other has trained.
    if _LIST.value and _WORKDIR.value and not Path(_WORKDIR.value).exists():  # to list leaves no folder behind
        workdir = Path(_WORKDIR.value)
    else:
        workdir = open_workdir(_WORKDIR.value, {"pipeline": config.name.removesuffix("_full")})

    def engine(planned: Planned, lock: int | None = None) -> Engine:
        as_typed = partial(settings.typed, config=config)
        return Engine(stages(planned.config, data=data), workdir=workdir, lock=lock, as_typed=as_typed)

    if _LIST.value:
        planned = plan(config, asked, workdir, only=_ONLY.value)
        reasons = dict(engine(planned).plan())
        shown = stages(planned.config, data=data)
        for line in (*listing.of_plan(shown, planned.left_out, fitted=planned.fitted), *listing.by_aim(shown, reasons)):
            print(line)
        return 0
    with locked(workdir) as lock:
        if not _ONLY.value:
            typed = [word for word in sys.argv[1:] if not word.startswith("--force")]
            write_json(workdir / COMMAND, shlex.join(["python", "-m", "pipelines.run", *typed]))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        first = [] if _ONLY.value else preparing(asked)
        if first and (status := engine(Planned(config), lock).run(first, force=_FORCE.value, of=len(asked))):
            return status
        planned = plan(config, asked, workdir, only=_ONLY.value)
        planned.write(workdir)
        graph = stages(planned.config, data=data)
        selected = planned.selected(_ONLY.value, [stage.name for stage in graph], [stage.name for stage in asked])
        if not _ONLY.value:
            for line in listing.of_plan(graph, planned.left_out, fitted=planned.fitted):
                print(line, flush=True)
        running = engine(planned, lock)
        status = running.run(selected, done=first, alone=bool(_ONLY.value), force=_FORCE.value, jobs=_JOBS.value)
        # Of a model that is not to be served one wants to know all the more how it was measured.
        reported = status == FELL_SHORT and "report" in selected and running.run_anyway("report") == 0
    if reported:
        print(f"not served; how it was measured: {workdir / 'report.html'}")
    if status == 0:
        print(workdir / "report.html" if "report" in selected else f"{len(selected)} stage(s) done: {workdir}")
    return status


if __name__ == "__main__":
    app.run(main)
