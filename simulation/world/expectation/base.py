"""What the expectations of both kinds of feed have in common: whose moments they are of, and what would be liked."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from simulation.world.behaviour import Environment
from simulation.world.chances import chances
from simulation.world.matching import numbers
from simulation.world.state import World, take

Scores = NDArray[np.float64]


class Expectation(Protocol):
    """Of one world, asked in the numbering of timelines that were made of it."""

    def next_item(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray) -> Scores:
        """P(shown and liked) [B, N + 1] at the moments of exposures: users [B], their first event that is not history,
        and the time."""

    def next_days(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray, *, ends_ms: int) -> Scores:
        """Positives [B, N + 1] to be expected from the moments on till `ends_ms`, but for a factor of the user."""


class Moments:
    """Timelines and the world that they were made of, side by side."""

    def __init__(self, world: World, timelines: Timelines):
        """Errors: UsageError where the timelines are not of this world."""
        self.world, self.timelines = world, timelines
        self.user, self.item = numbers(timelines, world)  # the world's, of each of the timelines; -1 for the padding

    def met(self, user: np.ndarray, before: np.ndarray) -> NDArray[np.bool_]:
        """Whether users [B] had met an item by an event: [B, N] of the world's items."""
        met = np.zeros((len(user), self.world.num_items), bool)
        row, event = self.past(user, before)
        met[row, self.item[self.timelines.item[event]]] = True
        return met

    def past(self, user: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and event of all that lies before an event of users [B], in order: [E'] each."""
        return ranges.last(self.timelines.offsets[user], before)

    def scores(self, of_items: Scores) -> Scores:
        """[B, N] of the world's items in the order of the timelines' [B, N + 1], 0 for the padding."""
        scores = of_items[:, np.maximum(self.item, 0)]
        scores[:, 0] = 0
        return scores


def liked(environment: Environment) -> Scores:
    """P(long view) [B, N] of each person with each item: the commonest of positives by far."""
    items = np.arange(len(environment.catalogue.quality))
    found = np.empty((len(environment.people.readiness), len(items)))
    for row in range(len(found)):
        alone = Environment(take(environment.people, np.array([row])), environment.catalogue, environment.config)
        above = np.zeros((len(items), 2))
        found[row] = chances(("long_view",), alone, np.zeros(len(items), np.int64), items, above_ms=above)[:, 0]
    return found
