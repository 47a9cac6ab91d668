"""What the latent feed will show, and what people will like of it.

    next item    P(i is shown, and liked | the user's state, now)
    next days    Σ_k w_k Σ_s P(i is shown, and liked | the session is about taste k, popularity at step s)

A pool of M items drawn in proportion to a, of which one is shown in proportion to e = exp(sharpness · v · q), shows
item i with probability

    P(i) ≈ M a_i e_i / (e_i + (M − 1) Σ_j a_j e_j),    a summing to 1, e_j = 0 where j was met

as the others of the pool come to about their mean; of several q it is the mixture. Of popularity in the next days what
is known is what is left of today's bursts: log a_i(t + d) = fame_i + exp(−d / τ) (log a_i(t) − fame_i). What is yet to
be uploaded nobody knows.
"""

import dataclasses
from typing import Any

import numpy as np

from simulation.world.behaviour import Environment
from simulation.world.expectation.base import Moments, Scores, liked
from simulation.world.latent.catalogue import LatentCatalogue, on_sphere
from simulation.world.latent.platform import as_known
from simulation.world.latent.popularity import step_of
from simulation.world.population import DAY_MS


def shown(
    queries: np.ndarray,
    shares: np.ndarray,
    popularity: np.ndarray,
    met: np.ndarray,
    catalogue: LatentCatalogue,
    config: Any,
) -> Scores:
    """P(i) [n, N]: of queries [n, Q, D] with shares [n, Q], log popularity [n, N] and items met, mask [n, N]."""
    p = config.policy
    there = np.isfinite(popularity)
    a = np.exp(popularity - popularity.max(axis=1, keepdims=True))
    a /= a.sum(axis=1, keepdims=True)
    found = np.zeros(popularity.shape)
    for q in range(queries.shape[1]):
        e = np.exp(p.sharpness * (queries[:, q] @ catalogue.vector.T)) * ~met  # [n, N]
        others = (p.pool - 1) * (a * e).sum(axis=1, keepdims=True)
        of_query = a * e / np.maximum(e + others, 1e-30)
        found += shares[:, q, None] * of_query / np.maximum(of_query.sum(axis=1, keepdims=True), 1e-30)
    return (1 - p.random) * found + p.random * there / there.sum(axis=1, keepdims=True)


class LatentExpectation:
    """`Expectation` of a latent world."""

    def __init__(self, moments: Moments):
        """Args: of a world whose catalogue is a LatentCatalogue."""
        assert isinstance(moments.world.catalogue, LatentCatalogue)
        self._moments, self._catalogue = moments, moments.world.catalogue

    def next_item(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray) -> Scores:
        """As `Expectation` says."""
        environment = self._moments.world.environment_at(self._moments.user[user], time_ms)
        people, config, catalogue = environment.people, environment.config, self._catalogue
        rows, days = np.arange(len(user)), (time_ms - config.start_ms) / DAY_MS
        follow = config.policy.follow * people.had.any(axis=1)
        queries = [as_known(people, rows, days), on_sphere(np.where(people.had.any(axis=1)[:, None], people.had, 1))]
        shares = np.column_stack([(1 - follow)[:, None] * people.weight, follow])
        found = shown(
            np.concatenate([queries[0], queries[1][:, None]], axis=1),
            shares,
            catalogue.path[step_of(days, config)],
            self._moments.met(user, before),
            catalogue,
            config,
        )
        return self._moments.scores(found * liked(environment))

    def next_days(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray, *, ends_ms: int) -> Scores:
        """As `Expectation` says."""
        world, catalogue = self._moments.world, self._catalogue
        config = world.config
        rows, days = np.arange(len(user)), (time_ms - config.start_ms) / DAY_MS
        environment = world.environment_at(self._moments.user[user], time_ms)
        tastes, met = config.people.tastes, self._moments.met(user, before)
        today = catalogue.path[step_of(days, config)]
        fame = np.log(catalogue.popularity)
        span = max((ends_ms - int(time_ms.min())) / DAY_MS, 0.5)
        known = as_known(environment.people, rows, days)
        found = np.zeros(today.shape)
        for taste in range(tastes):
            people = dataclasses.replace(environment.people, intent=np.full(len(user), taste, np.int8))
            of_taste = liked(Environment(people, catalogue, config))
            # What engages in a session lies about its intent, and is followed there.
            shares = (1 - config.policy.follow) * people.weight
            shares[:, taste] += config.policy.follow
            for ahead in np.arange(0.25, span, 0.5):
                later = fame + np.exp(-ahead / config.popularity.burst_days) * (today - fame)
                found += people.weight[:, taste, None] * shown(known, shares, later, met, catalogue, config) * of_taste
        return self._moments.scores(found)
