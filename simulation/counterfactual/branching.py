"""From one history several continuations, and the slates that a recommender shows after each of them.

A continuation, called a branch, is one or more actions, such as a long watch that ends in a dislike. The items that
they act on are chosen before anything is done, by what the recommender would show then, so that all branches act on the
same items. Slates are taken right after the branch and, at a distance, after more steps: the user takes items of the
branch's own slates, or in all branches those of one branch's slates, and reacts as was drawn beforehand, in all alike.
"""

from functools import partial

import jax
import jax.numpy as jnp

from simulation.counterfactual.trajectories import Slates, Walk, act
from simulation.exported.recommender import Step


@partial(jax.jit, static_argnames=("own", "others", "num_clusters", "slates"))
def items_to_act_on(
    walk: Walk, item_vectors: jax.Array, cluster: jax.Array, *, own: int, others: int, num_clusters: int, slates: Slates
) -> jax.Array:
    """`own` items of the k-th item's cluster, itself the first, and then `others` of other clusters: [b, own + others].

    cluster [N+1], 0 where unknown, up to `num_clusters`. By the query before the k-th item: of its cluster the best
    that are not consumed; then the best of each other cluster, from the one that fills most of the slate that would be
    shown next to the one that fills least, and after these, of which the slate has none, by their best items. 0 where
    there are no more, and, of its own cluster, after an item of unknown cluster.
    """
    if own + others == 1:
        return walk.last[:, None]
    rows = jnp.arange(len(walk.last))[:, None]
    consumed = jnp.concatenate([walk.consumed, walk.last[:, None]], axis=1)  # [b, k or more]
    scores = jnp.matmul(walk.query, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N+1]
    scores = jnp.where(cluster > 0, scores.at[rows, consumed].set(-jnp.inf), -jnp.inf)
    mine = cluster[walk.last][:, None]  # [b, 1]
    best, further = jax.lax.top_k(jnp.where(cluster == mine, scores, -jnp.inf), own - 1)
    items = [walk.last[:, None], jnp.where(jnp.isfinite(best), further, 0)]
    if others:
        shown = slates.best(walk.query, item_vectors, walk.columns, consumed)  # [b, size]
        # One order of all: what is shown, as it is shown, before what is not.
        ahead = scores.max(axis=1, keepdims=True) + jnp.arange(shown.shape[1], 0, -1)
        scores = scores.at[rows, shown].set(jnp.where(cluster[shown] > 0, ahead, -jnp.inf))
        scores = jnp.where(cluster == mine, -jnp.inf, scores)
        best = jnp.full((len(rows), num_clusters + 1), -jnp.inf).at[:, cluster].max(scores)
        filled = jnp.zeros_like(best).at[rows, cluster[shown]].add(1.0)
        strongest = jnp.lexsort((-best, -jnp.where(jnp.isfinite(best), filled, -1.0)))  # [b, clusters], best first
        for n in range(others):
            wanted = jnp.where(cluster == strongest[:, n, None], scores, -jnp.inf)
            items.append(jnp.where(jnp.isfinite(wanted.max(axis=1)), wanted.argmax(axis=1), 0)[:, None])
    return jnp.concatenate(items, axis=1)


@partial(jax.jit, static_argnames=("slates", "distances", "path_of"))
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
    path_of: int | None = None,
    barred: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """What each of n branches leads to: slates [n, distances, b, size], and queries [n, b, D] right after the branch.

    items [b, any], from `items_to_act_on`; branches [n, longest] each, from `courses.branch_columns`; later: place,
    dwell and feedback [b, steps] of what comes after, `steps` at least the last distance − 1. A slate at distance 1 is
    the one right after the branch, at d that after d − 1 more events, of items in each branch's own slates, or in all
    branches of those in the slates of the branch `path_of`. Nothing consumed is eligible, in any branch, and in the
    last branch nothing that is `barred` [b, N+1] either. Branches run one after the other through the same program, so
    an action whose signal the recommender does not read gives the same slate to the bit, not nearly.
    """
    batch, longest = len(items), branches[0].shape[1]
    room = longest + distances[-1] - 1
    columns = tuple(jnp.pad(column, ((0, 0), (0, room))) for column in walk.columns)
    walk = walk._replace(columns=columns)

    def branch(actions: tuple[jax.Array, ...], is_last: jax.Array, path: jax.Array | None) -> tuple[jax.Array, ...]:
        branched, never = walk, None if barred is None else barred & is_last
        for place, dwell, feedback in zip(*actions, strict=True):
            acted_on = branched._replace(last=jnp.where(place >= 0, items[:, place], 0))
            branched = act(acted_on, jnp.full(batch, dwell), jnp.full(batch, feedback), step=step)
        first = slates.after(branched, item_vectors, never)

        def further(carry: tuple[Walk, jax.Array], planned: tuple) -> tuple[tuple, tuple[jax.Array, jax.Array]]:
            walk, slate = carry
            place, dwell, feedback, path_item = planned
            chosen = jnp.take_along_axis(slate, place[:, None], axis=1)[:, 0] if path_item is None else path_item
            walk = act(walk._replace(last=chosen), dwell, feedback, step=step)
            slate = slates.after(walk, item_vectors, never)
            return (walk, slate), (slate, chosen)

        steps = tuple(column.T[: distances[-1] - 1] for column in later)
        _, (others, taken) = jax.lax.scan(further, (branched, first), (*steps, path))  # [last distance - 1, b, ...]
        return jnp.concatenate([first[None], others])[jnp.array(distances) - 1], branched.query, taken

    is_last = jnp.arange(len(branches[0])) == len(branches[0]) - 1
    path = None
    if path_of is not None:
        path = branch(tuple(column[path_of] for column in branches), is_last[path_of], None)[2]
    slates_of, queries, _ = jax.lax.map(lambda of: branch(of[0], of[1], path), (branches, is_last))
    return slates_of, queries
