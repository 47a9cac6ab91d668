"""The platform that wrote the log: interest times popularity, sticky within a session, deaf to dislikes."""

from typing import Any

import numpy as np

from simulation.population import Catalogue, GroupSampler, Users

RANDOM, SAME_CREATOR, SAME_CLUSTER, FAVOURITE, INTEREST = range(5)
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
        self._p = config.policy

    def serve(self, rng: np.random.Generator, users: np.ndarray, new_session: np.ndarray) -> tuple[np.ndarray, ...]:
        """Items [n] for users [n], and from which of the sources each came [n]."""
        n, p = len(users), self._p
        uniform = rng.random((5, n))
        sticky = ~new_session & (uniform[1] < p.same_cluster)
        source = np.where(
            sticky,
            np.where(uniform[2] < p.same_creator, SAME_CREATOR, SAME_CLUSTER),
            np.where(uniform[2] < p.favourite, FAVOURITE, INTEREST),
        )
        source[uniform[0] < p.random] = RANDOM

        last = self._last[users]
        weight = np.cumsum((p.affinity_floor + self._affinity[users]) ** p.affinity_power, axis=1)
        drawn = (weight <= uniform[3, :, None] * weight[:, -1:]).sum(axis=1)
        cluster = np.where(source == SAME_CLUSTER, self._catalogue.cluster[last], drawn)
        follow = self._favourites[users, (uniform[3] * self._favourites.shape[1]).astype(np.int64)]
        creator = np.where(source == SAME_CREATOR, self._catalogue.creator[last], follow)

        # Of a few draws the first that the user has not seen.
        draws = rng.random((_TRIES, n))
        from_creator = (source == SAME_CREATOR) | (source == FAVOURITE)
        candidates = np.where(
            from_creator,
            self._by_creator.draw(np.broadcast_to(creator, draws.shape), draws),
            self._by_cluster.draw(np.broadcast_to(cluster, draws.shape), draws),
        )  # [tries, n]
        fresh = ~self._seen[users, candidates]
        items = candidates[fresh.argmax(axis=0), np.arange(n)]
        items = np.where(source == RANDOM, (uniform[4] * self._seen.shape[1]).astype(np.int64), items)
        return items, source

    def observe(self, users: np.ndarray, items: np.ndarray, engaged: np.ndarray) -> None:
        """Learns from what was watched."""
        cluster = self._catalogue.cluster[items]
        self._affinity[users, cluster] += self._p.affinity_rate * (engaged - self._affinity[users, cluster])
        self._last[users] = items
        self._seen[users, items] = True
