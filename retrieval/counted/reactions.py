"""How the parts that are counted read an event: whether it counts, and whether it says no or takes a no back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from data.feedback import DWELL_EDGES_MS, DWELL_UNKNOWN, POSITIVE_ACTIONS, SKIP_BELOW_MS, mask_of
from retrieval.simple_rules import TURNED_DOWN

_SHORT = DWELL_UNKNOWN + 1 + DWELL_EDGES_MS.index(SKIP_BELOW_MS)  # the last dwell bucket of a skip


class Read(NamedTuple):
    """Events of any shape [...]. item: 0 where there is none to be read. taken: r, 1 for what was not turned down, else
    0. said_no, said_yes: bool.
    """

    item: jax.Array
    taken: jax.Array
    said_no: jax.Array
    said_yes: jax.Array


class Reactions:
    """How a model of a config reads reactions: the same feedback as its towers, and no other."""

    def __init__(self, config: ConfigDict):
        """Args: of a training run, configs/retrieval.py."""
        self._no, self._yes = mask_of(config.memory_feedback), mask_of(config.forgiving_feedback)
        self._turned_down, self._acted = (
            mask_of(set(names) & set(config.input_feedback)) for names in (TURNED_DOWN, POSITIVE_ACTIONS)
        )
        self._excluded = mask_of(config.get("excluded_feedback", ()))

    def read(self, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> Read:
        """What events [...] say. A play too short is a skip unless somebody acted on it; what is both is a no."""
        item = jnp.where(feedback & self._excluded > 0, 0, item)
        skipped = (dwell > DWELL_UNKNOWN) & (dwell <= _SHORT) & (feedback & self._acted == 0)
        turned_down = skipped | (feedback & self._turned_down > 0)
        taken = ((item > 0) & ~turned_down).astype(jnp.float32)
        said_no = (item > 0) & (feedback & self._no > 0)
        return Read(item, taken, said_no, (item > 0) & (feedback & self._yes > 0) & ~said_no)
