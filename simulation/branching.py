"""What each of several courses of action leads to, from one and the same history.

Which items they act on is settled before anything is done, by what the recommender would show then, so all branches act
on the same items. Slates are taken right after the branch and, at a distance, after more steps in which the user takes
what the branch's own slates offer and reacts as was drawn beforehand, alike in all.
"""

from functools import partial

import jax
import jax.numpy as jnp

from simulation.recommender import Step
from simulation.trajectories import Slates, Walk


@partial(jax.jit, static_argnames=("own", "others", "slates"))
def items_to_act_on(
    walk: Walk, item_vectors: jax.Array, cluster: jax.Array, *, own: int, others: int, slates: Slates
) -> jax.Array:
    """`own` items of the k-th item's cluster, itself the first, and then `others` of other clusters: [b, own + others].

    cluster [N+1]. By the query before the k-th item: of its cluster the best that are not consumed; of each other
    cluster in the slate that would be shown next the best in it, from the cluster that fills most of the slate to that
    which fills least. 0 where there are no more, and, of its own cluster, after an item of unknown cluster.
    """
    parts = [walk.last[:, None]]
    consumed = jnp.concatenate([walk.columns[0], walk.last[:, None]], axis=1)  # [b, k]
    if own > 1:
        parts.append(_further(walk, item_vectors, cluster, consumed, count=own - 1))
    if others:
        shown = slates.of(walk.query, item_vectors, walk.columns, consumed)
        parts.append(_elsewhere(shown, cluster[shown], cluster[walk.last], count=others))
    return jnp.concatenate(parts, axis=1)


def _further(walk: Walk, item_vectors: jax.Array, cluster: jax.Array, consumed: jax.Array, *, count: int) -> jax.Array:
    scores = jnp.matmul(walk.query, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N+1]
    wanted = cluster[walk.last][:, None]
    scores = jnp.where((cluster == wanted) & (wanted > 0), scores, -jnp.inf)
    scores = scores.at[jnp.arange(len(walk.last))[:, None], consumed].set(-jnp.inf)
    best, items = jax.lax.top_k(scores, count)
    return jnp.where(jnp.isfinite(best), items, 0)


def _elsewhere(shown: jax.Array, label: jax.Array, own: jax.Array, *, count: int) -> jax.Array:
    # shown, label [b, size], own [b] -> [b, count]
    same = label[:, :, None] == label[:, None, :]  # [b, size, size]
    best_of_cluster = ~jnp.tril(same, -1).any(axis=2)  # nothing before it in the slate is of its cluster
    foreign = (label > 0) & (label != own[:, None])
    strength, place = jax.lax.top_k(jnp.where(best_of_cluster & foreign, same.sum(axis=2), 0), count)
    return jnp.where(strength > 0, jnp.take_along_axis(shown, place, axis=1), 0)


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

    items [b, any], from `items_to_act_on`; branches [n, longest] each, from `courses.branch_columns`; later: place,
    dwell and feedback [b, steps] of what comes after, `steps` at least the last distance − 1. A slate at distance 1 is
    the one right after the branch, at d that after d − 1 more events. Nothing consumed is eligible, in any branch.
    Branches run one after the other through the same program, so an action whose signal the recommender does not read
    gives the same slate to the bit, not nearly.
    """
    batch, longest = len(items), branches[0].shape[1]
    rows, further = jnp.arange(batch), longest + distances[-1] - 1
    columns = tuple(jnp.pad(column, ((0, 0), (0, further))) for column in walk.columns)
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
        place, dwell, feedback = actions
        carry = (walk.state, walk.query, columns, count)
        for n in range(longest):
            item = jnp.where(place[n] >= 0, items[:, place[n]], 0)
            event = (item, jnp.full(batch, dwell[n]), jnp.full(batch, feedback[n]))
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
