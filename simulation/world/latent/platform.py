"""The platform of the latent feed: a pool of what is popular just now, ranked for the user, of which one is shown.

    pool     M items, drawn in proportion to a_i(t) (popularity.py)
    shown    one of those the user has not met, in proportion to exp(sharpness · v_i · q)
    q        one of the user's tastes of yesterday as the platform knows it, unit(p_u,k + its error), drawn by weight;
             within a session, with probability `follow`, the running mean of what engaged there, unit(m_u)

A share `random` is drawn uniformly of all items there are. Dislikes are never looked at.
"""

from typing import Any

import numpy as np

from simulation.world.draws import choose
from simulation.world.latent.catalogue import LatentCatalogue, on_sphere
from simulation.world.latent.people import LatentUsers
from simulation.world.latent.popularity import step_of

_TABLE = 1 << 16


class Platform:
    """Serves one item to each user at a time."""

    def __init__(self, people: LatentUsers, catalogue: LatentCatalogue, config: Any):
        self._people, self._catalogue, self._config = people, catalogue, config
        self._met = np.zeros((len(self._people.readiness), len(self._catalogue.creator)), bool)
        self._table = np.stack([_table(row) for row in catalogue.path])  # [S, _TABLE]
        self._by_upload = np.argsort(self._catalogue.uploaded_ms, kind="stable")
        self._uploaded = np.isfinite(self._catalogue.path).sum(axis=1)  # [S] items there are

    def serve(
        self, rng: np.random.Generator, users: np.ndarray, days: np.ndarray, new_session: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items [n] for users [n] at moments [n], and which of them were drawn uniformly, mask [n]."""
        p, step = self._config.policy, step_of(days, self._config)
        uniform = rng.random((4, len(users)))
        pool = self._pool(rng, step)  # [n, M]
        weight = np.exp(
            np.float32(p.sharpness)
            * np.einsum("nmd,nd->nm", self._catalogue.vector[pool], self._query(users, days, new_session, uniform))
        )
        # The first of exponential clocks with these rates: a draw in proportion to them.
        clock = rng.standard_exponential(size=weight.shape, dtype=np.float32) / weight
        clock[self._met[users[:, None], pool]] = np.inf
        items = pool[np.arange(len(users)), clock.argmin(axis=1)]
        random = uniform[2] < p.random
        anything = self._by_upload[(uniform[3] * self._uploaded[step]).astype(np.int64)]
        items = np.where(random, anything, items)
        self._met[users, items] = True
        return items, random

    def _query(self, users: np.ndarray, days: np.ndarray, new_session: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        people, p = self._people, self._config.policy
        taste = choose(people.weight[users], uniform[0])
        known = as_known(people, users, days)[np.arange(len(users)), taste]
        follow = ~new_session & (uniform[1] < p.follow) & people.had[users].any(axis=1)
        return np.where(follow[:, None], on_sphere(np.where(follow[:, None], people.had[users], 1)), known)

    def _pool(self, rng: np.random.Generator, step: np.ndarray) -> np.ndarray:
        draw = rng.integers(0, _TABLE, size=(len(step), self._config.policy.pool), dtype=np.uint16)
        return self._table[step[:, None], draw]


def as_known(people: LatentUsers, users: np.ndarray, days: np.ndarray) -> np.ndarray:
    """The tastes [n, K, D] of users [n] as the platform knows them at moments [n]: yesterday's, and not quite right."""
    yesterday = np.clip(days.astype(np.int64) - 1, 0, people.path.shape[1] - 1)
    return on_sphere(people.path[users, yesterday] + people.belief[users])


def _table(log_weight: np.ndarray) -> np.ndarray:
    # Items in proportion to their weights, _TABLE of them: an entry drawn uniformly is an item drawn by weight.
    weight = np.exp(log_weight.astype(np.float64) - log_weight.max())
    places = (np.arange(_TABLE) + 0.5) / _TABLE
    table = np.searchsorted(np.cumsum(weight) / weight.sum(), places, side="right")
    return table.clip(max=len(weight) - 1).astype(np.int32)
