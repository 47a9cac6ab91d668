"""A reward model for doubly robust estimates: how an item and a user's cluster do on the log, multiplied.

    q(x, y) = min(1, ρ_y · ρ_u,c(y) / ρ),   ρ_y = (Σ r + m ρ) / (n + m),   ρ_u,c likewise around ρ_u, and ρ_u around ρ

with the sums over what came before the evaluated days, ρ the overall rate, m = 20 events of prior. It is simple on
purpose: a doubly robust estimate needs it for its variance, not for its truth.
"""

from dataclasses import dataclass

import numpy as np

from data import feedback
from data.rates import smoothed_by_group
from data.timelines import Timelines

_PRIOR = 20.0


@dataclass(frozen=True)
class RewardModel:
    """q for one kind of feedback."""

    overall: float
    of_item: np.ndarray  # [N + 1]
    of_cluster: np.ndarray  # [U, clusters + 1]
    cluster: np.ndarray  # [N + 1]

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """q [...] for users and items that broadcast against each other."""
        rate = self.of_item[items] * self.of_cluster[users, self.cluster[items]] / self.overall
        return np.minimum(rate, 1.0)


def fit(timelines: Timelines, name: str) -> RewardModel:
    """q for the feedback `name`, from the training days. A rate of 0 predicts 0 everywhere."""
    train = timelines.in_split("train")
    item, user = timelines.item[train], timelines.user_of_event()[train]
    reward = feedback.has(timelines.feedback[train], name).astype(np.float64)
    cluster = timelines.item_column("cluster")
    overall = float(reward.mean()) if len(reward) else 0.0

    def shrunk(group: np.ndarray, groups: int, around: np.ndarray | float) -> np.ndarray:
        return smoothed_by_group(group, reward, num_groups=groups, prior_rate=around, prior_count=_PRIOR)

    clusters = int(cluster.max(initial=0)) + 1
    of_user = shrunk(user, timelines.num_users, overall)
    of_cluster = shrunk(
        user.astype(np.int64) * clusters + cluster[item], timelines.num_users * clusters, np.repeat(of_user, clusters)
    )
    return RewardModel(
        overall=overall or 1.0,
        of_item=shrunk(item, timelines.num_items + 1, overall),
        of_cluster=of_cluster.reshape(timelines.num_users, clusters),
        cluster=cluster,
    )
