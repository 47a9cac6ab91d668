"""Generates the clustered feed: people live through days of what the logging policy shows them, and a log comes of it.

All users go in lock-step, one exposure each at a time; afterwards the log is put on the clock, in sessions and pauses.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from data import ranges
from simulation import limits
from simulation.world.behaviour import Environment, Reactions, react
from simulation.world.clustered.logging_policy import LoggingPolicy
from simulation.world.happened import Feed, store
from simulation.world.population import DAY_MS, Catalogue, draw_users


def check(config: Any) -> None:
    """Raises UsageError, naming the setting, where what only a clustered feed has is not right."""
    limits.at_least(
        config,
        {"interests": 1, "favourite_creators": 1, "num_clusters": config.interests},
        {"num_clusters": "as many as a user's interests"},
    )
    limits.probabilities(config, "policy.same_cluster", "policy.same_creator", "policy.favourite")
    limits.probabilities(config, "behaviour.cluster_turns_sour", "behaviour.creator_turns_sour")


def live(
    rng: np.random.Generator,
    catalogue: Catalogue,
    config: Any,
    *,
    draw_lengths: Callable[[np.random.Generator], np.ndarray],
    advance: Callable[[int], object],
) -> Feed:
    """`Kind.live` of simulation/world/kinds.py."""
    people = draw_users(rng, catalogue, config)
    environment = Environment(people, catalogue, config)
    policy = LoggingPolicy(rng, environment)
    believed = policy.affinity.copy()

    # Users are sorted by activity: those still there at step t are the first so many.
    length = draw_lengths(rng)
    offset, user = ranges.sums_before(length), ranges.owners(length)  # [U + 1], [E]
    new_session = rng.random(len(user)) < 1 / config.policy.session
    new_session[offset[:-1]] = True
    item = np.zeros(len(user), np.int64)
    randomly = np.zeros(len(user), bool)
    log: dict[str, np.ndarray] = {}
    onsets: list[tuple[np.ndarray, np.ndarray]] = []

    for t in range(length[0]):
        active = np.arange(np.searchsorted(-length, -t))
        rows = offset[active] + t
        items, randomly[rows] = policy.serve(rng, active, new_session[rows])
        reactions = react(rng, environment, active, items)
        against_cluster, against_creator = people.take_in(rng, environment, active, items, reactions.click)
        policy.observe(active, items, reactions.click)
        item[rows] = items
        store(log, rows, reactions, len(user))
        now = against_cluster | against_creator
        onsets.append((rows[now], against_creator[now]))
        advance(len(active))

    return Feed(
        catalogue=catalogue,
        people=replace(people, believed=believed),
        user=user,
        item=item,
        timestamp_ms=_clock(rng, user, new_session, log["play_ms"], config),
        randomly_exposed=randomly,
        reactions=Reactions(**log),
        onset=np.concatenate([rows for rows, _ in onsets]),
        onset_of_creator=np.concatenate([of_creator for _, of_creator in onsets]),
        # Not in order of activity: ids tell nothing.
        user_id=rng.permutation(config.num_users),
    )


def _clock(
    rng: np.random.Generator, user: np.ndarray, new_session: np.ndarray, play_ms: np.ndarray, config: Any
) -> np.ndarray:
    # Within a session the next item starts a moment after the last one ends. What is left of the days is divided
    # among the pauses before, between and after a user's sessions in random proportions.
    users = config.num_users
    busy = np.concatenate([[0], play_ms[:-1]]) + rng.integers(300, 2_000, size=len(user))
    busy[new_session] = 0
    pause = np.where(new_session, rng.exponential(size=len(user)), 0.0)
    pauses = np.bincount(user, weights=pause, minlength=users) + rng.exponential(size=users)
    watched = np.bincount(user, weights=busy, minlength=users)
    limits.enough_days(config, watched.max() / DAY_MS)
    spare = config.days * DAY_MS - watched
    elapsed = np.cumsum(busy + pause * (spare / pauses)[user])
    first = np.searchsorted(user, np.arange(users))
    before = np.where(first > 0, elapsed[np.maximum(first - 1, 0)], 0.0)
    return config.start_ms + (elapsed - before[user]).astype(np.int64)
