"""What a log has, as far as it decides what can be learned from it: feedback, play times, creators, its size, …

Configs and pipelines ask this, and no dataset's name. Of a dataset that Heed knows it is declared with its reader
(data/readers/), so that a pipeline can be planned before anything is read; of prepared timelines it is measured.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # configs read this module, so --help does too: numpy is imported where it is needed
    import polars as pl


@dataclasses.dataclass(frozen=True)
class Traits:
    """What a log has.

    Attributes:
      events: how many, earlier history included.
      feedback: kind (data/feedback.py) -> its share of the events of known time, for earlier history tells but a part;
        kinds that never occur are absent.
      play_times, questionnaires, random_exposures: whether any event has a play time, an answer, was shown at random.
      creators, clusters: whether the items are of more than one.
      embeddings: whether any item has an embedding. uploads: whether it is known of any since when it is there.
    """

    events: int
    feedback: Mapping[str, float]
    play_times: bool = False
    questionnaires: bool = False
    random_exposures: bool = False
    creators: bool = False
    clusters: bool = False
    embeddings: bool = False
    uploads: bool = False

    @property
    def is_explicit(self) -> bool:
        """Whether every event is a like or a dislike: who says what about an item is then no chance of its own."""
        return round(self.feedback.get("like", 0.0) + self.feedback.get("dislike", 0.0), 6) >= 1

    @property
    def positive_feedback(self) -> tuple[str, ...]:
        """What counts as positive in this log: POSITIVE_LABELS, clicks where there is no event of these, or comments
        where there is no click either. A column in which nothing happens is none.
        """
        from data.feedback import POSITIVE_LABELS

        labels = tuple(name for name in POSITIVE_LABELS if name in self.feedback)
        return labels or (("comment",) if "click" not in self.feedback and "comment" in self.feedback else ("click",))

    @property
    def wanted_feedback(self) -> tuple[str, ...]:
        """What the top of a list should be full of: long views, or what counts as positive in a log without any."""
        return ("long_view",) if "long_view" in self.feedback else self.positive_feedback


def counted(arrays: Mapping[str, Any]) -> Counter[str]:
    """Of event arrays [E] of timelines: their `events`; `dated`, those of known time, and how many of these have each
    kind of feedback; how many events have `play_times`, `questionnaires`, `random_exposures`.

    Of all events it is the sum of those of any parts of them.
    """
    from data import feedback

    bits = arrays["feedback"][arrays["timestamp_ms"] > 0]
    return Counter(
        events=len(arrays["item"]),
        dated=len(bits),
        play_times=int((arrays["play_ms"] >= 0).sum()),
        questionnaires=int((arrays["questionnaire_answer"] >= 0).sum()),
        random_exposures=int((arrays["randomly_exposed"] > 0).sum()),
        **{name: int(feedback.has(bits, name).sum()) for name in feedback.BITS},
    )


def of_counts(counts: Mapping[str, int], items: "pl.DataFrame", embeddings: Any = None) -> Traits:
    """The traits of events that have been `counted`."""
    from data import feedback

    def distinct(name: str) -> bool:
        return name in items.columns and items[name].filter(items[name] > 0).n_unique() > 1  # 0 is unknown

    return Traits(
        events=counts["events"],
        feedback={name: counts[name] / counts["dated"] for name in feedback.BITS if counts[name]},
        play_times=counts["play_times"] > 0,
        questionnaires=counts["questionnaires"] > 0,
        random_exposures=counts["random_exposures"] > 0,
        creators=distinct("creator"),
        clusters=distinct("cluster"),
        embeddings=embeddings is not None and bool(embeddings.any()),
        uploads="uploaded_ms" in items.columns and items["uploaded_ms"].count() > 0,
    )
