"""When users come, when they stop, and whether they come back: the feed's premise about leaving, and only that.

The log's own clock knows nothing of this: here is what a closed loop adds to `simulation/world/behaviour.py`.

    P(u comes on day d) = σ(logit h_u + m_u,d)
    m_u,d+1 = decay · m_u,d + [u came on day d] · (satisfaction · (s̄_u,d − s_u) + dislike · n_u,d)
    after each item u stops for the day with probability 1 / e_u, or, if that does not happen,
    closes the feed on the item, a dismissal, with probability dismiss · (1 − P(satisfied))

h_u is the share of days on which u came in the log, e_u the mean number of items on such a day, s_u the mean
satisfaction with them; s̄_u,d the mean satisfaction of day d and n_u,d the dislikes given on it. Good days bring a user
back sooner, bad days later, and habit wins in the end: m fades by `decay` a day.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.world.behaviour import Reactions, sigmoid
from simulation.world.population import DAY_MS
from simulation.world.state import World


@dataclass(frozen=True)
class Habits:
    """What the log says of U users, [U] each."""

    visit: np.ndarray  # h, a probability strictly between 0 and 1
    items: np.ndarray  # e, at least 1
    satisfaction: np.ndarray  # s
    activity: np.ndarray  # events in the log


def habits(world: World) -> Habits:
    """h = (days with an event + 1) / (days + 2), so that nobody comes always or never; e and s are plain means."""
    log, days = world.log, world.config.days
    day = np.clip((log.timestamp_ms - world.config.start_ms) // DAY_MS, 0, days - 1)
    came = np.bincount(np.unique(log.user * days + day) // days, minlength=world.num_users)
    events = np.diff(log.offsets)
    satisfied = np.bincount(log.user, weights=log.satisfaction, minlength=world.num_users)
    return Habits(
        visit=(came + 1) / (days + 2),
        items=np.maximum(events, 1) / np.maximum(came, 1),
        satisfaction=np.where(events > 0, satisfied / np.maximum(events, 1), world.log.satisfaction.mean()),
        activity=events,
    )


def come(rng: np.random.Generator, habits: Habits, mood: np.ndarray) -> np.ndarray:
    """Who of n users comes today, mask [n]; `mood` [n] is m."""
    return rng.random(len(mood)) < sigmoid(np.log(habits.visit / (1 - habits.visit)) + mood)


def leave(
    rng: np.random.Generator, users: np.ndarray, reactions: Reactions, *, habits: Habits, config: Any
) -> tuple[np.ndarray, np.ndarray]:
    """After one item of each of `users` [n]: who goes for today, and who of these has dismissed the item, masks [n].

    `config` is `config.returning` of configs/ab_test.py.
    """
    uniform = rng.random((2, len(users)))
    stops = uniform[0] < 1 / habits.items[users]
    dismisses = ~stops & (uniform[1] < config.dismiss * (1 - reactions.satisfaction_probability))
    return stops | dismisses, dismisses


def next_mood(
    mood: np.ndarray,
    *,
    habits: Habits,
    impressions: np.ndarray,
    satisfaction: np.ndarray,
    dislikes: np.ndarray,
    config: Any,
) -> np.ndarray:
    """m of the next day [n], from the day's impressions, summed satisfaction and dislikes, [n] each."""
    there = impressions > 0
    day = satisfaction / np.maximum(impressions, 1) - habits.satisfaction
    return config.decay * mood + there * (config.satisfaction * day + config.dislike * dislikes)
