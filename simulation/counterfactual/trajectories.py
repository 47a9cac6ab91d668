"""The way of simulated users through what a recommender shows them: act on an item, see a slate, take the next item.

A `Walk` is where a batch of users stands, `Slates` is how what they are shown is made, and `act` and `go_on` are the
steps. All are pure functions that JAX can trace, so that a whole way is one program.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from simulation.exported.recommender import Recommender, Start, State, Step, advance, begin
from simulation.exported.serving import Rank

Planned = tuple[jax.Array, ...]  # place in the next slate, dwell and feedback of the action before it, [b, ...] each
Columns = tuple[jax.Array, ...]  # item, dwell, feedback of events [b, T], zeros after the last


class Walk(NamedTuple):
    """Users at their k-th item: `query` [b, D] and `state` after the events in `columns`, at first k−1 of them, and
    `last` [b], the k-th item, which nothing has been done with. `met` [b, any]: items of events that are older, which
    no model reads and nobody is shown again; 0 where there is none."""

    state: State
    query: jax.Array
    columns: Columns
    last: jax.Array
    met: jax.Array | None = None

    @property
    def consumed(self) -> jax.Array:
        """All items met before `last` [b, any], 0 where there is none."""
        read = self.columns[0]
        return read if self.met is None else jnp.concatenate([read, self.met], axis=1)


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

    def best(
        self,
        query: jax.Array,
        item_vectors: jax.Array,
        columns: Columns,
        consumed: jax.Array,
        barred: jax.Array | None = None,
    ) -> jax.Array:
        """Items [b, size], best first, exact; nothing in `consumed` [b, n], 0 where there is none, is eligible, and
        what is barred [b, N+1] only where nothing else is left.

        Needs max(size, candidates) + n <= N, else consumed items would come back.
        """
        # Highest: where the default is a shorter float (TPU, GPU), near ties would swap.
        scores = jnp.matmul(query, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N + 1]
        rows = jnp.arange(len(query))[:, None]
        if barred is not None:
            scores = jnp.where(barred, jnp.finfo(scores.dtype).min, scores)
        scores = scores.at[rows, consumed].set(-jnp.inf).at[:, 0].set(-jnp.inf)
        logits, items = jax.lax.top_k(scores, max(self.size, self.candidates))
        if self.rank is not None:
            item, dwell, feedback = columns
            order = jnp.argsort(-self.rank.order(item, dwell, feedback, items, logits), axis=1, stable=True)
            items = jnp.take_along_axis(items, order, axis=1)
        return items[:, : self.size]

    def after(self, walk: Walk, item_vectors: jax.Array, barred: jax.Array | None = None) -> jax.Array:
        """Items [b, size] to choose from after the events of the walk, none of which comes again; see `best`."""
        return self.best(walk.query, item_vectors, walk.columns, walk.consumed, barred)


def act(walk: Walk, dwell: jax.Array, feedback: jax.Array, *, step: Step) -> Walk:
    """After an action on the last item, an event from now on; where the last item is 0 nothing happens."""
    event = (walk.last, dwell, feedback)
    state, query = advance(step, walk.state, walk.query, event)
    rows, count = jnp.arange(len(walk.last)), (walk.columns[0] > 0).sum(axis=1)
    columns = tuple(
        column.at[rows, count].set(jnp.where(walk.last > 0, value, 0))
        for column, value in zip(walk.columns, event, strict=True)
    )
    return walk._replace(state=state, query=query, columns=columns)


@partial(jax.jit, static_argnames=("slates",))
def go_on(walk: Walk, planned: Planned, item_vectors: jax.Array, *, step: Step, slates: Slates) -> Walk:
    """The planned action on the last item, and then the item at the planned place of the next slate."""
    place, dwell, feedback = planned
    walk = act(walk, dwell, feedback, step=step)
    slate = slates.after(walk, item_vectors)
    return walk._replace(last=jnp.take_along_axis(slate, place[:, None], axis=1)[:, 0])


def at_first(start: Start, step: Step, first_item: jax.Array, room: int) -> Walk:
    """Users without history at their first item [b], with `room` for events."""
    empty = jnp.zeros((len(first_item), room), jnp.int32)
    return Walk(*begin(start, step, len(first_item)), (empty, empty, empty), first_item)


@partial(jax.jit, static_argnames=("slates",))
def follow(walk: Walk, planned: Planned, item_vectors: jax.Array, *, step: Step, slates: Slates) -> Walk:
    """`go_on` for each step of a plan, [b, steps] of everything planned."""

    def next_item(walk: Walk, planned: Planned) -> tuple[Walk, None]:
        return go_on(walk, planned, item_vectors, step=step, slates=slates), None

    return jax.lax.scan(next_item, walk, tuple(column.T for column in planned))[0]
