"""The closed loop: people of the synthetic feed live through simulated days, each served by the recommender of its arm.

What a person does is `simulation/world/behaviour.py`; whether a person comes and when it goes
`simulation/world/returning.py`; what is shown `simulation/exported/serving.py`. Everybody who is there takes the next
item at the same time, so that models are asked for many users in one call.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data import feedback, ranges
from data.events_read import Reader
from runtime.progress import progress
from simulation.ab_test.tallies import Tallies
from simulation.exported.arms import Arm, world_items
from simulation.exported.met import Met
from simulation.exported.serving import Server
from simulation.world.behaviour import react
from simulation.world.returning import Habits, come, leave, next_mood
from simulation.world.state import World


def live_on(
    rng: np.random.Generator,
    world: World,
    arm_of: np.ndarray,
    arms: Sequence[Arm],
    *,
    habits: Habits,
    config: Any,
    quiet: bool = False,
) -> Tallies:
    """Serves the people of the world [n], each by `arms[arm_of]`, for `config.days` (configs/ab_test.py).

    `habits` are those of these people [n]. The world stays as it is. `quiet`: without a progress bar.
    """
    count = world.num_users
    environment = world.environment_of(np.arange(count))
    tallies = Tallies(world, days=config.days, window=config.diversity_window)
    place = np.zeros(count, np.int64)  # of each user among those of its arm
    for n in range(len(arms)):
        place[arm_of == n] = np.arange((arm_of == n).sum())
    servers = [_server(world, np.flatnonzero(arm_of == n), arm, config=config) for n, arm in enumerate(arms)]
    items = world_items(arms[0].recommender, world)  # all arms have the same
    mood = np.zeros(count)
    with progress(label="A/B test", total=count * config.days, unit="user-day", quiet=quiet) as bar:
        for day in range(config.days):
            here = np.flatnonzero(come(rng, habits, mood))
            bar.update(count - len(here))
            # All of a day's items are one session, at its middle.
            environment.people.begin_session(rng, environment, here, np.full(len(here), world.config.days + day + 0.5))
            while len(here):
                uniforms, index = rng.random(len(here)), np.zeros(len(here), np.int64)
                rows_of = [np.flatnonzero(arm_of[here] == n) for n in range(len(arms))]
                served = [(server, rows) for server, rows in zip(servers, rows_of, strict=True) if len(rows)]
                for server, rows in served:
                    index[rows] = server.serve(place[here[rows]], uniforms[rows])
                item = items[index]
                reactions = react(rng, environment, here, item)
                environment.people.take_in(rng, environment, here, item, reactions.click)
                dwell, bits = reactions.dwell, reactions.bits
                for server, rows in served:
                    server.observe(place[here[rows]], index[rows], dwell[rows], bits[rows])
                tallies.add(day, here, item, reactions, skip=feedback.has(bits, "skip"))
                gone, dismissed = leave(rng, here, reactions, habits=habits, config=config.returning)
                tallies.dismiss(day, here[dismissed])
                bar.update(int(gone.sum()))
                here = here[~gone]
            sums = tallies.sums
            mood = next_mood(
                mood,
                habits=habits,
                impressions=sums["impressions"][:, day],
                satisfaction=sums["satisfaction"][:, day],
                dislikes=sums["dislikes"][:, day],
                config=config.returning,
            )
    return tallies


def _server(world: World, users: np.ndarray, arm: Arm, *, config: Any) -> Server:
    # The users [n] with the log behind them: the newest events of known items, as many as anybody reads, and all items
    # met.
    recommender, log = arm.recommender, world.log
    index_of = np.zeros(world.num_items, np.int64)
    items = world_items(recommender, world)
    index_of[items[1:]] = np.arange(1, len(items))
    index, user = index_of[log.item], log.user
    events = log.offsets[users + 1] - log.offsets[users]
    met = Met(ranges.owners(events), index[ranges.positions(log.offsets[users], events)], len(users))

    known = np.flatnonzero(index > 0)
    offsets = np.searchsorted(user[known], np.arange(world.num_users + 1))
    # As many events as anybody reads, and by the recommender's rule: a ranker reads no more than the newest.
    length = max(1, recommender.max_history // 2, arm.rank.length if arm.rank else 0)
    reader = Reader(log.feedback[known], recommender.reading.of(length + recommender.reading.remembered))
    position = reader.positions(offsets[users], offsets[users + 1])  # [n, length + S]
    rows = known[np.maximum(position, 0)] if len(known) else position
    histories = tuple(np.where(position >= 0, column[rows], 0) for column in (index, log.dwell, log.feedback))
    return Server(
        recommender, histories, met, slate_size=config.slate_size, temperature=config.temperature, rank=arm.rank
    )
