"""Serves users one item at a time with an exported recommender: the policy of an A/B test and of an off-policy check.

    π(y | x) = softmax over the slate of logit_y / temperature,    logit_y = query(x) · v_y

where the slate is the exact top k of the items that the user has not met. Temperature 1 is the softmax that the
retrieval model was trained as, restricted to its slate; towards 0 it serves the first item. Where fewer than k items
are new to a user, the rest of the slate is what was met before, behind all that is new.

With a ranking stage the same k items change places: the ranker puts them in the order of its fused score, and the j-th
of them gets the logit that was the j-th largest. So the user meets the place j as often as without a ranker, and what
stands there is the ranker's choice; with one slate of candidates and nothing behind it, k is the number of candidates.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.events_read import Reading
from runtime import cores
from runtime.errors import DataError
from runtime.progress import chunks
from simulation.exported.met import Met, padded_width
from simulation.exported.recent_events import RecentEvents
from simulation.exported.recommender import Event, Recommender, Start, State, Step, advance, begin
from simulation.world.draws import choose

Order = Callable[[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True)
class Rank:
    """A ranking stage between the slate and the user: a function that can be traced, and how many events it reads.

    order: (item, dwell, feedback of the user's events, [b, n] each, zeros after the last; slate [b, k]; logits [b, k])
    -> logits [b, k]. Of the events the newest `length` count, which may be more than the recommender reads.
    """

    order: Order
    length: int


_CHUNK, _SCORES = 512, 1 << 26  # users in one call, at most, and scores of theirs
_RANKED_CHUNK = 32  # of a ranker, which scores a slate for each: its layers stay in the cache, and few are padding
_ROOM = 64  # events that are added to a ranker's before its oldest make room
_MET = 1e4  # taken from the logits of items that the user has met


@partial(jax.jit, static_argnames=("start",))
def replay(
    item: jax.Array, dwell: jax.Array, feedback: jax.Array, *, start: Start, step: Step
) -> tuple[State, jax.Array]:
    """State and query [b, D] after histories [b, T] that are filled from the left, at least one event each."""

    def advanced(carry: tuple[State, jax.Array], event: Event) -> tuple[tuple[State, jax.Array], None]:
        return advance(step, *carry, event), None

    return jax.lax.scan(advanced, begin(start, step, len(item)), (item.T, dwell.T, feedback.T))[0]


@jax.jit
def _stepped(step: Step, state: State, *event: jax.Array) -> tuple[State, jax.Array]:
    return step(state, *event)


@partial(jax.jit, static_argnames=("slate_size",))
def slates(
    queries: jax.Array,
    item_vectors: jax.Array,
    met: jax.Array,
    later: jax.Array | None = None,
    *,
    slate_size: int,
) -> tuple[jax.Array, jax.Array]:
    """The top slate_size items and their logits, best first: queries [b, D], items met [b, any], 0 for none -> [b, k]
    each. `later`, what is not uploaded yet, as `Timelines.later` has it, is behind what is met."""
    logits = jnp.matmul(queries, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N+1]
    behind = jnp.take_along_axis(logits, met, axis=1) - _MET
    logits = logits.at[jnp.arange(len(met))[:, None], met].set(behind).at[:, 0].set(-jnp.inf)
    if later is not None:
        logits = jnp.where(later, logits - 2 * _MET, logits)
    best, items = jax.lax.top_k(logits, slate_size)
    return items, best


def users_at_once(num_items: int) -> int:
    """How many users' scores of all items are held at a time: 512, or fewer where items are very many."""
    size = _CHUNK
    while size > 8 and size * num_items > _SCORES:
        size //= 4
    return size


def probabilities(logits: np.ndarray, *, temperature: float) -> np.ndarray:
    """π over each slate, float64 [b, k], from the logits [b, k] of its items, in any order."""
    scaled = (np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True)) / temperature
    weights = np.exp(scaled)
    return weights / weights.sum(axis=1, keepdims=True)


class Server:
    """One recommender in front of n users: what it remembers of each, and what each has met.

    The state of a user has read at most T = `max_history` events. It begins with the last T // 2, or those that the
    model's own rule has for so many (data/events_read.py), and when it is full it is made anew from as many, so that
    every query rests on T // 2 to T events, as the queries that the model was trained on. A ranker reads as many as it
    was trained on, whatever the recommender does.
    """

    def __init__(
        self,
        recommender: Recommender,
        histories: Sequence[np.ndarray],
        met: Met,
        *,
        slate_size: int,
        temperature: float,
        rank: Rank | None = None,
    ):
        """Args:
        histories: item, dwell, feedback [n, any], each user's events, filled from the left, at least one: the newest,
          or those that the recommender's rule and the ranker read.
        met: the items that each of the n users has met, which are kept up to date here.
        """
        self._recommender, self._slate_size, self._temperature = recommender, slate_size, temperature
        self._rank = jax.jit(rank.order) if rank else None
        self._vectors = jax.device_put(recommender.item_vectors)  # memory-mapped, and shared with the weights
        half = recommender.reading.of(max(1, recommender.max_history // 2))
        self._read = RecentEvents(histories, width=recommender.max_history, kept=half)
        newest = Reading(rank.length) if rank else None
        self._ranked = RecentEvents(histories, width=newest.length + _ROOM, kept=newest) if newest else None
        self._met = met
        self._pool = ThreadPoolExecutor(cores.count())
        self._replay = partial(replay, start=recommender.start, step=recommender.step)
        self._step = partial(_stepped, recommender.step)
        users = np.arange(len(met))
        state, query = self._call(self._replay, users, *self._read.columns)
        self._state: Any = state
        self._query: np.ndarray = query

    def serve(self, users: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """An item [m] for each of `users` [m], drawn from the policy at `uniforms` [m]."""
        top = partial(slates, item_vectors=self._vectors, slate_size=self._slate_size)
        items, logits = self._call(
            lambda query, who: top(query, met=self._met.of(who)),
            users,
            self._query,
            of_call=(users,),
            chunk=users_at_once(self._recommender.num_items),
        )
        if self._rank and self._ranked:
            events = self._ranked.columns
            logits = self._call(self._rank, users, *events, of_call=(items, logits), chunk=_RANKED_CHUNK)
        if not np.isfinite(logits).all():
            raise DataError("a recommender gave logits that are not finite: the model has diverged; train it again")
        places = choose(probabilities(logits, temperature=self._temperature), uniforms)
        return items[np.arange(len(users)), places]

    def observe(self, users: np.ndarray, items: np.ndarray, dwell: np.ndarray, feedback: np.ndarray) -> None:
        """What the users [m], none of them twice, did with the items [m] they were served."""
        self._met.add(users, items)
        event = (items.astype(np.int32), dwell.astype(np.int32), feedback.astype(np.int32))
        if self._ranked:
            self._ranked.make_room(users)
            self._ranked.add(users, event)
        if len(full := self._read.make_room(users)):
            self._remember(full, *self._call(self._replay, full, *self._read.columns))
        self._read.add(users, event)
        state, query = self._call(self._step, users, self._state, of_call=event)
        self._remember(users, state, query)

    def _remember(self, users: np.ndarray, state: Any, query: np.ndarray) -> None:
        def put(whole: np.ndarray, rows: np.ndarray) -> None:
            whole[users] = rows

        jax.tree.map(put, (self._state, self._query), (state, query))

    def _call(
        self, function: Callable[..., Any], users: np.ndarray, *of_user: Any, of_call: Any = (), chunk: int = _CHUNK
    ) -> Any:
        # function(rows of `of_user` [n, ...], `of_call` [m, ...]) for the users [m], in chunks of few sizes, so few
        # compilations, and as many at a time as there are cores: XLA's top-k on a CPU uses one.
        def run(part: slice) -> Any:
            rows = _padded(users[part])
            own = jax.tree.map(lambda whole: whole[rows], of_user)
            given = jax.tree.map(lambda whole: whole[part][_padded(np.arange(len(users[part])))], of_call)
            answer = function(*own, *given)
            return jax.tree.map(lambda array: np.asarray(array)[: len(users[part])], answer)

        parts = list(self._pool.map(run, chunks(len(users), chunk)))
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


def _padded(rows: np.ndarray) -> np.ndarray:
    # The last row again until the length is one of few.
    return np.concatenate([rows, np.full(padded_width(len(rows)) - len(rows), rows[-1])])
