"""Random exposures: items that users were shown by chance, and what came of them; what off-policy estimates rest on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metrics.intervals import Interval
from simulation.off_policy.contexts import Policy
from simulation.off_policy.estimators import estimate
from simulation.off_policy.reward_model import RewardModel

REWARDS = ("dislike", "long_view")


@dataclass(frozen=True)
class Exposures:
    """n exposures of items drawn uniformly from a catalogue: logging propensity 1 / num_items.

    users [n], items [n], indices of the timelines; rewards: {name: 0 or 1 [n]} for each of REWARDS.
    """

    users: np.ndarray
    items: np.ndarray
    rewards: Mapping[str, np.ndarray]
    num_items: int

    def weights(self, shown: Policy) -> np.ndarray:
        """π(a | x) / μ(a) of each exposure [n], in the contexts of the policy."""
        return self.num_items * shown.probability_of(self.items)

    def estimates(
        self, shown: Policy, models: Mapping[str, RewardModel], *, samples: int, seed: int
    ) -> dict[str, Interval]:
        """`<reward>/<estimator>` of the policy in these contexts (simulation/off_policy/estimators.py)."""
        predicted = {
            name: (
                (shown.probability * model.predict(self.users[:, None], shown.items)).sum(axis=1),
                model.predict(self.users, self.items),
            )
            for name, model in models.items()
        }
        return estimate(self.weights(shown), self.rewards, predicted, self.users, samples=samples, seed=seed)
