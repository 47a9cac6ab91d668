"""What each of several courses of action leads to, from one and the same history.

A branch is one action on the k-th item, or several in a row: from the second on, on further items of the k-th item's
cluster. Which items is settled before anything is done, by what the recommender would show of that cluster next, so
every branch of a length acts on the same items. Slates are taken right after the branch and, at a distance, after more
steps in which the user takes what the branch's own slates offer and reacts as was drawn beforehand, alike in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from runtime.errors import UsageError
from simulation.actions import Action
from simulation.recommender import Step
from simulation.trajectories import Slates, Walk


@dataclass(frozen=True)
class Branch:
    """Actions on the k-th item and on those after it."""

    name: str
    actions: tuple[Action, ...]

    @property
    def length(self) -> int:
        return len(self.actions)

    @classmethod
    def parse(cls, name: str) -> Self:
        """`ACTION`, `ACTION*3` for three in a row, or several of these with commas between. Errors: UsageError."""
        actions: list[Action] = []
        for part in name.split(","):
            action, star, times = part.strip().partition("*")
            if star and not (times.isdecimal() and int(times) > 0):
                raise UsageError(f"branch '{name}': '*{times}' is no number of times; write ACTION*3, or ACTION,ACTION")
            actions += [Action.parse(action)] * int(times or 1)
        return cls(name, tuple(actions))


def with_baselines(baseline: str, branches: Sequence[str]) -> tuple[list[Branch], list[int]]:
    """Every branch to simulate, and for each the place of what it is compared with: the baseline action as many times.

    Baselines come first, the single one before all, and are compared with themselves. Errors: UsageError where a
    branch is a baseline or there twice.
    """
    asked = [Branch.parse(name) for name in branches]
    single = Branch.parse(baseline)
    if single.length > 1:
        raise UsageError(f"--config.baseline={baseline}: one action; branches of several have it as often as they need")
    lengths = sorted({1, *(branch.length for branch in asked)})
    baselines = [Branch(baseline if n == 1 else f"{baseline}*{n}", single.actions * n) for n in lengths]
    everything = [*baselines, *asked]
    courses = [tuple((action.dwell, action.feedback) for action in branch.actions) for branch in everything]
    if len(set(courses)) < len(courses):
        raise UsageError(f"--config.branches={tuple(branches)}: each once, the baseline not among them")
    return everything, [lengths.index(branch.length) for branch in everything]


def branch_columns(branches: Sequence[Branch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(is there an action, dwell, feedback), [n, longest] each, zeros after a branch's last action."""
    shape = (len(branches), max(branch.length for branch in branches))
    there, dwell, feedback = np.zeros(shape, bool), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for row, branch in enumerate(branches):
        for column, action in enumerate(branch.actions):
            there[row, column], dwell[row, column], feedback[row, column] = True, action.dwell, action.feedback
    return there, dwell, feedback


@partial(jax.jit, static_argnames=("length",))
def items_in_a_row(walk: Walk, item_vectors: jax.Array, cluster: jax.Array, *, length: int) -> jax.Array:
    """The k-th item and the best others of its cluster that are not consumed, by the query before it: [b, length].

    cluster [N+1]. 0 where the cluster has no more, and after an item of unknown cluster.
    """
    if length == 1:
        return walk.last[:, None]
    scores = jnp.matmul(walk.query, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N+1]
    rows = jnp.arange(len(walk.last))[:, None]
    wanted = cluster[walk.last][:, None]
    scores = jnp.where((cluster == wanted) & (wanted > 0), scores, -jnp.inf)
    scores = scores.at[rows, walk.columns[0]].set(-jnp.inf).at[rows, walk.last[:, None]].set(-jnp.inf)
    best, items = jax.lax.top_k(scores, length - 1)
    return jnp.concatenate([walk.last[:, None], jnp.where(jnp.isfinite(best), items, 0)], axis=1)


@partial(jax.jit, static_argnames=("step", "slates", "distances"))
def slates_after(
    walk: Walk,
    item_vectors: jax.Array,
    items: jax.Array,
    branches: tuple[jax.Array, jax.Array, jax.Array],
    later: tuple[jax.Array, jax.Array, jax.Array],
    *,
    step: Step,
    slates: Slates,
    distances: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    """What each of n branches leads to: slates [n, distances, b, size], and queries [n, b, D] right after the branch.

    items [b, longest], from `items_in_a_row`; branches [n, longest] each, from `branch_columns`; later: place, dwell
    and feedback [b, steps] of what comes after, `steps` at least the last distance − 1. A slate at distance 1 is the
    one right after the branch, at d that after d − 1 more events. Nothing consumed is eligible, in any branch. Branches
    run one after the other through the same program, so an action whose signal the recommender does not read gives the
    same slate to the bit, not nearly.
    """
    batch, longest = items.shape
    rows, room = jnp.arange(batch), longest + distances[-1] - 1
    columns = tuple(jnp.pad(column, ((0, 0), (0, room))) for column in walk.columns)
    count = (walk.columns[0] > 0).sum(axis=1)  # [b]

    def act(carry: tuple, event: tuple[jax.Array, jax.Array, jax.Array]) -> tuple:
        state, query, columns, count = carry
        after, answer = step(state, *event)
        real = event[0] > 0

        def where_real(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(real.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        columns = tuple(
            column.at[rows, count].set(where_real(value, column[rows, count]))
            for column, value in zip(columns, event, strict=True)
        )
        state = jax.tree.map(where_real, after, state)
        return state, where_real(answer, query), columns, count + real

    def branch(actions: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        there, dwell, feedback = actions
        carry = (walk.state, walk.query, columns, count)
        for n in range(longest):
            event = (jnp.where(there[n], items[:, n], 0), jnp.full(batch, dwell[n]), jnp.full(batch, feedback[n]))
            carry = act(carry, event)
        query = carry[1]
        first = slates.of(query, item_vectors, carry[2], carry[2][0])

        def one(carry: tuple, inputs: tuple[jax.Array, ...]) -> tuple[tuple, jax.Array]:
            session, slate = carry
            place, dwell, feedback = inputs
            chosen = jnp.take_along_axis(slate, place[:, None], axis=1)[:, 0]
            session = act(session, (chosen, dwell, feedback))
            slate = slates.of(session[1], item_vectors, session[2], session[2][0])
            return (session, slate), slate

        steps = tuple(column.T[: distances[-1] - 1] for column in later)
        _, others = jax.lax.scan(one, (carry, first), steps)  # [last distance - 1, b, size]
        return jnp.concatenate([first[None], others])[jnp.array(distances) - 1], query

    return jax.lax.map(branch, branches)
