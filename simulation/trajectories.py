"""Random behaviour trajectories: what simulated users do, and what a recommender shows them meanwhile.

What a user will do is drawn before any recommender is asked: the first item, the place in each slate, the action on
each item. So two recommenders meet the same users, and following a plan is a deterministic function of the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from simulation.actions import Action
from simulation.recommender import Start, State, Step


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


def top_slate(queries: jax.Array, item_vectors: jax.Array, consumed: jax.Array, *, slate_size: int) -> jax.Array:
    """The `slate_size` best items by inner product that are not in `consumed`, best first; exact.

    queries [b, D], item_vectors [N+1, D], consumed [b, n] indices, 0 where there is none -> [b, slate_size] int32.
    Needs slate_size + n <= N, else consumed items would come back.
    """
    # Highest: where the default is a shorter float (TPU, GPU), near ties would swap.
    scores = jnp.matmul(queries, item_vectors.T, precision=jax.lax.Precision.HIGHEST)  # [b, N+1]
    rows = jnp.arange(len(queries))[:, None]
    scores = scores.at[rows, consumed].set(-jnp.inf).at[:, 0].set(-jnp.inf)
    return jax.lax.top_k(scores, slate_size)[1]


@partial(jax.jit, static_argnames=("start", "step", "slate_size"))
def follow(
    item_vectors: jax.Array,
    first_item: jax.Array,
    place: jax.Array,
    dwell: jax.Array,
    feedback: jax.Array,
    *,
    start: Start,
    step: Step,
    slate_size: int,
) -> tuple[State, jax.Array]:
    """Follows a plan to its k-th item: k-1 times act on the item, see the next slate, take the item at the place.

    first_item [b], the rest [b, k-1] -> the state after k-1 events, and the k items [b, k], the last without an action.
    """
    batch, steps = place.shape

    def one(carry: tuple[State, jax.Array], inputs: tuple[jax.Array, ...]) -> tuple[tuple[State, jax.Array], None]:
        state, history = carry
        t, place_t, dwell_t, feedback_t = inputs
        state, queries = step(state, history[:, t], dwell_t, feedback_t)
        slate = top_slate(queries, item_vectors, history, slate_size=slate_size)
        chosen = jnp.take_along_axis(slate, place_t[:, None], axis=1)[:, 0]
        return (state, history.at[:, t + 1].set(chosen)), None

    history = jnp.zeros((batch, steps + 1), jnp.int32).at[:, 0].set(first_item)
    columns = (jnp.arange(steps), place.T, dwell.T, feedback.T)
    (state, history), _ = jax.lax.scan(one, (start(batch), history), columns)
    return state, history


@partial(jax.jit, static_argnames=("step", "slate_size"))
def slates_after(
    item_vectors: jax.Array,
    state: State,
    history: jax.Array,
    dwell: jax.Array,
    feedback: jax.Array,
    *,
    step: Step,
    slate_size: int,
) -> tuple[jax.Array, jax.Array]:
    """What each of n actions on the last item of an identical history leads to: slates [n, b, slate_size], queries.

    state as before the last item of `history` [b, k]; dwell, feedback [n]. Nothing in the history is eligible, in any
    branch. Branches run one after the other through the same program, so an action whose signal the recommender does
    not read gives the same slate to the bit, not nearly.
    """
    last = history[:, -1]

    def branch(action: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        dwell_of, feedback_of = (jnp.full_like(last, value) for value in action)
        _, queries = step(state, last, dwell_of, feedback_of)
        return top_slate(queries, item_vectors, history, slate_size=slate_size), queries

    return jax.lax.map(branch, (dwell, feedback))


def action_columns(actions: Sequence[Action]) -> tuple[np.ndarray, np.ndarray]:
    """(dwell buckets, feedback bits) of the actions, int32 [n] each."""
    return np.array([a.dwell for a in actions], np.int32), np.array([a.feedback for a in actions], np.int32)
