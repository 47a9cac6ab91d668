"""What many like: one more number of every item, counted, and the same for everybody.

    the score of item j goes on with  a log(1 + n_j),  n_j the positive events of item j, since ever or in the last days

The towers know this too (retrieval/trends.py). But they are weighed as a whole, at less than they were trained to, as
their taste is overfit; how popular an item is, which is not, then needs this besides. A server that is to know today's
n_j has to be exported today.
"""

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from data.items.content import ItemContent
from data.timelines import Timelines
from retrieval.counted import Arrays
from retrieval.counted.reactions import Read
from retrieval.trends import Positives


def count(timelines: Timelines, until: str, config: ConfigDict, *, days: int) -> Arrays:
    """n_j of so many days, 0 for all, before a moment of `Timelines.until`: `positives` [N + 1] float32."""
    _, moment_ms = timelines.until(until)
    counted = Positives(timelines, config.positive).before(moment_ms, (days,))
    return {"positives": counted[:, 0]}


class Popularity:
    """log(1 + n_j), one number: `retrieval.counted.Part`."""

    def __init__(self, counted: Arrays, content: ItemContent, config: ConfigDict, *, weight: float):
        """Args: of `count`; the items' content and the run's config, which say nothing here; a."""
        del content, config
        self._scale = weight**0.5
        self.vectors = self._scale * jnp.log1p(jnp.asarray(counted["positives"]))[:, None]

    @property
    def state_size(self) -> int:
        """Nothing is kept of a user."""
        return 0

    def after(self, vectors: Any, events: Read) -> jax.Array:
        """[B, 0]."""
        del vectors
        return jnp.zeros((events.item.shape[0], 0))

    def step(self, state: jax.Array, vectors: Any, event: Read) -> jax.Array:
        """[B, 0]."""
        del vectors, event
        return state

    def queries(self, states: jax.Array) -> jax.Array:
        """√a: [..., 1]."""
        return jnp.full((*states.shape[:-1], 1), self._scale)

    def of_content(self, codes: jax.Array) -> jax.Array:
        """Nobody has liked them yet: zeros [b, 1]."""
        return jnp.zeros((codes.shape[0], 1))
