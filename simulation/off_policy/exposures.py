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
    """n exposures, each of an item drawn uniformly from the catalogue of its moment: logging propensity 1 / N_i.

    users [n], items [n], indices of the timelines; rewards: {name: 0 or 1 [n]} for each of REWARDS; catalogue [n], how
    many items were there, N_i.
    """

    users: np.ndarray
    items: np.ndarray
    rewards: Mapping[str, np.ndarray]
    catalogue: np.ndarray

    def weights(self, shown: Policy) -> np.ndarray:
        """π(a | x) / μ(a) of each exposure [n], in the contexts of the policy."""
        return self.catalogue * shown.probability_of(self.items)

    def mean_weight(self, shown: Policy) -> Interval:
        """w̄ = 1/n Σ w_i, which is 1 in expectation where items are drawn uniformly from the whole catalogue.

        The interval is w̄ ± 1.96 √Σ_i (N_i Σ_y π(y | x_i)² − 1) / n, by the spread of the weights under that design,
        which a bootstrap of few exposures within the slate does not see. Where it leaves out 1, items were drawn
        otherwise, such as from a pool of them, and IPS and DR do not hold; SNIPS is then of a policy within that pool.
        """
        weights = self.weights(shown)
        variance = self.catalogue * (shown.probability**2).sum(axis=1) - 1  # of each weight, [n]
        spread = 1.96 * np.sqrt(max(variance.sum(), 0.0)) / len(weights)
        return Interval(float(weights.mean()), float(weights.mean() - spread), float(weights.mean() + spread))

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
