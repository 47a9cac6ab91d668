"""Measures a prepared log, as far as it decides which models, experiments and tests a pipeline can have."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from data import clock, feedback
from data.timelines import SPLITS, Timelines
from data.traits import Traits
from data.watch_time import thresholds
from pipelines.graph import sources
from pipelines.graph.recipe import key
from ranking import tasks
from runtime import artifact
from runtime.artifact import read_json, write_json
from runtime.errors import DataError
from satisfaction.splits import is_click
from satisfaction.unbiased.answers import SOURCES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log:
    """Counts are of events of known time, for earlier history tells but a part.

    Attributes:
      positive: the feedback that counts as positive. labels: positives of the training days that have an event of the
        same user before them, so that there is something to predict them from.
      happened: split -> feedback -> events. unmet: validation and test days -> positives of an item that the user had
        not met. days: split -> its first and last moment, for people.
      possible: the tasks that a ranker has labels for. tasks: those of them that it can learn and be measured on, with
        both classes on the training, validation and test days.
      answers: source of answers (satisfaction/unbiased/answers.py) -> dissatisfied, satisfied and not answered on the
        training days. never_clicked: of the user who clicked most, the items that are left.
      random: events of the test days that were shown at random.
      clusters: how many content clusters are known.
    """

    users: int
    items: int
    events: int
    traits: Traits
    positive: Sequence[str]
    labels: int
    happened: Mapping[str, Mapping[str, int]]
    unmet: Mapping[str, int]
    days: Mapping[str, Sequence[str]]
    possible: Sequence[str]
    tasks: Sequence[str]
    answers: Mapping[str, Sequence[int]]
    clicks: int
    never_clicked: int
    random: int
    clusters: int

    @classmethod
    def measured(cls, timelines: Timelines, positive: Sequence[str] = ()) -> Self:
        """Of timelines; `positive` as configs/retrieval.py has it, () for what the log has."""
        positive = tuple(positive) or timelines.positive_feedback
        known = timelines.timestamp_ms > 0
        inside = {split: timelines.in_split(split) for split in SPLITS}
        happened = {
            split: {name: int(feedback.has(timelines.feedback[where & known], name).sum()) for name in feedback.BITS}
            for split, where in inside.items()
        }
        first = np.zeros(len(timelines.item), bool)
        first[timelines.first_events()] = True
        wanted = inside["train"] & feedback.has(timelines.feedback, *positive) & ~first
        clusters = timelines.items["cluster"].to_numpy()
        clicked = is_click(timelines)
        return cls(
            users=timelines.num_users,
            items=timelines.num_items,
            events=len(timelines.item),
            traits=timelines.traits,
            positive=positive,
            labels=int(wanted.sum()),
            happened=happened,
            unmet={split: len(timelines.held_out(split, positive)[0]) for split in ("valid", "test")},
            days={split: _days(timelines.timestamp_ms[where & known]) for split, where in inside.items()},
            possible=tasks.available(timelines, has_satisfaction=False),
            tasks=_learnable(timelines, {split: where & known for split, where in inside.items()}),
            answers={source: _answers(timelines, source, inside["train"] & known) for source in SOURCES},
            clicks=int((clicked & inside["train"]).sum()),
            never_clicked=timelines.num_items - _most(timelines, clicked),
            random=int((timelines.randomly_exposed > 0)[inside["test"]].sum()),
            clusters=len(np.unique(clusters[clusters > 0])),
        )

    @classmethod
    def of(cls, folder: Path, positive: Sequence[str], memory: Path) -> Self:
        """Of the timelines in `folder`; kept in the file `memory` until they are others. Errors: of Timelines.open."""
        files, _ = sources.trace(__name__)
        code = {file: sources.code(sources.ROOT / file) for file in files}
        fingerprint = key({"log": artifact.digest(folder / artifact.MANIFEST), "positive": list(positive), **code})
        if memory.exists() and (kept := read_json(memory)).get("fingerprint") == fingerprint:
            fields = {field.name for field in dataclasses.fields(cls)}
            if set(kept["log"]) == fields:
                return cls(**{**kept["log"], "traits": Traits(**kept["log"]["traits"])})
        log = cls.measured(Timelines.open(folder), positive)
        memory.parent.mkdir(exist_ok=True)
        write_json(memory, {"fingerprint": fingerprint, "log": dataclasses.asdict(log)})
        return log


def _days(timestamp_ms: Any) -> tuple[str, ...]:
    return (clock.show(timestamp_ms.min()), clock.show(timestamp_ms.max())) if len(timestamp_ms) else ()


def _learnable(timelines: Timelines, known: Mapping[str, Any]) -> tuple[str, ...]:
    possible = tasks.available(timelines, has_satisfaction=False)
    labels = tasks.labels(possible, timelines, thresholds(timelines), None)

    def classes(column: int, where: Any) -> int:
        return len(np.unique(labels.values[where & labels.where[:, column], column]))

    return tuple(task for n, task in enumerate(possible) if all(classes(n, where) > 1 for where in known.values()))


def _answers(timelines: Timelines, source: str, where: Any) -> tuple[int, int, int]:
    try:
        answers = SOURCES[source](timelines)[where]
    except DataError:
        return 0, 0, int(where.sum())
    return int((answers == 0).sum()), int((answers == 1).sum()), int((answers < 0).sum())


def _most(timelines: Timelines, clicked: Any) -> int:
    # The most items that one user has clicked.
    pairs = timelines.user_of_event()[clicked].astype(np.int64) * (timelines.num_items + 1) + timelines.item[clicked]
    return int(np.bincount(np.unique(pairs) // (timelines.num_items + 1)).max(initial=0))
