"""Random behaviour: what simulated users will do, drawn before any recommender is asked (Wang et al., section 4).

The first item, the place in each slate, the action on each item: so two recommenders that have learned from the same
days, by whose counts the first item is drawn, meet the same users, and following a plan is a deterministic function of
the model.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulation.counterfactual.actions import Action
from simulation.counterfactual.trajectories import Slates, Walk, at_first, follow
from simulation.exported.recommender import Recommender


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
        return follow(walk, tuple(planned), item_vectors, step=recommender.step, slates=slates)


def draw_plan(config: Any, item_counts: np.ndarray, *, users: int, k: int, seed: int) -> Plan:
    """A random plan: every choice independent of the items and of each other.

    With slate_size, place_power, first_item_power and behaviours of `config` (configs/counterfactual.py):
    P(place j) ∝ (j + 1)^-place_power: 0 is uniform over the slate, 1 favours the top as a feed does.
    P(first item i) ∝ item_counts_i^first_item_power (item_counts [N+1], row 0 padding): 0 is uniform over the
    catalogue, 1 by popularity. P(action) ∝ its value in `behaviours`. A user's draws depend on the seed and the user's
    number only: more users leave the first ones as they are.
    """
    first_weights = np.concatenate([[0.0], np.asarray(item_counts[1:], np.float64) ** config.first_item_power])
    place_weights = np.arange(1, config.slate_size + 1, dtype=np.float64) ** -config.place_power

    def uniforms(user: jax.Array) -> tuple[jax.Array, jax.Array]:
        pick, act = jax.random.split(jax.random.fold_in(jax.random.key(seed), user))
        return jax.random.uniform(pick, (k,)), jax.random.uniform(act, (k - 1,))

    pick, act = (np.asarray(u) for u in jax.vmap(uniforms)(jnp.arange(users)))  # [U, k], [U, k-1]
    return Plan(
        actions=tuple(Action.parse(name) for name in config.behaviours),
        first_item=_choose(first_weights, pick[:, 0]),
        place=_choose(place_weights, pick[:, 1:]),
        action=_choose(np.array(list(config.behaviours.values()), np.float64), act),
    )


def _choose(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    # The index where the cumulative weights pass each uniform: an index of weight 0 is never chosen.
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative / cumulative[-1], uniforms, side="right").astype(np.int32)
