"""The people of the latent feed: what they like, a few points on the sphere that drift, and what they cannot stand.

    interest(u, i) = max_k s_k · rise(v_i · p_u,k) − satiation · max(0, v_i · m_u),    not below 0
    rise(x)        = (x − low) / (high − low), between 0 and 1

p_u,k are the user's tastes; s_k is 1 for the session's intent and `other_tastes` for the rest. From one day to the next
p becomes unit(p + drift · ε), ε ~ N(0, I / D), or, with probability `renewal`, another taste altogether. All tastes of
a person are somewhat akin: each is drawn beside an item and then towards the first by a share `kinship`. m_u is the
running mean of what the session has had of engaging items: after each exposure m ← keep · m + (1 − keep) · engaged · v.

An aversion is a cap of the sphere around an item that was one too many: {v : v · v_item >= reach}. Labels and creators
show it in part only. A share `fading` of them are over after a time, exponential with mean `fade_days`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.world.behaviour import Environment, People
from simulation.world.draws import choose
from simulation.world.latent.catalogue import LatentCatalogue, on_sphere

NO_INTENT = -1


@dataclass(frozen=True)
class LatentUsers(People):
    """Users, U of them. What stands below `belief` is their state, which changes as they go."""

    path: np.ndarray  # [U, days, K, D] tastes on each day of the log
    weight: np.ndarray  # [U, K] how often each is a session's intent
    belief: np.ndarray  # [U, K, D] what the platform gets wrong about them
    eagerness: np.ndarray  # [U] to engage with anything, standard normal
    taste: np.ndarray  # [U, K, D] now
    intent: np.ndarray  # [U] the taste that the session is about, NO_INTENT outside one
    had: np.ndarray  # [U, D] m: what the session has had
    now: np.ndarray  # [U] days after the log's start
    centre: np.ndarray  # [U, A, D] of aversions
    reach: np.ndarray  # [U, A] their least cosine, above 1 where there is none
    until: np.ndarray  # [U, A] when they are over, days after the log's start, infinity for those that stay

    def interest_in(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """In [0, 1], of users [n] for items [n]."""
        p, vector = environment.config.people, environment.catalogue.vector[items]
        cosine = np.einsum("nkd,nd->nk", self.taste[users], vector)
        intent = self.intent[users, None]
        meant = (intent == NO_INTENT) | (intent == np.arange(cosine.shape[1]))
        rise = np.clip((cosine - p.low) / (p.high - p.low), 0, 1) * np.where(meant, 1, p.other_tastes)
        tired = p.satiation * np.maximum(np.einsum("nd,nd->n", self.had[users], vector), 0)
        return np.maximum(rise.max(axis=1) - tired, 0).astype(np.float64)

    def averse_to(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether items [n] lie in an aversion of users [n] that is not over."""
        cosine = np.einsum("nad,nd->na", self.centre[users], environment.catalogue.vector[items])
        return ((cosine >= self.reach[users]) & (self.now[users, None] < self.until[users])).any(axis=1)

    def temper(self, kind: str, environment: Environment, users: np.ndarray) -> np.ndarray | float:
        """What is added to the log odds of users [n] to engage."""
        return environment.config.people.eagerness * self.eagerness[users] if kind == "engage" else 0.0

    def take_in(
        self,
        rng: np.random.Generator,
        environment: Environment,
        users: np.ndarray,
        items: np.ndarray,
        engaged: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """After exposures: the session has had them, and an enjoyed one may be one too many. Updates the people.

        Returns masks [n]: for whom an aversion has set in, and for whom against a creator, nobody.
        """
        b, vector = environment.config.behaviour, environment.catalogue.vector[items]
        uniform, fades = rng.random((2, len(items))), rng.exponential(b.fade_days, size=len(items))
        least, most = b.reach
        reach = rng.uniform(least, most, size=len(items))
        free = self.reach[users] > 1  # [n, A]
        begins = engaged & (uniform[0] < b.turns_sour) & ~self.averse_to(environment, users, items) & free.any(axis=1)
        who, slot = users[begins], free[begins].argmax(axis=1)
        self.centre[who, slot] = vector[begins]
        self.reach[who, slot] = reach[begins]
        ends = np.where(uniform[1] < b.fading, self.now[users] + fades, np.inf)
        self.until[who, slot] = ends[begins]
        keep = environment.config.people.keep
        self.had[users] = keep * self.had[users] + (1 - keep) * engaged[:, None] * vector
        return begins, np.zeros(len(items), bool)

    def begin_session(
        self, rng: np.random.Generator, environment: Environment, users: np.ndarray, days: np.ndarray
    ) -> None:
        """Users [n] come, at moments [n] not before their last: tastes of that day, a new intent, nothing had yet."""
        passed = np.floor(days).astype(np.int64) - np.floor(self.now[users]).astype(np.int64)
        self.now[users] = days
        inside = days < self.path.shape[1]
        who = users[inside]
        self.taste[who] = self.path[who, days[inside].astype(np.int64)]
        for n in range(int(passed[~inside].max(initial=0))):  # beyond the log's days tastes drift on
            on = users[~inside & (passed > n)]
            self.taste[on] = drifted(rng, self.taste[on], environment.catalogue, environment.config)
        self.intent[users] = choose(self.weight[users], rng.random(len(users)))
        self.had[users] = 0


def drifted(rng: np.random.Generator, taste: np.ndarray, catalogue: LatentCatalogue, config: Any) -> np.ndarray:
    """Tastes [n, K, D] a day later."""
    p = config.people
    moved = on_sphere(taste + p.drift * rng.standard_normal(taste.shape) / np.sqrt(taste.shape[-1]))
    renewed = rng.random(taste.shape[:2]) < p.renewal
    other = draw_tastes(rng, int(renewed.sum()), catalogue, config)
    moved[renewed] = akin(other, moved.mean(axis=1)[np.nonzero(renewed)[0]], p.kinship)
    return moved.astype(np.float32)


def akin(taste: np.ndarray, to: np.ndarray, kinship: float) -> np.ndarray:
    """Tastes [..., D] drawn towards others: unit((1 − kinship) · taste + kinship · unit(other))."""
    return on_sphere((1 - kinship) * taste + kinship * on_sphere(to))


def draw_tastes(rng: np.random.Generator, count: int, catalogue: LatentCatalogue, config: Any) -> np.ndarray:
    """Points [count, D], each beside an item, famous ones more often."""
    p, weight = config.people, catalogue.popularity**config.people.fame_power
    places = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count)).clip(max=len(weight) - 1)
    near = catalogue.vector[places]
    return on_sphere(near + p.beside * rng.standard_normal(near.shape) / np.sqrt(near.shape[-1])).astype(np.float32)


def draw_latent_users(rng: np.random.Generator, catalogue: LatentCatalogue, config: Any) -> LatentUsers:
    """People before their first event."""
    p, users, dim = config.people, config.num_users, config.latent.dim
    taste = draw_tastes(rng, users * p.tastes, catalogue, config).reshape(users, p.tastes, dim)
    taste = akin(taste, taste[:, :1], p.kinship).astype(np.float32)
    path = np.empty((users, config.days, p.tastes, dim), np.float32)
    for day in range(config.days):
        path[:, day] = taste
        taste = drifted(rng, taste, catalogue, config)
    press = config.behaviour.dislike_sour
    return LatentUsers(
        path=path,
        weight=rng.dirichlet(np.full(p.tastes, p.evenness), size=users),
        belief=(config.policy.belief_noise * rng.standard_normal((users, p.tastes, dim)) / np.sqrt(dim)).astype(
            np.float32
        ),
        eagerness=rng.normal(size=users),
        willingness=rng.normal(size=users),
        readiness=rng.beta(config.readiness * press, config.readiness * (1 - press), size=users),
        taste=path[:, 0].copy(),
        intent=np.full(users, NO_INTENT, np.int8),
        had=np.zeros((users, dim), np.float32),
        now=np.zeros(users),
        **no_aversions(users, config),
    )


def no_aversions(count: int, config: Any) -> dict[str, np.ndarray]:
    """The fields of `count` people who can stand everything yet."""
    slots = (count, config.people.aversions)
    return {
        "centre": np.zeros((*slots, config.latent.dim), np.float32),
        "reach": np.full(slots, 2.0, np.float32),
        "until": np.full(slots, np.inf),
    }
