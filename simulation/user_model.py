"""Trajectories of the synthetic user model: people of a feed with known truth live through what they are recommended.

Unlike in random behaviour, what they do depends on the item: they watch what interests them, have had enough of a
cluster or creator at some point, and then dislike it. They take places in the slate as a plan says, and start without
aversions.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from data import feedback
from simulation.arms import world_items
from simulation.behaviour import Reactions, react, turn_sour
from simulation.population import Users
from simulation.recommender import Recommender, State, Step
from simulation.trajectories import Columns, Plan, Slates, Walk
from simulation.world_state import World, take

_LOGGED = ("click", "long_view", "like", "follow", "comment", "share", "dislike")


@dataclass(frozen=True)
class LivingUsers:
    """Users of a world, each in the place of one of `plan`: its first item and its places in the slates are theirs.

    person [U]: which of the world's users each is.
    """

    world: World
    plan: Plan
    person: np.ndarray
    seed: int

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.person)

    def walk(self, recommender: Recommender, item_vectors: jax.Array, users: np.ndarray, slates: Slates) -> Walk:
        """Users [b] at their k-th item (`simulation.trajectories.Trajectories`).

        Their luck depends on the seed and the chunk of users, not on the recommender.
        """
        item_of = world_items(recommender, self.world, flag="--recommender")
        people = _fresh(take(self.world.people, self.person[users]))
        rng = np.random.default_rng([self.seed, int(users[0])])
        batch, steps = len(users), self.plan.place.shape[1]
        state, last = recommender.start(batch), jnp.asarray(self.plan.first_item[users])
        empty = jnp.zeros((batch, steps), jnp.int32)
        columns: Columns = (empty, empty, empty)
        query = None
        for t in range(steps):
            dwell, bits = self._react(rng, item_of[np.asarray(last)], people)
            state, query, columns, last = _advance(
                item_vectors,
                state,
                columns,
                jnp.int32(t),
                (last, jnp.asarray(dwell), jnp.asarray(bits)),
                jnp.asarray(self.plan.place[users, t]),
                step=recommender.step,
                slates=slates,
            )
        assert query is not None
        return Walk(state, query, columns, last)

    def _react(self, rng: np.random.Generator, items: np.ndarray, people: Users) -> tuple[np.ndarray, np.ndarray]:
        rows, truth = np.arange(len(items)), {"catalogue": self.world.catalogue, "config": self.world.config}
        reactions: Reactions = react(rng, rows, items, people=people, **truth)
        turn_sour(rng, rows, items, reactions.click, people=people, **truth)
        bits = feedback.to_bits({name: getattr(reactions, name) for name in _LOGGED}, play_ms=reactions.play_ms)
        return feedback.dwell_bucket(reactions.play_ms).astype(np.int32), bits.astype(np.int32)


def living_users(world: World, plan: Plan, *, seed: int) -> LivingUsers:
    """One of the world's users for each of the plan's, everybody once before anybody is twice."""
    order = np.random.default_rng(seed).permutation(world.num_users)
    return LivingUsers(world, plan, np.resize(order, plan.num_users), seed)


def _fresh(people: Users) -> Users:
    return dataclasses.replace(
        people, sour_cluster=np.zeros_like(people.sour_cluster), sour_creator=np.zeros_like(people.sour_creator)
    )


@partial(jax.jit, static_argnames=("step", "slates"))
def _advance(
    item_vectors: jax.Array,
    state: State,
    columns: Columns,
    t: jax.Array,
    event: tuple[jax.Array, jax.Array, jax.Array],
    place: jax.Array,
    *,
    step: Step,
    slates: Slates,
) -> Walk:
    state, query = step(state, *event)
    columns = tuple(column.at[:, t].set(value) for column, value in zip(columns, event, strict=True))
    slate = slates.of(query, item_vectors, columns, columns[0])
    return Walk(state, query, columns, jnp.take_along_axis(slate, place[:, None], axis=1)[:, 0])
