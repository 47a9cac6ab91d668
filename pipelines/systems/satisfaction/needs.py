"""What satisfaction needs of a log: answers of both kinds, clicks, and items enough to draw negatives from."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from pipelines.graph.configs import config_of
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut
from satisfaction.protocol import NEGATIVES

_LEAST = 20  # answers of either kind, to learn from and to stop by


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out the satisfaction model where it has nothing to learn from."""
    if not config.satisfaction:
        return
    by_default = "questionnaire" if log.traits.questionnaires else "like_dislike"
    source = (
        config.stages.satisfaction.answers
        or config_of(f"configs/satisfaction.py:{config.satisfaction}").answers
        or by_default
    )
    if lost := _lacking(log, source):
        config.satisfaction = ""
        yield lost
    elif not log.answers[source][2] and config.stages.satisfaction.satisfaction.estimator is None:
        config.stages.satisfaction.satisfaction.estimator = "naive"  # all were answered: no selection to undo


def _lacking(log: Log, source: str) -> LeftOut | None:
    what = "the satisfaction model"
    dissatisfied, satisfied, _ = log.answers.get(source, (0, 0, 0))
    if min(dissatisfied, satisfied) < _LEAST:
        return LeftOut(
            what,
            f"{satisfied:,} satisfied and {dissatisfied:,} dissatisfied answers on the training days",
            "`questionnaire_answer` in events, or likes and dislikes: at least 20 of either kind",
        )
    if not log.clicks:
        return LeftOut(
            what, "no event of the training days is a click or a long view", "`click` or `play_ms` in events"
        )
    if log.never_clicked < NEGATIVES:
        return LeftOut(
            what,
            f"one user has clicked all but {log.never_clicked} items, and {NEGATIVES} are drawn to rank against",
            "a larger catalogue",
        )
    return None
