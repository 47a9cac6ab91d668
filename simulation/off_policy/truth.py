"""The truth behind off-policy estimates: what users of a synthetic log would have done with any item."""

from typing import Any

import numpy as np

from data.timelines import Timelines
from simulation.off_policy.contexts import Contexts, Policy
from simulation.world.behaviour import Reactions, react
from simulation.world.draws import choose
from simulation.world.matching import numbers
from simulation.world.state import World


class TruthAt:
    """The users of n contexts as they were, aversions included, ready to react to any item of the timelines."""

    def __init__(self, world: World, timelines: Timelines, at: Contexts):
        """Errors: UsageError where users or items of the timelines are not of this world."""
        users, self._item = numbers(timelines, world)
        self._environment = world.environment_at(users[at.user], timelines.timestamp_ms[at.position])

    def react(self, rng: np.random.Generator, rows: np.ndarray, items: np.ndarray) -> Reactions:
        """What the users of the contexts `rows` [m] do with items [m], indices of the timelines."""
        return react(rng, self._environment, rows, self._item[items])

    def value(self, rng: np.random.Generator, policy: Policy, *, draws: int) -> dict[str, float]:
        """The policy's own rates in these contexts: `draws` items for each from the policy, and what comes of them.

        Of dislikes the probabilities are averaged, of long views what was drawn.
        """
        sums: dict[str, float] = {"dislike": 0.0, "long_view": 0.0}
        rows: Any = np.arange(len(policy.items))
        for _ in range(draws):
            places = choose(policy.probability, rng.random(len(rows)))
            reactions = self.react(rng, rows, policy.items[rows, places])
            sums["dislike"] += float(reactions.dislike_probability.mean())
            sums["long_view"] += float(reactions.long_view.mean())
        return {name: total / draws for name, total in sums.items()}
