"""Random behaviour trajectories: what simulated users do, and what a recommender shows them meanwhile.

What a user will do is drawn before any recommender is asked: the first item, the place in each slate, the action on
each item. So two recommenders meet the same users, and following a plan is a deterministic function of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from simulation.counterfactual.actions import Action
from simulation.exported.recommender import Recommender, Start, State, Step, advance, begin
from simulation.exported.serving import Rank

Columns = tuple[jax.Array, ...]  # item, dwell, feedback of events [b, T], zeros after the last


class Walk(NamedTuple):
    """Users at their k-th item: `query` [b, D] and `state` after the events in `columns`, at first k−1 of them, and
    `last` [b], the k-th item, which nothing has been done with."""

    state: State
    query: jax.Array
    columns: Columns
    last: jax.Array


class Trajectories(Protocol):
    """How users get to their k-th item: they live through it (random behaviour, the user model) or have a past."""

    @property
    def num_users(self) -> int:
        """U."""

    def walk(self, recommender: Recommender, item_vectors: jax.Array, users: np.ndarray, slates: "Slates", /) -> Walk:
        """Users [b], numbers below U, at their k-th item."""


@dataclass(frozen=True)
class Slates:
    """How a slate is made: the best `candidates` items by inner product, ranked again where there is a ranking stage,
    of which the first `size` are shown. Hashable, so that it is static under jit."""

    size: int
    rank: Rank | None = None
    candidates: int = 0  # 0: as many as are shown

    def of(self, query: jax.Array, item_vectors: jax.Array, columns: Columns, consumed: jax.Array) -> jax.Array:
        """Items [b, size], best first, exact; nothing in `consumed` [b, n], 0 where there is none, is eligible.

        Needs max(size, candidates) + n <= N, else consumed items would come back.
        """
        # Highest: where the default is a shorter float (TPU, GPU), near ties would swap.
        scores = jnp.matmul(query, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N + 1]
        rows = jnp.arange(len(query))[:, None]
        scores = scores.at[rows, consumed].set(-jnp.inf).at[:, 0].set(-jnp.inf)
        logits, items = jax.lax.top_k(scores, max(self.size, self.candidates))
        if self.rank is not None:
            item, dwell, feedback = columns
            order = jnp.argsort(-self.rank.order(item, dwell, feedback, items, logits), axis=1, stable=True)
            items = jnp.take_along_axis(items, order, axis=1)
        return items[:, : self.size]

    def after(self, walk: Walk, item_vectors: jax.Array) -> jax.Array:
        """Items [b, size] to choose from after the events of the walk, none of which comes again."""
        return self.of(walk.query, item_vectors, walk.columns, walk.columns[0])


@dataclass(frozen=True)
class Plan:
    """What each of U users does over k items, the k-th of which is left without an action.

    first_item [U]: the first item consumed, an index of the item table; the empty history gives everybody the same
    slate, so it cannot come from there. place [U, k-1]: the place, from 0, in the slate of the 2nd to the k-th item.
    action [U, k-1]: index into `actions` of what is done with the 1st to the (k-1)-th item.
    """

    actions: tuple[Action, ...]
    first_item: np.ndarray
    place: np.ndarray
    action: np.ndarray

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.first_item)

    def events(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(dwell, feedback) of what users [b] do, int32 [b, k-1] each."""
        dwell, feedback = (
            np.array([getattr(action, name) for action in self.actions], np.int32) for name in ("dwell", "feedback")
        )
        return dwell[self.action[users]], feedback[self.action[users]]

    def walk(self, recommender: Recommender, item_vectors: jax.Array, users: np.ndarray, slates: Slates) -> Walk:
        """Users [b] at their k-th item, served by the recommender (`Trajectories`)."""
        first, *planned = (
            jnp.asarray(column) for column in (self.first_item[users], self.place[users], *self.events(users))
        )
        walk = at_first(recommender.start, recommender.step, first, self.place.shape[1])
        return follow(walk, *planned, item_vectors, step=recommender.step, slates=slates)


def draw_plan(
    *,
    seed: int,
    users: int,
    k: int,
    slate_size: int,
    place_power: float,
    item_counts: np.ndarray,
    first_item_power: float,
    behaviours: Mapping[str, float],
) -> Plan:
    """A random plan: every choice independent of the items and of each other.

    P(place j) ∝ (j + 1)^-place_power: 0 is uniform over the slate, 1 favours the top as a feed does.
    P(first item i) ∝ item_counts_i^first_item_power (item_counts [N+1], row 0 padding): 0 is uniform over the
    catalogue, 1 by popularity. P(action) ∝ its value in `behaviours`. A user's draws depend on the seed and the user's
    number only: more users leave the first ones as they are.
    """
    first_weights = np.concatenate([[0.0], np.asarray(item_counts[1:], np.float64) ** first_item_power])
    place_weights = np.arange(1, slate_size + 1, dtype=np.float64) ** -place_power

    def uniforms(user: jax.Array) -> tuple[jax.Array, jax.Array]:
        pick, act = jax.random.split(jax.random.fold_in(jax.random.key(seed), user))
        return jax.random.uniform(pick, (k,)), jax.random.uniform(act, (k - 1,))

    pick, act = (np.asarray(u) for u in jax.vmap(uniforms)(jnp.arange(users)))  # [U, k], [U, k-1]
    return Plan(
        actions=tuple(Action.parse(name) for name in behaviours),
        first_item=_choose(first_weights, pick[:, 0]),
        place=_choose(place_weights, pick[:, 1:]),
        action=_choose(np.array(list(behaviours.values()), np.float64), act),
    )


def _choose(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    # The index where the cumulative weights pass each uniform: an index of weight 0 is never chosen.
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative / cumulative[-1], uniforms, side="right").astype(np.int32)


def act(walk: Walk, dwell: jax.Array, feedback: jax.Array, *, step: Step) -> Walk:
    """After an action on the last item, an event from now on; where the last item is 0 nothing happens."""
    event = (walk.last, dwell, feedback)
    state, query = advance(step, walk.state, walk.query, event)
    rows, count = jnp.arange(len(walk.last)), (walk.columns[0] > 0).sum(axis=1)
    columns = tuple(
        column.at[rows, count].set(jnp.where(walk.last > 0, value, 0))
        for column, value in zip(walk.columns, event, strict=True)
    )
    return Walk(state, query, columns, walk.last)


@partial(jax.jit, static_argnames=("step", "slates"))
def go_on(
    walk: Walk,
    place: jax.Array,
    dwell: jax.Array,
    feedback: jax.Array,
    item_vectors: jax.Array,
    *,
    step: Step,
    slates: Slates,
) -> Walk:
    """An action on the last item, and then the item at `place` [b] of the next slate."""
    walk = act(walk, dwell, feedback, step=step)
    slate = slates.after(walk, item_vectors)
    return walk._replace(last=jnp.take_along_axis(slate, place[:, None], axis=1)[:, 0])


def at_first(start: Start, step: Step, first_item: jax.Array, room: int) -> Walk:
    """Users without history at their first item [b], with `room` for events."""
    empty = jnp.zeros((len(first_item), room), jnp.int32)
    return Walk(*begin(start, step, len(first_item)), (empty, empty, empty), first_item)


@partial(jax.jit, static_argnames=("step", "slates"))
def follow(
    walk: Walk,
    place: jax.Array,
    dwell: jax.Array,
    feedback: jax.Array,
    item_vectors: jax.Array,
    *,
    step: Step,
    slates: Slates,
) -> Walk:
    """`go_on` for each step of a plan, place, dwell and feedback [b, steps] each, from the walk's first item."""

    def next_item(walk: Walk, planned: tuple[jax.Array, ...]) -> tuple[Walk, None]:
        return go_on(walk, *planned, item_vectors, step=step, slates=slates), None

    return jax.lax.scan(next_item, walk, (place.T, dwell.T, feedback.T))[0]
