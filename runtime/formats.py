"""The artifacts in which stages meet: of each the kind and the version, once, for who writes it and who reads it."""

from typing import NamedTuple


class Format(NamedTuple):
    """As `runtime.artifact` has them; give another version where what is written can no longer be read as before."""

    kind: str
    version: int


RECOMMENDER = Format("recommender", 2)  # 1 had the tables in its programs
RANKER = Format("exported_ranker", 1)
# 1 told logs apart by their number of events; 2 had no protocol, and was of models that knew an event's own click
SATISFACTION_SCORES = Format("satisfaction_scores", 3)
TRUE_PROBABILITIES = Format("true_probabilities", 2)  # 1 told logs apart by their number of events
