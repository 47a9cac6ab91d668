"""The platform that wrote the synthetic log: it shows what a user watches and what is popular, and ignores dislikes.

Within a session it is sticky: it tends to stay with the cluster or creator that was just watched.
"""

import numpy as np

from simulation.world.behaviour import Environment
from simulation.world.draws import GroupSampler, choose

TRIES = 4  # popular items of a creator or cluster of which the first new one is shown, and again of any


class LoggingPolicy:
    """Serves one item to each user at a time and learns from what is watched; `affinity` is its belief about them.

    Its belief about a user is a running mean of engagement by cluster, [U, clusters], which starts near the user's
    interests, as that of a platform that knows its users does. It avoids what a user has seen, and turns from clusters
    as they are used up.
    """

    def __init__(self, rng: np.random.Generator, environment: Environment):
        """Draws the initial belief."""
        people, catalogue, config = environment.people, environment.catalogue, environment.config
        users, clusters = people.interest.shape
        items = len(catalogue.creator)
        noise = rng.lognormal(sigma=config.policy.affinity_noise, size=(users, clusters))
        self.affinity = config.policy.affinity_start * people.interest * noise
        self._last = np.zeros(users, np.int64)
        self._seen = np.zeros((users, items), bool)
        self._left = np.ones((users, clusters))  # share of the cluster's items that the user has not seen
        self._favourites = people.favourites
        self._catalogue = catalogue
        self._per_item = 1.0 / np.bincount(catalogue.cluster, minlength=clusters)
        self._by_cluster = GroupSampler(catalogue.cluster, catalogue.popularity, clusters)
        self._by_creator = GroupSampler(catalogue.creator, catalogue.popularity, config.num_creators)
        self._any_in_cluster = GroupSampler(catalogue.cluster, np.ones(items), clusters)
        self._p = config.policy

    def serve(
        self, rng: np.random.Generator, users: np.ndarray, new_session: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items [n] for users [n], and which of them were drawn uniformly from the whole catalogue, mask [n]."""
        p, last = self._p, self._last[users]
        uniform = rng.random((6, len(users)))
        watched = self._catalogue.cluster[last]
        sticky = ~new_session & (uniform[0] < p.same_cluster * self._left[users, watched])
        cluster = np.where(sticky, watched, self._interesting(users, uniform[3]))
        by_creator = uniform[1] < np.where(sticky, p.same_creator, p.favourite)
        favourite = self._favourites[users, (uniform[2] * self._favourites.shape[1]).astype(np.int64)]
        creator = np.where(sticky, self._catalogue.creator[last], favourite)
        items = self._unseen(rng, users, cluster, creator, by_creator)
        random = uniform[4] < p.random
        return np.where(random, (uniform[5] * self._seen.shape[1]).astype(np.int64), items), random

    def observe(self, users: np.ndarray, items: np.ndarray, engaged: np.ndarray) -> None:
        """Learns from what was watched."""
        cluster = self._catalogue.cluster[items]
        self.affinity[users, cluster] += self._p.affinity_rate * (engaged - self.affinity[users, cluster])
        self._left[users, cluster] -= self._per_item[cluster] * ~self._seen[users, items]
        self._seen[users, items] = True
        self._last[users] = items

    def _interesting(self, users: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        # A cluster for each user, as its affinity and what is left of it say.
        weight = self._left[users] * (self._p.affinity_floor + self.affinity[users]) ** self._p.affinity_power
        return choose(weight, uniform)

    def _unseen(
        self,
        rng: np.random.Generator,
        users: np.ndarray,
        cluster: np.ndarray,
        creator: np.ndarray,
        by_creator: np.ndarray,
    ) -> np.ndarray:
        # Popular items of the creator or the cluster; failing these, any of that cluster: the first that is new.
        draws = rng.random((2 * TRIES, len(users)))
        tries = (TRIES, len(users))
        of_cluster = self._by_cluster.draw(np.broadcast_to(cluster, tries), draws[:TRIES])
        of_creator = self._by_creator.draw(np.broadcast_to(creator, tries), draws[:TRIES])
        popular = np.where(by_creator, of_creator, of_cluster)
        there = np.broadcast_to(self._catalogue.cluster[popular[0]], tries)
        candidates = np.concatenate([popular, self._any_in_cluster.draw(there, draws[TRIES:])])  # [2 * tries, n]
        new = ~self._seen[users, candidates]
        return candidates[new.argmax(axis=0), np.arange(len(users))]
