"""How satisfied users of the synthetic feed would be with any item at any moment: its behaviour model, asked."""

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines
from simulation.world.behaviour import react
from simulation.world.state import World


def true_satisfaction(
    world: World,
    timelines: Timelines,
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    timestamp_ms: NDArray[np.int64],
) -> NDArray[np.float64]:
    """P(satisfied) [B, K] of users [B] with items [B, K], as the users are just before the moments [B].

    Users and items are in the numbering of `timelines`, which were made of the world's tables.
    """
    person = timelines.users["user_id"].to_numpy()[users].astype(np.int64)
    outside = timelines.items["item_id"].to_numpy()[items].astype(np.int64)  # [B, K]
    row = np.repeat(np.arange(len(users)), items.shape[1])
    environment = world.environment_at(person, np.asarray(timestamp_ms))  # one row a user and moment
    reactions = react(np.random.default_rng(0), environment, row, outside.ravel())
    return reactions.satisfaction_probability.reshape(items.shape)
