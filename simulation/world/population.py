"""The population of the synthetic feed: draws users with their tastes, and the catalogue of items they can watch."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from simulation.world.behaviour import Environment, People
from simulation.world.draws import GroupSampler, choose

LEAST_EVENTS = 3  # of a user
DAY_MS = 86_400_000
_STANDARD_NORMAL = NormalDist()


@dataclass(frozen=True)
class Catalogue:
    """Items, N of them; all arrays are [N]."""

    creator: np.ndarray
    cluster: np.ndarray
    duration_ms: np.ndarray
    uploaded_ms: np.ndarray
    quality: np.ndarray  # standard normal
    clickbait: np.ndarray  # in [0, 1], mostly low: draws attention, disappoints
    popularity: np.ndarray  # relative weight with which the platform picks it within its cluster or creator

    @property
    def log_popularity(self) -> np.ndarray:
        """Standardised log popularity [N]."""
        log = np.log(self.popularity)
        return (log - log.mean()) / log.std()


@dataclass(frozen=True)
class Users(People):
    """Users, U of them. `sour_cluster` and `sour_creator` are state: they turn true as aversions set in."""

    interest: np.ndarray  # [U, clusters], in [0, 1], 1 for the dearest cluster, 0 for most
    favourites: np.ndarray  # [U, F] creators
    believed: np.ndarray  # [U, clusters] what the platform took their interest for before their first event; 0 unserved
    sour_cluster: np.ndarray  # [U, clusters] bool
    sour_creator: np.ndarray  # [U, creators] bool

    def interest_in(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """In [0, 1], of users [n] for items [n]: that in the item's cluster."""
        return self.interest[users, environment.catalogue.cluster[items]]

    def follows(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether the creator of each item [n] is a favourite of the user [n] beside it."""
        return (self.favourites[users] == environment.catalogue.creator[items][:, None]).any(axis=1)

    def averse_to(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether users [n] have turned against the cluster or the creator of items [n]."""
        catalogue = environment.catalogue
        return self.sour_cluster[users, catalogue.cluster[items]] | self.sour_creator[users, catalogue.creator[items]]

    def take_in(
        self,
        rng: np.random.Generator,
        environment: Environment,
        users: np.ndarray,
        items: np.ndarray,
        engaged: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """After an enjoyed exposure its cluster, or its creator, may be one too many. Updates the people.

        Returns two masks [n]: for whom the cluster turned sour just now, and for whom the creator did.
        """
        b, catalogue = environment.config.behaviour, environment.catalogue
        cluster, creator = catalogue.cluster[items], catalogue.creator[items]
        enjoyed = engaged & ~self.averse_to(environment, users, items)
        uniform = rng.random((2, len(items)))
        cluster_now = enjoyed & (uniform[0] < b.cluster_turns_sour)
        creator_now = enjoyed & (uniform[1] < b.creator_turns_sour) & ~cluster_now
        self.sour_cluster[users[cluster_now], cluster[cluster_now]] = True
        self.sour_creator[users[creator_now], creator[creator_now]] = True
        return cluster_now, creator_now


def draw_catalogue(rng: np.random.Generator, config: Any) -> Catalogue:
    """Creators publish mostly in one cluster, sometimes in a second; popularity is heavy-tailed; uploads precede
    the log."""
    # Clusters differ in size, and so do creators; every cluster has at least one creator.
    cluster_share = rng.dirichlet(np.full(config.num_clusters, 5.0))
    main = rng.choice(config.num_clusters, size=config.num_creators, p=cluster_share)
    main[: config.num_clusters] = np.arange(config.num_clusters)
    second = rng.choice(config.num_clusters, size=config.num_creators, p=cluster_share)
    fame = rng.lognormal(sigma=config.popularity_sigma, size=config.num_creators)
    # Every creator has an item in its main cluster, so that no group is empty; the rest goes to the productive ones.
    output = rng.lognormal(sigma=1.0, size=config.num_creators)
    extra = rng.choice(config.num_creators, size=config.num_items - config.num_creators, p=output / output.sum())
    creator = np.concatenate([np.arange(config.num_creators), extra])
    aside = (rng.random(config.num_items) < config.second_cluster) & (
        np.arange(config.num_items) >= config.num_creators
    )
    cluster = np.where(aside, second[creator], main[creator])
    shuffle = rng.permutation(config.num_items)
    creator, cluster = creator[shuffle], cluster[shuffle]
    quality = rng.normal(size=config.num_items)
    clickbait = rng.beta(1.0, 4.0, size=config.num_items)
    duration = rng.lognormal(np.log(config.duration_median_ms), config.duration_sigma, size=config.num_items)
    age_days = rng.exponential(30.0, size=config.num_items)
    noise = rng.lognormal(sigma=config.popularity_sigma, size=config.num_items)
    return Catalogue(
        creator=creator,
        cluster=cluster,
        duration_ms=np.clip(duration, *config.duration_range_ms).astype(np.int64),
        uploaded_ms=config.start_ms - (age_days * DAY_MS).astype(np.int64),
        quality=quality,
        clickbait=clickbait,
        popularity=fame[creator] * noise * np.exp(0.3 * quality),
    )


def draw_users(rng: np.random.Generator, catalogue: Catalogue, config: Any) -> Users:
    """Each user cares about a few clusters, popular ones more often, and follows creators who publish in them."""
    U, K = config.num_users, config.num_clusters
    popularity = np.bincount(catalogue.cluster, weights=catalogue.popularity, minlength=K)
    # The largest of log weight + Gumbel noise: a draw without replacement for all users at once.
    keys = 0.5 * np.log(popularity + 1e-9) + rng.gumbel(size=(U, K))
    chosen = np.argsort(-keys, axis=1, kind="stable")[:, : config.interests]  # [U, interests]
    strength = rng.gamma(1.5, size=chosen.shape)
    interest = np.zeros((U, K))
    np.put_along_axis(interest, chosen, strength / strength.max(axis=1, keepdims=True), axis=1)
    return Users(
        interest=interest,
        favourites=_draw_favourites(rng, interest, catalogue, config.favourite_creators),
        believed=np.zeros((U, K)),
        willingness=rng.normal(size=U),
        readiness=rng.beta(
            config.readiness * config.behaviour.dislike_sour,
            config.readiness * (1 - config.behaviour.dislike_sour),
            size=U,
        ),
        sour_cluster=np.zeros((U, K), bool),
        sour_creator=np.zeros((U, config.num_creators), bool),
    )


def lengths_of_total(rng: np.random.Generator, config: Any) -> np.ndarray:
    """Events of each of U users, int [U], descending: log-normal up to `max_activity` times the mean of these users,
    and scaled to `num_events` together.
    """
    activity = rng.lognormal(sigma=config.activity_sigma, size=config.num_users)
    activity = np.minimum(activity / activity.mean(), config.max_activity)
    return _lengths(activity / activity.sum() * config.num_events)


def lengths_apart(rng: np.random.Generator, config: Any) -> np.ndarray:
    """The same, but for the means of the distribution in place of those of the U users: independent of each other.

    With z log-normal, M = `max_activity`, k = M E z and Φ the normal distribution function,
    E min(z / E z, M) = Φ((log k − σ²) / σ) + M (1 − Φ(log k / σ)), and E z = exp(σ² / 2).
    """
    sigma, most = config.activity_sigma, config.max_activity
    expected = math.exp(sigma**2 / 2)
    cut, phi = math.log(most * expected), _STANDARD_NORMAL.cdf
    mean = phi((cut - sigma**2) / sigma) + most * (1 - phi(cut / sigma)) if sigma else min(1.0, most)
    activity = np.minimum(rng.lognormal(sigma=sigma, size=config.num_users) / expected, most)
    return _lengths(activity / mean * config.num_events / config.num_users)


def _lengths(events: np.ndarray) -> np.ndarray:
    return -np.sort(-np.maximum(np.round(events).astype(np.int64), LEAST_EVENTS))


def _draw_favourites(rng: np.random.Generator, interest: np.ndarray, catalogue: Catalogue, count: int) -> np.ndarray:
    # A cluster in proportion to interest, then an item of it by popularity: its creator. Duplicates do no harm.
    clusters = choose(interest[:, None, :], rng.random((len(interest), count)))  # [U, count]
    items = GroupSampler(catalogue.cluster, catalogue.popularity, interest.shape[1])
    return catalogue.creator[items.draw(clusters.ravel(), rng.random(clusters.size))].reshape(clusters.shape)
