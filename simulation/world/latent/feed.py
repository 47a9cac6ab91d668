"""Generates the latent feed: people come in sessions over the log's days and are shown what the platform chooses.

All users go in lock-step, an exposure each at a time, each on a clock of its own: a session begins when it was planned,
an hour of the day as likely as `daily_rhythm` says, and the next item a moment after the last one ends.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from data import ranges
from runtime.errors import UsageError
from simulation import limits
from simulation.world.behaviour import Environment, Reactions, react
from simulation.world.happened import Feed, store
from simulation.world.latent.catalogue import LatentCatalogue
from simulation.world.latent.people import draw_latent_users
from simulation.world.latent.platform import Platform
from simulation.world.population import DAY_MS

_SPARE_MS = 7_200_000  # sessions begin so long before the log ends, at the latest


def check(config: Any) -> None:
    """Raises UsageError, naming the setting, where what only a latent feed has is not right."""
    limits.at_least(
        config,
        {
            "num_clusters": 3,
            "latent.dim": 2,
            "people.tastes": 1,
            "people.aversions": 1,
            "policy.pool": 1,
            "policy.session": 1,
        },
        {"num_clusters": "one that says nothing, and two genres"},
    )
    shares = {
        "latent": ("genre_share", "creator_share", "label_coarse", "label_wrong", "genre_overlap"),
        "popularity": ("fame_of_creator", "new_a_day"),
        "people": ("renewal", "other_tastes", "keep"),
        "behaviour": ("turns_sour", "fading"),
        "policy": ("follow",),
    }
    limits.probabilities(config, "daily_rhythm", *(f"{part}.{name}" for part in shares for name in shares[part]))
    for first, second in (("genre_share", "creator_share"), ("label_coarse", "label_wrong")):
        if (total := config.latent[first] + config.latent[second]) > 1:
            raise UsageError(f"--config.latent.{first} and --config.latent.{second} are {total:g} together: 1 at most")
    if config.popularity.new_a_day * config.days >= 1:
        raise UsageError(
            f"--config.popularity.new_a_day={config.popularity.new_a_day}: the whole catalogue in {config.days} days; "
            "less, so that the first days have something to show"
        )


def live(
    rng: np.random.Generator,
    catalogue: LatentCatalogue,
    config: Any,
    *,
    draw_lengths: Callable[[np.random.Generator], np.ndarray],
    advance: Callable[[int], object],
) -> Feed:
    """`Kind.live` of simulation/world/kinds.py."""
    people = draw_latent_users(rng, catalogue, config)
    environment = Environment(people, catalogue, config)
    platform = Platform(people, catalogue, config)
    length = draw_lengths(rng)
    offset, user = ranges.sums_before(length), ranges.owners(length)
    new_session = rng.random(len(user)) < 1 / config.policy.session
    new_session[offset[:-1]] = True
    start = planned(rng, user, new_session, config)
    clock = np.zeros(config.num_users)  # ms after the log's start: when the last play ended
    pause = rng.integers(300, 2_000, size=len(user))
    item, time = np.zeros(len(user), np.int64), np.zeros(len(user), np.int64)
    intent, randomly = np.zeros(len(user), np.int8), np.zeros(len(user), bool)
    log: dict[str, np.ndarray] = {}
    onsets, reach, until = [], [], []
    for t in range(length[0]):
        active = np.arange(np.searchsorted(-length, -t))
        rows = offset[active] + t
        new = new_session[rows]
        clock[active] = np.maximum(clock[active] + pause[rows], np.where(new, start[rows], 0))
        days = clock[active] / DAY_MS
        limits.enough_days(config, days[new].max(initial=0.0) - 1.0)  # one of many may begin a little late
        people.begin_session(rng, environment, active[new], days[new])
        items, randomly[rows] = platform.serve(rng, active, days, new)
        reactions = react(rng, environment, active, items)
        begun, _ = people.take_in(rng, environment, active, items, reactions.click)
        item[rows], time[rows], intent[rows] = items, clock[active], people.intent[active]
        clock[active] += reactions.play_ms
        store(log, rows, reactions, len(user))
        slot = (people.reach[active[begun]] <= 1).sum(axis=1) - 1  # the newest
        onsets.append(rows[begun])
        reach.append(people.reach[active[begun], slot])
        until.append(people.until[active[begun], slot])
        advance(len(active))
    onset = np.concatenate(onsets)
    return Feed(
        catalogue=catalogue,
        people=people,
        user=user,
        item=item,
        timestamp_ms=config.start_ms + time,
        randomly_exposed=randomly,
        reactions=Reactions(**log),
        onset=onset,
        onset_of_creator=np.zeros(len(onset), bool),
        user_id=rng.permutation(config.num_users),
        intent=intent,
        session=np.cumsum(new_session) - 1,
        reach=np.concatenate(reach),
        until=np.concatenate(until),
    )


def planned(rng: np.random.Generator, user: np.ndarray, new_session: np.ndarray, config: Any) -> np.ndarray:
    """When each session is to begin, ms after the log's start, at its first event [E], rising within a user; else 0."""
    of = user[new_session]
    whole, hour = np.floor(rng.random(len(of)) * config.days), _hours(rng, len(of), config.daily_rhythm)
    at = np.minimum((whole + hour / 24) * DAY_MS, config.days * DAY_MS - _SPARE_MS)
    start = np.zeros(len(user))
    start[new_session] = at[np.lexsort((at, of))]
    return start


def _hours(rng: np.random.Generator, count: int, rhythm: float) -> np.ndarray:
    # Of density 1 + rhythm · cos(2π (h − 20) / 24): the evening is busiest.
    grid = np.linspace(0, 24, 241)
    density = grid / 24 + rhythm / (2 * np.pi) * (np.sin(2 * np.pi * (grid - 20) / 24) - np.sin(2 * np.pi * (-20) / 24))
    return np.interp(rng.random(count), density, grid)
