"""What happened in a synthetic feed, and all that is known about it: the record that a run leaves behind."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from simulation.world.behaviour import Reactions
from simulation.world.population import Catalogue


@dataclass(frozen=True)
class Feed:
    """What happened, and all that is known about it. Arrays of E exposures lie user by user, in order of time."""

    catalogue: Catalogue
    people: Any  # as they are at the end
    user_id: np.ndarray  # [U] outside ids
    user: np.ndarray  # [E]
    item: np.ndarray  # [E]
    timestamp_ms: np.ndarray  # [E]
    randomly_exposed: np.ndarray  # [E]
    reactions: Reactions  # of [E] each
    onset: np.ndarray  # [A] the exposure after which an aversion set in
    onset_of_creator: np.ndarray  # [A] whether against its creator, else against its cluster
    # Of a latent feed alone:
    intent: np.ndarray | None = None  # [E] the taste that the session was about
    session: np.ndarray | None = None  # [E] its number
    reach: np.ndarray | None = None  # [A] the least cosine of what is averse
    until: np.ndarray | None = None  # [A] when it is over, days after the log's start


def store(log: dict[str, np.ndarray], rows: np.ndarray, reactions: Reactions, total: int) -> None:
    """Puts what came of some exposures into the columns `log` of all `total` of them, at `rows`."""
    for field in fields(reactions):
        value = getattr(reactions, field.name)
        log.setdefault(field.name, np.zeros(total, value.dtype))[rows] = value
