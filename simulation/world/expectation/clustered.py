"""What the clustered feed will show, and what people will like of it.

The platform draws from a cluster or a creator g (simulation/world/clustered/logging_policy.py), of which it takes the
first of T popular items that is new to the user. With p_i the popularity of item i within g, 0 where it was met, and
u = Σ p of the whole g, that shows

    P(i | g) = p_i (1 − (1 − u)^T) / u

and where none of the T was new, the first new one of T of any of the cluster's items, likewise. Which g it is,

    next item    the platform's belief says, moved by each click, what was shown last, and whether the session goes on
    next days    the same chain says in the long run: x ← what is shown if what was shown last is drawn from x

and in the next days i is liked with a chance of P(liked) (1 − exp(−n x_i)), as nothing comes twice, with n exposures if
the user goes on as often as before. That the belief moves on in these days is left out; of the next item nothing is.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from data import ranges
from data.feedback import has
from simulation.world.clustered.logging_policy import TRIES
from simulation.world.expectation.base import Moments, Scores, liked
from simulation.world.population import DAY_MS

_LONGEST_STEP_MS = 2_000  # from the end of one play to the next item of the session
_ROUNDS = 8  # of the chain: after a few what was shown first has been forgotten


class _Unmet(NamedTuple):
    """What is new to users [B]: items [B, N], how much of each cluster [B, K] by number, and u of each cluster and of
    each creator [B, C]."""

    new: NDArray[np.bool_]
    left: Scores
    of_cluster: Scores
    of_creator: Scores


class ClusteredExpectation:
    """`Expectation` of a clustered world."""

    def __init__(self, moments: Moments):
        """Args: of a world whose people are `population.Users`."""
        self._moments, world = moments, moments.world
        catalogue, self._p = world.catalogue, world.config.policy
        self._cluster, self._creator = catalogue.cluster, catalogue.creator
        self._in_cluster, self._by_creator = _one_hot(self._cluster), _one_hot(self._creator)  # [N, groups]
        self._of_cluster, self._of_creator = (
            catalogue.popularity / (catalogue.popularity @ groups)[group]
            for groups, group in ((self._in_cluster, self._cluster), (self._by_creator, self._creator))
        )  # p [N] of its cluster and of its creator, were all of it new
        self._any = 1.0 / np.bincount(self._cluster)[self._cluster]  # [N]

    def next_item(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray) -> Scores:
        """As `Expectation` says."""
        unmet = self._unmet(user, before)
        found = self._shown(self._last(user, before, time_ms), *self._taste(user, before, unmet), unmet)
        return self._moments.scores(found * self._liked(user, time_ms))

    def next_days(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray, *, ends_ms: int) -> Scores:
        """As `Expectation` says."""
        unmet = self._unmet(user, before)
        taste = self._taste(user, before, unmet)
        found = self._shown(np.zeros(unmet.new.shape), *taste, unmet)
        goes_on = 1 - 1 / self._p.session
        for _ in range(_ROUNDS):
            last = goes_on * found / found.sum(axis=1, keepdims=True)
            found = self._shown(last, *taste, unmet)
        config = self._moments.world.config
        days = np.maximum((time_ms - config.start_ms) / DAY_MS, 1.0)
        exposures = np.maximum(before - self._moments.timelines.offsets[user], 1) / days * (ends_ms - time_ms) / DAY_MS
        met = 1 - np.exp(-exposures[:, None] * found)
        return self._moments.scores(met * self._liked(user, time_ms))

    def _unmet(self, user: np.ndarray, before: np.ndarray) -> _Unmet:
        new = ~self._moments.met(user, before)
        return _Unmet(
            new,
            (new * self._any) @ self._in_cluster,
            (new * self._of_cluster) @ self._in_cluster,
            (new * self._of_creator) @ self._by_creator,
        )

    def _shown(self, last: Scores, wanted: Scores, favourites: Scores, unmet: _Unmet) -> Scores:
        """P(i is shown) [B, N] of new items.

        Args: last [B, N], the chance of each item to have been shown just before, in the same session; wanted [B, K],
        the chance of a cluster where nothing is followed up; favourites [B, C], likewise of a creator.
        """
        p, new = self._p, unmet.new
        followed = last * (p.same_cluster * unmet.left)[:, self._cluster]
        otherwise = 1 - followed.sum(axis=1, keepdims=True)
        cluster = (1 - p.same_creator) * followed @ self._in_cluster + otherwise * (1 - p.favourite) * wanted
        creator = p.same_creator * followed @ self._by_creator + otherwise * p.favourite * favourites
        found = np.full(new.shape, p.random / new.shape[1])
        # What of each cluster is drawn from all of its items, as no popular one was new.
        failed = np.zeros_like(cluster)
        for share, u, popularity, group in (
            (cluster, unmet.of_cluster, self._of_cluster, self._cluster),
            (creator, unmet.of_creator, self._of_creator, self._creator),
        ):
            found += (1 - p.random) * ((share * _first_of_tries(u))[:, group] * popularity)
            # The cluster is that of the first try.
            failed += (~new * (share * (1 - u) ** (TRIES - 1))[:, group] * popularity) @ self._in_cluster
        found += (1 - p.random) * (failed * _first_of_tries(unmet.left))[:, self._cluster] * self._any
        return found * new

    def _taste(self, user: np.ndarray, before: np.ndarray, unmet: _Unmet) -> tuple[Scores, Scores]:
        # The chance of each cluster [B, K] and creator [B, C] where nothing is followed up.
        weight = unmet.left * (self._p.affinity_floor + self._believed(user, before)) ** self._p.affinity_power
        favourites = self._moments.world.people.favourites[self._moments.user[user]]  # [B, F]
        of_creator = np.zeros((len(user), self._by_creator.shape[1]))
        np.add.at(of_creator, (np.arange(len(user))[:, None], favourites), 1 / favourites.shape[1])
        return weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-30), of_creator

    def _believed(self, user: np.ndarray, before: np.ndarray) -> Scores:
        # The running mean of clicks [B, K], after n events of a cluster (1 − r)^n start + Σ r (1 − r)^later clicked.
        moments, rate = self._moments, self._p.affinity_rate
        row, event = moments.past(user, before)
        cluster = self._cluster[moments.item[moments.timelines.item[event]]]
        clicked = has(moments.timelines.feedback[event], "click")
        start = moments.world.people.believed[moments.user[user]]
        shape = start.shape
        group = np.ravel_multi_index((row, cluster), shape)
        count = np.bincount(group, minlength=start.size)
        order = np.argsort(group, kind="stable")
        later = count[group] - 1  # events of the same row and cluster after each
        later[order] -= ranges.places(count)
        learned = np.bincount(group, weights=clicked * rate * (1 - rate) ** later, minlength=start.size)
        return (1 - rate) ** count.reshape(shape) * start + learned.reshape(shape)

    def _last(self, user: np.ndarray, before: np.ndarray, time_ms: np.ndarray) -> Scores:
        # 1 for the item shown just before, [B, N]; nothing where the session is a new one.
        timelines = self._moments.timelines
        event = np.maximum(before - 1, 0)
        pause = time_ms - timelines.timestamp_ms[event] - timelines.play_ms[event]
        goes_on = (before > timelines.offsets[user]) & (pause <= _LONGEST_STEP_MS)
        last = np.zeros((len(user), len(self._cluster)))
        last[np.arange(len(user)), self._moments.item[timelines.item[event]]] = goes_on
        return last

    def _liked(self, user: np.ndarray, time_ms: np.ndarray) -> Scores:
        return liked(self._moments.world.environment_at(self._moments.user[user], time_ms))


def _first_of_tries(u: Scores) -> Scores:
    # (1 − (1 − u)^T) / u.
    return np.where(u > 1e-9, (1 - (1 - u) ** TRIES) / np.maximum(u, 1e-9), TRIES)


def _one_hot(group: np.ndarray) -> scipy.sparse.csr_array:
    # [N, groups]
    return scipy.sparse.csr_array((np.ones(len(group)), (np.arange(len(group)), group)))
