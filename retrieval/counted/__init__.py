"""What is counted, beside the towers: further numbers of queries and item vectors, which nobody trains.

A user tower that predicts the next event forgets what a user liked an hour ago, and id vectors that are learned by
gradients overfit before they know every pair of items. Rules that count do neither, so a model and rules together find
more than either. To stay one inner product, which an index can search and a server can keep a state for, each part adds
some numbers to the query and as many to the vector of every item, and so the score is a sum:

    a_0 q · v_j + Σ_p a_p S_pj

covisitation.py  S_j is the mean similarity of j to what the user took, by who met what together
categories.py    how much more of j's category this user takes than others do
popularity.py    how many took j, since ever and in the last days
parts.py         the parts there are, by name
weights.py       a, fitted on the validation days for the towers at hand
files.py         what was counted and fitted, in the folder of a training run

No part is trained with the towers: a label's own user is in the counts, and towers that are trained on top of them
trust them too much. All is counted, in seconds, of what lies before the days that are asked about, as the rules are
that it is compared with (retrieval/simple_rules.py): of the training days for the validation days, of both for the test
days and for simulated people, and of the whole log for servers.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from numpy.typing import NDArray

from retrieval.counted.reactions import Read

Arrays = Mapping[str, NDArray[Any]]
"""What a part has counted of a log, by name."""


class Part(Protocol):
    """Numbers R that item vectors and queries go on with, and what is kept of a user for them."""

    @property
    def vectors(self) -> jax.Array:
        """[N + 1, R]: of every item; row 0 is padding."""

    @property
    def state_size(self) -> int:
        """Numbers of a user's state; zeros are the empty history."""

    def after(self, vectors: Any, events: Read) -> jax.Array:
        """States after histories [B, T], item 0 anywhere: [B, state]. `vectors` are those of above, to be indexed."""

    def step(self, state: jax.Array, vectors: Any, event: Read) -> jax.Array:
        """One event each [B] onto states [B, state]; those of item 0 may come out as anything."""

    def queries(self, states: jax.Array) -> jax.Array:
        """States [..., state] -> [..., R]."""

    def of_content(self, codes: jax.Array) -> jax.Array:
        """Codes [b, C] of items that nobody has met yet, as data/items/content.py has them -> [b, R]."""


def stepped(part: Part, state: jax.Array, vectors: Any, event: Read) -> jax.Array:
    """`step`, where there is an event; a state whose event has item 0 stays as it is."""
    return jnp.where((event.item > 0)[:, None], part.step(state, vectors, event), state)


def one_by_one(part: Part, vectors: Any, events: Read) -> jax.Array:
    """`after` of a part whose steps are cheap: event by event."""

    def step(state: jax.Array, event: Read) -> tuple[jax.Array, None]:
        return stepped(part, state, vectors, event), None

    empty = jnp.zeros((events.item.shape[0], part.state_size), jnp.float32)
    return lax.scan(step, empty, Read(*(column.T for column in events)))[0]
