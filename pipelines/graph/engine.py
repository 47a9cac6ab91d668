"""Brings the stages of a run folder up to date: those whose recipe has changed run, one by one or side by side.

A plain loop over a list that is in order already. A library for build graphs (doit stood here) asks whether files have
changed; to make it ask for code, configs and versions, and keep what it replaces, took more lines than the loop.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.graph import duration, process
from pipelines.graph.recipe import Recipe, difference, recipes, with_inputs
from pipelines.graph.records import STATE, Records, log_of
from pipelines.graph.stage import Stage
from runtime.errors import UsageError

FELL_SHORT = 4  # exit status of a stage whose gate the model has not passed
_AT_FAULT = (2, 3)  # exit statuses: the command or the data has to be mended before it ends otherwise
_STOPPED = 128  # exit statuses from here are of signals: nothing was wrong
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class _Running:
    stage: Stage
    process: process.Process
    record: dict[str, Any]
    place: int  # one of as many as stages run side by side


class Engine:
    """The stages of one run folder, each after those that write its inputs; `lock` is held by every one that runs.

    `as_typed` turns what a stage says into what a user of the pipeline would type.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        workdir: Path,
        lock: int | None = None,
        as_typed: Callable[[str, Stage], str] = lambda said, stage: said,
    ) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._recipes = recipes(stages)  # as of now: what a stage has run is asked when it starts and when it ends
        self._workdir, self._lock = workdir, lock
        self._as_typed, self._records = as_typed, Records(workdir)
        self._needs: dict[str, set[str]] = {}  # stage -> the stages that write its inputs
        for stage in stages:
            writers = (other for other in self._needs if any(self._stages[other].makes(file) for file in stage.inputs))
            self._needs[stage.name] = set(writers)

    def plan(self) -> Iterator[tuple[str, str]]:
        """(stage, why it would run or "" where it is up to date), in order; writes nothing.

        A stage that needs one that would run is among them: a run looks again at what the other has written.
        """
        stale: list[str] = []
        for stage in self._stages.values():
            after = [f"after {name}" for name in stale if name in self._needs[stage.name]]
            recipe = self._recipe(stage)
            reasons = after or self._reasons(stage, recipe)
            stale += [stage.name] if reasons else []
            other = self._records.read(stage.name).get("recipe") != recipe
            comes_back = reasons and not after and other and self._records.has_aside(stage, recipe)
            yield stage.name, "set aside, comes back" if comes_back else next(iter(reasons), "")

    def run(
        self,
        names: Sequence[str],
        *,
        done: Sequence[str] = (),
        of: int = 0,
        alone: bool = False,
        force: bool = False,
        jobs: int = 1,
    ) -> int:
        """Runs the stages named and, unless `alone`, what they need; 0 or the exit status of the one that failed.

        `done` have just been brought up to date, and are counted alone; `of`: how many there are to be in all. Up to
        `jobs` run side by side, each on its share of the machine. After a failure nothing more begins;
        where a model has fallen short, what does not need the stage that said so goes on.
        """
        shares = process.shares(jobs)
        waiting, shown, status = self._wanted(names, alone), jobs == 1, 0
        label = {stage.name: f"[{n}/{max(of, len(waiting))}] {stage.name}" for n, stage in enumerate(waiting, 1)}
        waiting = [stage for stage in waiting if stage.name not in done]
        running: list[_Running] = []
        try:
            while waiting or running:
                free = set(range(jobs)) - {one.place for one in running}
                unfinished = {stage.name for stage in (*waiting, *(one.stage for one in running))}
                ready = [stage for stage in waiting if self._needs[stage.name].isdisjoint(unfinished)] if free else []
                for stage in ready[:1]:
                    waiting.remove(stage)
                    recipe = self._recipe_now(stage)
                    if settled := self._settle(stage, recipe, force=force):
                        print(f"{label[stage.name]}: {settled}", flush=True)
                        continue
                    print(label[stage.name] if shown else f"{label[stage.name]}: begins", flush=True)
                    place = min(free)
                    running.append(self._start(stage, recipe, shares[place], place, shown=shown))
                if ready:
                    continue
                ended = self._first_to_end(running, shown=shown)
                running.remove(ended)
                said = " " if shown else f"{label[ended.stage.name]}: ends, exit status {ended.record['status']},"
                unfinished_stages = [*waiting, *(one.stage for one in running)]
                left = "" if ended.record["status"] else self._left(unfinished_stages, jobs)
                print(f"{said} {ended.record['seconds']:.1f} s{left}", flush=True)
                if failed := self._failure(ended):
                    status = failed if status in (0, FELL_SHORT) else status
                    waiting = self._without(ended.stage, waiting) if failed == FELL_SHORT else []
        finally:  # where something still runs: Ctrl-C or SIGTERM; it saves what it has, then we go
            for one in running:
                one.process.terminate()
            for one in running:
                self._close(one)
        return status

    def run_anyway(self, name: str) -> int:
        """Runs a stage on whatever is there of its inputs, by no recipe, so that the next run does it again."""
        running = self._start(self._stages[name], {}, process.Share(), 0, shown=True)
        return self._failure(self._first_to_end([running], shown=True))

    def _wanted(self, names: Sequence[str], alone: bool) -> list[Stage]:
        wanted = set(names)
        for name in reversed(self._stages):
            if name in wanted and not alone:
                wanted |= self._needs[name]
            elif name in wanted and wanted.isdisjoint(self._needs[name]):
                for file in self._stages[name].inputs:
                    if not (path := self._workdir / file).exists():
                        raise UsageError(f"--only={name}: {path} is missing; run without --only, which makes it first")
        return [stage for stage in self._stages.values() if stage.name in wanted]

    def _recipe(self, stage: Stage) -> Recipe:
        return with_inputs(self._recipes[stage.name], stage, self._workdir)

    def _recipe_now(self, stage: Stage) -> Recipe:
        # Hours after the pipeline began its code may be another, and a process runs what is on disk.
        self._recipes |= recipes([stage])
        return self._recipe(stage)

    def _missing(self, stage: Stage) -> list[str]:
        return [str(self._workdir / file) for file in stage.outputs if not (self._workdir / file).exists()]

    def _reasons(self, stage: Stage, recipe: Recipe) -> list[str]:
        # Why a stage has to run; nothing where it is up to date.
        record = self._records.read(stage.name)
        if not record.get("recipe"):
            return ["new"]
        unfinished = [] if record["status"] == 0 else ["not finished"]
        missing = [f"{file} is missing" for file in self._missing(stage)]
        return [*difference(record["recipe"], recipe), *unfinished, *missing]

    def _settle(self, stage: Stage, recipe: Recipe, *, force: bool) -> str:
        # What to say of a stage that need not run; "" where it has to, its folder then being as it should find it.
        brought_back = False
        if force or self._records.read(stage.name).get("recipe") != recipe:
            brought_back = self._records.exchange(stage, None if force else recipe)
        if force or self._reasons(stage, recipe):
            return ""
        return "as it was, brought back" if brought_back else "up to date"

    def _start(self, stage: Stage, recipe: Recipe, share: process.Share, place: int, *, shown: bool) -> _Running:
        arguments = stage.command(lambda path: self._workdir / path)
        if shown:
            print(f"  {' '.join(['python', *arguments])}", flush=True)
        seconds = self._records.read(stage.name).get("seconds", 0.0)  # of the same work, which goes on
        record = {"stage": stage.name, "recipe": recipe, "commit": process.commit(), "began": time.time()}
        record |= {"status": None, "seconds": seconds}
        self._records.write(stage.name, record)
        settings = {**share.settings, **process.compiled_in(self._workdir / STATE / "compiled")}
        log = self._workdir / log_of(stage.name)
        started = process.Process(arguments, log=log, lock=self._lock, settings=settings, cores=share.cores)
        return _Running(stage, started, record, place)

    def _first_to_end(self, running: Sequence[_Running], *, shown: bool) -> _Running:
        while True:
            ended = next((one for one in running if one.process.ended()), None)
            for one in running if shown else ():
                one.process.show()
            if ended:
                self._close(ended)
                return ended
            time.sleep(_POLL_SECONDS)

    def _close(self, one: _Running) -> None:
        status, seconds = one.process.close()
        if status == 0 and (missing := self._missing(one.stage)):
            status = 1
            with open(self._workdir / log_of(one.stage.name), "a", encoding="utf-8") as log:
                log.write(f"ended well but did not write {', '.join(missing)}\n")
        # What was edited meanwhile it has read before or after: by which recipe it was made nobody can tell.
        recipe = one.record["recipe"]
        if recipe and (edited := difference(recipe, self._recipe_now(one.stage))):
            recipe = {}
            more = f" and {len(edited) - 1} more" if edited[1:] else ""
            print(f"  {one.stage.name}: changed while it ran: {edited[0]}{more}; it runs again the next time")
        one.record.update(recipe=recipe, status=status, seconds=one.record["seconds"] + seconds)
        self._records.write(one.stage.name, one.record)

    def _failure(self, one: _Running) -> int:
        # The exit status; where it is not 0, what was wrong goes to stderr in one line.
        name, status, log = one.stage.name, one.record["status"], self._workdir / log_of(one.stage.name)
        if status:
            reason = "the model falls short" if status == FELL_SHORT else f"exit status {status}"
            said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
            last = self._as_typed(said[-1].strip() if said else "it said nothing", one.stage)
            remedy = "what has ended well is kept, and the same command goes on after it"
            if status in _AT_FAULT:
                remedy = "mend that and run again: what has ended well is kept"
            elif status == FELL_SHORT:
                remedy = "what needs it is left out"
            elif status > _STOPPED:
                remedy = "the same command goes on from here"
            print(
                f"pipelines.run: stage {name} failed: {reason}: {last}; all it said: {log}; {remedy}", file=sys.stderr
            )
        return status

    def _left(self, unfinished: Sequence[Stage], jobs: int) -> str:
        # What the rest will take, for people; those of it that need not run are not counted.
        if not unfinished:
            return ""
        measured: dict[str, list[tuple[Stage, float]]] = {}
        for stage in self._stages.values():
            record = self._records.read(stage.name)
            if record.get("status") == 0:
                measured.setdefault(stage.module, []).append((stage, record["seconds"]))
        changed: set[str] = set()
        for stage in unfinished:
            if self._needs[stage.name] & changed or self._reasons(stage, self._recipe(stage)):
                changed.add(stage.name)
        to_run = [stage for stage in unfinished if stage.name in changed]
        seconds = duration.seconds_left(to_run, measured)
        return f"; {duration.in_words(seconds / jobs)} left" if seconds is not None and to_run else ""

    def _without(self, failed: Stage, waiting: Sequence[Stage]) -> list[Stage]:
        # Those that can do without what `failed` makes.
        lost = {failed.name}
        for stage in waiting:
            lost |= {stage.name} if self._needs[stage.name] & lost else set()
        return [stage for stage in waiting if stage.name not in lost]
