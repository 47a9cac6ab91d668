"""Plans a run: the pipeline as it was asked for, then fitted to its log, as soon as that is prepared.

What the log cannot carry is left out before anything is trained, and said. Each system says itself what it asks of a
log, in its `needs.py`; whoever adds one that asks for something names it here.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ml_collections import ConfigDict

from data import feedback
from pipelines.graph.configs import config_of
from pipelines.graph.records import STATE
from pipelines.graph.stage import PIPELINE, Stage
from pipelines.systems.ab import needs as ab
from pipelines.systems.feed.log import Log
from pipelines.systems.feed.stages import LOG, TIMELINES
from pipelines.systems.left_out import FILE, LeftOut
from pipelines.systems.ranking import needs as ranking
from pipelines.systems.response import needs as response
from pipelines.systems.retrieval import needs as retrieval
from pipelines.systems.satisfaction import needs as satisfaction
from pipelines.systems.serving import needs as serving
from runtime.artifact import write_json
from runtime.errors import DataError, UsageError

# Each sees what those before it have left.
NEEDS = (retrieval, satisfaction, ranking, response, serving, ab)
_MEMORY = "log.json"  # in STATE: what was measured of the log


@dataclass(frozen=True)
class Planned:
    """The config that is run, and what it leaves out; `fitted`: whether the log has been seen."""

    config: ConfigDict
    left_out: Sequence[LeftOut] = ()
    fitted: bool = False

    def write(self, workdir: Path) -> None:
        """Writes both into the run folder, where stages and the report read them."""
        write_json(workdir / PIPELINE, self.config.to_dict())
        write_json(workdir / FILE, [asdict(lost) for lost in self.left_out])

    def selected(self, only: Sequence[str], names: Sequence[str], asked: Sequence[str]) -> list[str]:
        """The stages of `names` that --only means, all without it. Errors: UsageError for one that means none."""
        for wanted in only:
            if any(matches(name, wanted) for name in names):
                continue
            if any(matches(name, wanted) for name in asked):
                why = "; ".join(str(lost) for lost in self.left_out)
                raise UsageError(f"--only={wanted}: left out, as the log cannot carry it: {why}")
            raise UsageError(f"--only={wanted}: no such stage; there are {', '.join(names)}")
        return [name for name in names if not only or any(matches(name, wanted) for wanted in only)]


def preparing(stages: Sequence[Stage]) -> list[str]:
    """The stages that have to end before a pipeline can be fitted to its log: what writes it, and those before."""
    names = [stage.name for stage in stages]
    return names[: 1 + next(n for n, stage in enumerate(stages) if LOG in stage.outputs)]


def positive_of(config: ConfigDict) -> tuple[str, ...]:
    """The feedback that counts as positive, () where the log is to tell. Errors: UsageError for one that is none."""
    positive = config.stages.retrieval.positive
    if positive is None:
        positive = config_of(f"configs/retrieval.py:{config.retrieval}").positive
    for name in positive:
        if name not in feedback.BITS:
            what = f"--config.stages.retrieval.positive={tuple(positive)}"
            raise UsageError(f"{what}: no feedback '{name}'; one of {', '.join(feedback.BITS)}")
    return tuple(positive)


def fitted(config: ConfigDict, log: Log) -> tuple[ConfigDict, list[LeftOut]]:
    """A pipeline that `log` can carry, and what it leaves out of `config`.

    Errors: DataError where nothing can be learned; UsageError where what was asked for by hand cannot be.
    """
    carried = ConfigDict(config.to_dict())
    left_out = [lost for system in NEEDS for lost in system.fit(carried, log)]
    return carried, left_out


def plan(config: ConfigDict, asked: Sequence[Stage], workdir: Path, *, only: Sequence[str]) -> Planned:
    """`config` fitted to the log in `workdir`; as it is where there is none yet.

    Errors: DataError and UsageError as `fitted`, where more than single stages are to be run.
    """
    if not (workdir / LOG).exists():
        return Planned(config)
    positive = positive_of(config)
    # Whoever asks for one stage by its name has it, though the whole would come to nothing.
    with contextlib.suppress(*([DataError] if only else [])):
        log = Log.of(workdir / TIMELINES, positive, workdir / STATE / _MEMORY)
        carried, left_out = fitted(config, log)
        return Planned(carried, left_out, fitted=True)
    return Planned(config)


def matches(name: str, wanted: str) -> bool:
    """Whether --only=wanted means the stage `name`."""
    return name == wanted or name.startswith(wanted + "/")
