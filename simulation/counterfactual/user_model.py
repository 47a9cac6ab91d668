"""Simulated users with tastes: people of a synthetic feed live through what a recommender shows them.

Unlike in random behaviour (simulation/counterfactual/plans.py), what they do depends on the item: they watch what
interests them, have had enough of some kind of item at some point, be it a cluster, a creator or a region of a latent
feed, and then dislike it. They take places in the slate as a plan says. They are new people, drawn as those of the
feed's log were, and start without history and aversions.
"""

import jax
import jax.numpy as jnp
import numpy as np

from simulation.counterfactual.plans import Plan
from simulation.counterfactual.trajectories import Slates, Walk, at_first, go_on
from simulation.exported.arms import world_items
from simulation.exported.recommender import Recommender
from simulation.world.behaviour import Environment, react
from simulation.world.newcomers import child, draw_people
from simulation.world.state import World, take


class LivingUsers:
    """New people of a world, each in the place of one of `plan`'s users, with its first item and places in slates.

    Nobody is there twice, and none of the world's own.
    """

    def __init__(self, world: World, plan: Plan, *, seed: int):
        self.world, self.plan, self.seed = world, plan, seed
        self.people = draw_people(world, plan.num_users, child(np.random.SeedSequence(seed), 0))  # [U]

    @property
    def num_users(self) -> int:
        """U."""
        return self.plan.num_users

    def walk(self, recommender: Recommender, item_vectors: jax.Array, users: np.ndarray, slates: Slates) -> Walk:
        """Users [b] at their k-th item (`Trajectories`).

        Their luck depends on the seed and the chunk of users, not on the recommender.
        """
        item_of = world_items(recommender, self.world, flag="--recommender")
        environment = Environment(take(self.people, users), self.world.catalogue, self.world.config)
        rng = np.random.default_rng(child(child(np.random.SeedSequence(self.seed), 1), int(users[0])))
        first_item = jnp.asarray(self.plan.first_item[users])
        walk = at_first(recommender.start, recommender.step, first_item, self.plan.place.shape[1])
        rows = np.arange(len(users))
        a_session = self.world.config.policy.session
        for step, place in enumerate(self.plan.place[users].T):
            if step % a_session == 0:  # a day, of the first days of the log
                environment.people.begin_session(rng, environment, rows, np.full(len(rows), float(step // a_session)))
            items = item_of[np.asarray(walk.last)]
            reactions = react(rng, environment, rows, items)
            environment.people.take_in(rng, environment, rows, items, reactions.click)
            planned = tuple(jnp.asarray(column) for column in (place, reactions.dwell, reactions.bits))
            walk = go_on(walk, planned, item_vectors, step=recommender.step, slates=slates)
        return walk
