"""What a log has, as far as it decides what can be learned from it: feedback, play times, creators, its size, …

Configs and pipelines ask this, and no dataset's name. Of a dataset that Heed knows it is declared with its reader
(data/readers/), so that a pipeline can be planned before anything is read; of prepared timelines it is measured.
"""

import dataclasses
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
      embeddings: whether any item has an embedding.
    """

    events: int
    feedback: Mapping[str, float]
    play_times: bool = False
    questionnaires: bool = False
    random_exposures: bool = False
    creators: bool = False
    clusters: bool = False
    embeddings: bool = False

    @property
    def is_explicit(self) -> bool:
        """Whether every event is a like or a dislike: who says what about an item is then no chance of its own."""
        return round(self.feedback.get("like", 0.0) + self.feedback.get("dislike", 0.0), 6) >= 1


def measured(arrays: Mapping[str, Any], items: "pl.DataFrame", embeddings: Any = None) -> Traits:
    """The traits of the event arrays [E], the item table and the items' embeddings of timelines."""
    from data import feedback

    def distinct(name: str) -> bool:
        return name in items.columns and items[name][1:].n_unique() > 1

    bits = arrays["feedback"][arrays["timestamp_ms"] > 0]
    shares = {name: float(feedback.has(bits, name).mean()) if len(bits) else 0.0 for name in feedback.BITS}
    return Traits(
        events=len(arrays["item"]),
        feedback={name: share for name, share in shares.items() if share > 0},
        play_times=bool((arrays["play_ms"] >= 0).any()),
        questionnaires=bool((arrays["questionnaire_answer"] >= 0).any()),
        random_exposures=bool((arrays["randomly_exposed"] > 0).any()),
        creators=distinct("creator"),
        clusters=distinct("cluster"),
        embeddings=embeddings is not None and bool(embeddings.any()),
    )
