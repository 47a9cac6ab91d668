"""What the latent feed will show, and what people will like of it: the distribution of which its log is a draw.

    next item    P(i is shown, and liked | the user's state, now)
    next days    Σ_k w_k Σ_s P(i is shown, and liked | the session is about taste k, popularity at step s)

A pool of M items drawn in proportion to a, of which one is shown in proportion to e = exp(sharpness · v · q), shows
item i with probability

    P(i) ≈ M a_i e_i / (e_i + (M − 1) Σ_j a_j e_j),    a summing to 1, e_j = 0 where j was met

as the others of the pool come to about their mean; of several q it is the mixture. Of popularity in the next days what
is known is what is left of today's bursts: log a_i(t + d) = fame_i + exp(−d / τ) (log a_i(t) − fame_i). What is yet to
be uploaded nobody knows. No ranking finds more than one in this order, but for these approximations: it is a ceiling
that is slightly too low.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from runtime.errors import UsageError
from simulation.world.behaviour import Environment
from simulation.world.chances import chances
from simulation.world.latent.catalogue import LatentCatalogue, on_sphere
from simulation.world.latent.people import LatentUsers
from simulation.world.latent.platform import as_known
from simulation.world.latent.popularity import step_of
from simulation.world.matching import numbers
from simulation.world.population import DAY_MS
from simulation.world.state import World, take

Scores = NDArray[np.float64]


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


class Expectation:
    """Of one world, asked in the numbering of timelines that were made of it."""

    def __init__(self, world: World, timelines: Timelines):
        """Errors: UsageError where the timelines are not of this world, or it is not a latent one."""
        if not isinstance(world.catalogue, LatentCatalogue):
            raise UsageError("--world: not a latent feed; nothing else knows what it will show")
        self._world, self._catalogue, self._timelines = world, world.catalogue, timelines
        self._user, self._item = numbers(timelines, world)

    def next_item(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray) -> Scores:
        """P(shown and liked) [B, N + 1] at the moments of exposures: users [B], their first event that is not history,
        and the time."""
        environment = self._world.environment_at(self._user[user], time_ms)
        people, config, catalogue = environment.people, environment.config, self._catalogue
        rows, days = np.arange(len(user)), (time_ms - config.start_ms) / DAY_MS
        follow = config.policy.follow * people.had.any(axis=1)
        queries = [as_known(people, rows, days), on_sphere(np.where(people.had.any(axis=1)[:, None], people.had, 1))]
        shares = np.column_stack([(1 - follow)[:, None] * people.weight, follow])
        found = shown(
            np.concatenate([queries[0], queries[1][:, None]], axis=1),
            shares,
            catalogue.path[step_of(days, config)],
            self._met(user, before),
            catalogue,
            config,
        )
        return self._scores(found * self._liked(environment))

    def next_days(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray, *, ends_ms: int) -> Scores:
        """Expected positives [B, N + 1] from the moments on till `ends_ms`, but for a factor of the user."""
        world, config, catalogue = self._world, self._world.config, self._catalogue
        rows, days = np.arange(len(user)), (time_ms - config.start_ms) / DAY_MS
        environment = world.environment_at(self._user[user], time_ms)
        tastes, met = config.people.tastes, self._met(user, before)
        today = catalogue.path[step_of(days, config)]
        fame = np.log(catalogue.popularity)
        span = max((ends_ms - int(time_ms.min())) / DAY_MS, 0.5)
        known = as_known(environment.people, rows, days)
        found = np.zeros(today.shape)
        for taste in range(tastes):
            people = dataclasses.replace(environment.people, intent=np.full(len(user), taste, np.int8))
            liked = self._liked(Environment(people, catalogue, config))
            # What engages in a session lies about its intent, and is followed there.
            shares = (1 - config.policy.follow) * people.weight
            shares[:, taste] += config.policy.follow
            for ahead in np.arange(0.25, span, 0.5):
                later = fame + np.exp(-ahead / config.popularity.burst_days) * (today - fame)
                found += people.weight[:, taste, None] * shown(known, shares, later, met, catalogue, config) * liked
        return self._scores(found)

    def _met(self, user: np.ndarray, before: np.ndarray) -> np.ndarray:
        # [B, N] of the world's items.
        met = np.zeros((len(user), self._world.num_items), bool)
        begin = self._timelines.offsets[user]
        event = ranges.positions(begin, before - begin)
        met[ranges.owners(before - begin), self._item[self._timelines.item[event]]] = True
        return met

    def _liked(self, environment: Environment) -> Scores:
        # P(long view) [B, N], the commonest of positives by far.
        people: LatentUsers = environment.people
        items = np.arange(self._world.num_items)
        found = np.empty((len(people.now), len(items)))
        for row in range(len(found)):
            alone = Environment(take(people, np.array([row])), environment.catalogue, environment.config)
            found[row] = chances(
                ("long_view",), alone, np.zeros(len(items), np.int64), items, above_ms=np.zeros((len(items), 2))
            )[:, 0]
        return found

    def _scores(self, of_items: Scores) -> Scores:
        scores = of_items[:, np.maximum(self._item, 0)]  # [B, N + 1]
        scores[:, 0] = 0
        return scores
