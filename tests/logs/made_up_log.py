"""What was measured of a log, made up: as much of each feedback as a test wants."""

from data import feedback
from data.traits import Traits
from pipelines.systems.feed.log import Log

EVENTS = 10_000


def log_of(*, items: int = 1_000, positive: str = "click", tasks: tuple[str, ...] = (), **counts: int) -> Log:
    """A log of so many events of each feedback on its training days, and a tenth of that on the others."""
    happened = {name: counts.get(name, 0) for name in feedback.BITS}
    rates = {name: count / EVENTS for name, count in counts.items() if count}
    return Log(
        users=100,
        items=items,
        events=EVENTS,
        traits=Traits(EVENTS, rates, play_times="skip" in counts),
        positive=(positive,),
        labels=counts.get(positive, 0),
        happened={
            "train": happened,
            **{split: {n: c // 10 for n, c in happened.items()} for split in ("valid", "test")},
        },
        unmet={"valid": 10, "test": 10},
        days=dict.fromkeys(("train", "valid", "test"), ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")),
        possible=tasks,
        tasks=tasks,
        answers={"questionnaire": (0, 0, 0), "like_dislike": (0, 0, 0)},
        clicks=counts.get("click", 0),
        never_clicked=items - 10,
        random=0,
        clusters=0,
    )
