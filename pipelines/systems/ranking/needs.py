"""What ranking needs of a log: for at least one task, impressions with either answer."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from data.watch_time import WATCH_FEEDBACK
from pipelines.graph.configs import config_of
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut
from ranking.tasks import LOGGED
from runtime.errors import UsageError

_REMEDY = "impressions that people did not take too, such as `click` 0 beside 1, or `play_ms`, how long each was played"
_ONE_TASK = "single_task_"


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out the tasks that have one answer alone, and the ranker where all of them do.

    Errors: UsageError where such a task was asked for by hand.
    """
    if not config.ranking:
        return
    asked, can = config.stages.ranking.tasks, tuple(log.tasks)
    if asked is not None and (lost := [task for task in asked if task not in (*can, "satisfaction")]):
        raise UsageError(
            f"--config.stages.ranking.tasks={tuple(asked)}: {lost[0]} has one answer alone in this log, or none, on "
            f"the training, validation or test days; {'there are ' + ', '.join(can) if can else 'it takes ' + _REMEDY}"
        )
    if not can:
        config.ranking = ""
        told = f"of play times, {', '.join(LOGGED[:-1])} and {LOGGED[-1]} none has both answers on all days"
        yield LeftOut("the ranker", f"{told}: nothing to tell apart", _REMEDY)
        return
    wanted = asked or config_of(f"configs/ranking.py:{config.ranking}").tasks or _by_default(log)
    kept = tuple(task for task in wanted if task in (*can, "satisfaction")) or can
    if kept == tuple(wanted):
        return
    config.stages.ranking.tasks = kept
    lost = [task for task in wanted if task not in kept]
    config.ranking_variants = tuple(
        variant for variant in config.ranking_variants if variant.removeprefix(_ONE_TASK) not in lost
    )
    yield LeftOut(
        f"the ranker’s tasks {', '.join(lost)}",
        f"they have one answer alone, or none, on the training, validation or test days; it learns {', '.join(kept)}",
        _REMEDY,
    )


def _by_default(log: Log) -> tuple[str, ...]:
    # As ranking.tasks.default: watch time where there is any.
    return tuple(task for task in log.possible if task in WATCH_FEEDBACK) or tuple(log.possible)
