"""doit as the engine: decides which stages run, in which order, and remembers each as soon as it has ended."""

import hashlib
import json
import runpy
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from doit.control import TaskControl
from doit.dependency import Dependency, get_file_md5
from doit.exceptions import BaseFail, TaskFailed
from doit.runner import Runner
from doit.task import Stream, Task, dict_to_task
from doit.tools import config_changed

from pipelines.process import command, run_to_end
from pipelines.sources import ROOT, imported_files
from pipelines.stage import Stage
from pipelines.state import begin, finished_stages, has_begun
from runtime.errors import UsageError

FELL_SHORT = 4  # exit status of a stage whose gate the model has not passed


class Engine:
    """The stages of one workdir; `folder` holds the state, `lock` is held by every stage while it runs."""

    def __init__(self, stages: Sequence[Stage], *, folder: Path, lock: int) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._recipes = {stage.name: _recipe(stage) for stage in stages}
        self._folder, self._lock = folder, lock
        self._finished = finished_stages(folder / "finished.json")
        self._exit_status = 0

    def plan(self) -> Iterator[tuple[str, bool]]:
        """(stage, whether a run would run it), in order."""
        renewed: set[Path] = set()
        for task in self._tasks():
            stage = self._stages[task.name]
            up_to_date = self._finished.get_status(task, {}).status == "up-to-date"
            runs = not up_to_date or not renewed.isdisjoint(stage.inputs)
            renewed.update(stage.outputs if runs else ())
            yield stage.name, runs

    def run(self, names: Sequence[str], *, alone: bool, force: bool) -> int:
        """Runs the stages named and, unless `alone`, what they need; 0 or the exit status of the one that failed."""
        tasks = self._tasks(force=force)
        control = TaskControl(tasks)
        control.process(list(names))
        if alone:
            self._refuse_missing_inputs(names)
            for task in tasks:
                task.task_dep = [name for name in task.task_dep if name in names]
        runner = Runner(self._finished, _Reporter(self._finished), always_execute=force, stream=Stream(2))
        failed = runner.run_all(control.task_dispatcher()) != 0
        return self._exit_status or int(failed)

    def run_anyway(self, name: str) -> int:
        """Runs a stage on whatever is there of its inputs, and forgets it, so that the next run does it again."""
        self._finished.remove(name)
        self._finished.backend.dump()
        return self._process(self._stages[name])

    def _process(self, stage: Stage) -> int:
        arguments = command(stage.module, config=stage.config, flags=stage.flags, folder=stage.folder)
        print(f"  {' '.join(['python', *arguments[1:]])}", flush=True)
        return run_to_end(arguments, cache=self._folder / "compiled", lock=self._lock)

    def _tasks(self, *, force: bool = False) -> list[Task]:
        return [
            dict_to_task(
                {
                    "name": stage.name,
                    "actions": [(self._execute, [stage, force])],
                    "file_dep": [str(file) for file in stage.inputs],
                    "targets": [str(file) for file in stage.outputs],
                    "uptodate": [config_changed(self._recipes[stage.name])],
                    "io": {"capture": False},
                }
            )
            for stage in self._stages.values()
        ]

    def _refuse_missing_inputs(self, names: Sequence[str]) -> None:
        writers = {file: stage.name for stage in self._stages.values() for file in stage.outputs}
        for name in names:
            for file in self._stages[name].inputs:
                if not file.exists() and writers.get(file) not in names:
                    raise UsageError(f"--only={name}: {file} is missing; run without --only, which makes it first")

    def _execute(self, stage: Stage, force: bool) -> TaskFailed | None:
        inputs = {str(file): get_file_md5(str(file)) for file in stage.inputs}
        work = json.dumps([self._recipes[stage.name], inputs], sort_keys=True)
        digest = hashlib.sha256(work.encode()).hexdigest()
        record = self._folder / f"{stage.name.replace('/', '.')}.begun.json"
        if force or not has_begun(record, digest):
            _clear(stage)  # what is there is of other work
            begin(record, digest)
        self._exit_status = self._process(stage)
        if self._exit_status == FELL_SHORT:
            return _FellShort("the model falls short, as said above; what would serve it is left out")
        if self._exit_status:
            return TaskFailed(f"exit status {self._exit_status}; its own message is above")
        missing = [str(file) for file in stage.outputs if not file.exists()]
        return TaskFailed(f"ended well but did not write {', '.join(missing)}") if missing else None


class _FellShort(TaskFailed):
    # Nothing that the same command could mend.
    pass


class _Reporter:
    # doit calls these by name. Each stage is saved as it ends, so that a kill loses none.

    def __init__(self, finished: Dependency) -> None:
        self._finished = finished
        self._position = 0

    def initialize(self, tasks: dict[str, Task], selected: Sequence[str]) -> None:
        self._total = len(selected)

    def get_status(self, task: Task) -> None:
        self._position += 1

    def execute_task(self, task: Task) -> None:
        self._started = time.monotonic()
        print(f"[{self._position}/{self._total}] {task.name}", flush=True)

    def skip_uptodate(self, task: Task) -> None:
        print(f"[{self._position}/{self._total}] {task.name}: up to date", flush=True)

    def add_success(self, task: Task) -> None:
        print(f"  {time.monotonic() - self._started:.1f} s", flush=True)
        self._finished.backend.dump()

    def add_failure(self, task: Task, failure: BaseFail) -> None:
        reason = " ".join(failure.get_msg().split())
        remedy = "" if isinstance(failure, _FellShort) else "; the same command goes on from here"
        print(f"pipelines.run: stage {task.name} failed: {reason}{remedy}", file=sys.stderr)

    def runtime_error(self, message: str) -> None:
        print(message, flush=True)

    def complete_run(self) -> None:
        pass


def _recipe(stage: Stage) -> dict[str, Any]:
    # Everything a stage is made of but its input files. Values of a config count, not the file that holds them: a new
    # config in the same file changes no stage.
    arguments = command(stage.module, config=stage.config, flags=stage.flags, folder=stage.folder)[1:]
    code = {file: get_file_md5(str(ROOT / file)) for file in imported_files(stage.module)}
    return {"command": arguments, "config": _config_values(stage.config), "code": code}


def _config_values(config: str) -> Any:
    if not config:
        return None
    path, _, name = config.partition(":")
    return json.loads(runpy.run_path(str(ROOT / path))["get_config"](name).to_json_best_effort())


def _clear(stage: Stage) -> None:
    if stage.keeps_folder:
        for file in stage.outputs:
            file.unlink(missing_ok=True)
    else:
        shutil.rmtree(stage.folder, ignore_errors=True)
