"""The platform that wrote the log: interest times popularity, sticky within a session, deaf to dislikes."""

from typing import Any

import numpy as np

from simulation.population import Catalogue, GroupSampler, Users

_TRIES = 4


class LoggingPolicy:
    """Serves one item to each user at a time and learns from what is watched.

    Its belief about a user is a running mean of engagement by cluster, [U, clusters], which starts near the user's
    interests, as that of a platform that knows its users does.
    """

    def __init__(self, rng: np.random.Generator, *, people: Users, catalogue: Catalogue, config: Any):
        """Draws the initial belief; `config` is that of configs/world.py."""
        users, clusters = people.interest.shape
        noise = rng.lognormal(sigma=config.policy.affinity_noise, size=(users, clusters))
        self._affinity = 0.6 * people.interest * noise
        self._last = np.zeros(users, np.int64)
        self._seen = np.zeros((users, len(catalogue.creator)), bool)
        self._favourites = people.favourites
        self._catalogue = catalogue
        self._by_cluster = GroupSampler(catalogue.cluster, catalogue.popularity, clusters)
        self._by_creator = GroupSampler(catalogue.creator, catalogue.popularity, config.num_creators)
        self._any_in_cluster = GroupSampler(catalogue.cluster, np.ones(len(catalogue.cluster)), clusters)
        self._p = config.policy

    def serve(
        self, rng: np.random.Generator, users: np.ndarray, new_session: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items [n] for users [n], and which of them were drawn uniformly from the whole catalogue, mask [n]."""
        n, p = len(users), self._p
        uniform = rng.random((6, n))
        sticky = ~new_session & (uniform[0] < p.same_cluster)
        by_creator = uniform[1] < np.where(sticky, p.same_creator, p.favourite)
        last = self._last[users]
        favourite = self._favourites[users, (uniform[2] * self._favourites.shape[1]).astype(np.int64)]
        creator = np.where(sticky, self._catalogue.creator[last], favourite)
        weight = np.cumsum((p.affinity_floor + self._affinity[users]) ** p.affinity_power, axis=1)
        interesting = (weight <= uniform[3, :, None] * weight[:, -1:]).sum(axis=1)  # [n] clusters
        cluster = np.where(sticky, self._catalogue.cluster[last], interesting)

        # Popular items of the creator or cluster; failing these, any of the cluster. Shown is the first not yet seen.
        draws = rng.random((2 * _TRIES, n))
        popular = self._by_cluster.draw(np.broadcast_to(cluster, (_TRIES, n)), draws[:_TRIES])
        popular = np.where(
            by_creator, self._by_creator.draw(np.broadcast_to(creator, (_TRIES, n)), draws[:_TRIES]), popular
        )
        cluster = np.where(by_creator, self._catalogue.cluster[popular[0]], cluster)
        other = self._any_in_cluster.draw(np.broadcast_to(cluster, (_TRIES, n)), draws[_TRIES:])
        candidates = np.concatenate([popular, other])  # [2 * tries, n]
        unseen = ~self._seen[users, candidates]
        items = candidates[unseen.argmax(axis=0), np.arange(n)]
        randomly = uniform[4] < p.random
        return np.where(randomly, (uniform[5] * self._seen.shape[1]).astype(np.int64), items), randomly

    def observe(self, users: np.ndarray, items: np.ndarray, engaged: np.ndarray) -> None:
        """Learns from what was watched."""
        cluster = self._catalogue.cluster[items]
        self._affinity[users, cluster] += self._p.affinity_rate * (engaged - self._affinity[users, cluster])
        self._last[users] = items
        self._seen[users, items] = True
