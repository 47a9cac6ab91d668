"""Co-visitation: what is met by the same people, counted.

Item-kNN's similarities (metrics/simple_rules.py: item_neighbours), beside factors as in Koren, KDD '08. To be an inner
product they are cut down to R numbers an item:

    S_ij = cos(i, j), of who met which items, made symmetric
    S ≈ B Bᵀ,  B = U_R Λ_R^½ of the R largest eigenvalues of S                                         [N + 1, R]
    h ← γ h + r B_i,  n ← γ n + r  after an event with item i; r = 0 for what was turned down, else 1
    the score of item j goes on with  a h · B_j / (n + λ)

With γ = 1, λ = 0 and all R = N that is a times item-kNN's mean cosine. What was said no to is forgotten here too, by
slots that the towers have too (retrieval/aversion.py), but nothing is learned. h has a part in the span of the noes,

    P h = K̂ᵀ diag(w) (K̂ K̂ᵀ + ρ I)⁻¹ K̂ h,  K̂ the noes' B_i at length 1, w what yeses have left of each

and the score loses  b P h · B_j / (n + λ).  With b = a co-visitation says nothing of them any more, with b = 2 a it
points away from them as it had pointed there. b is a weight of its own, as a is not about noes: a falls as the towers
get to know by themselves who took what together, and one no would do less, the more the towers know. So b goes by what
co-visitation would weigh without towers (weights.py), and speaks of noes where a is 0 too.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from data.items.content import ItemContent
from data.timelines import Timelines
from encoders.labels import last_places
from retrieval.aversion import AversionMemory, solved
from retrieval.counted import Arrays
from retrieval.counted.reactions import Read
from retrieval.simple_rules import similarities

_RIDGE = 0.01  # what is said no to twice makes K̂ K̂ᵀ singular


def counted_vectors(cosines: Any, size: int) -> NDArray[np.float32]:
    """B [N + 1, R] of cosines [N + 1, N + 1], R = `size`; zeros for what has no neighbour and where R is too many."""
    rows = cosines.shape[0]
    found = min(size, rows - 1)  # ARPACK finds all but one
    vectors = np.zeros((rows, size), np.float32)
    if found < 1 or not cosines.nnz:
        return vectors
    both = LinearOperator(cosines.shape, dtype=np.float64, matvec=lambda x: (cosines @ x + cosines.T @ x) / 2)
    # Where Krylov's space closes early, as among items that nobody shares, ARPACK goes on from chance.
    values, directions = eigsh(both, k=found, which="LA", v0=np.ones(rows), tol=1e-4, rng=np.random.default_rng(0))
    vectors[:, :found] = directions * np.sqrt(np.maximum(values, 0.0))
    alone = (np.asarray(cosines.sum(axis=0)).ravel() == 0) & (np.asarray(cosines.sum(axis=1)).ravel() == 0)
    vectors[alone] = 0.0  # and not what rounding has left of them
    return vectors


def count(timelines: Timelines, until: str, config: ConfigDict) -> Arrays:
    """`vectors`, B [N + 1, R] of what users took until a moment of `Timelines.until`."""
    cosines = similarities(timelines, timelines.until(until)[0])
    return {"vectors": counted_vectors(cosines, config.covisitation_dim)}


class CoVisitation:
    """What a user has met in the space of B, in numbers R: `retrieval.counted.Part`."""

    def __init__(
        self, counted: Arrays, content: ItemContent, config: ConfigDict, *, weight: float, noes_weight: float = 0.0
    ):
        """Args: of `count`; the items' content, which says nothing here; the run's config; a; b."""
        del content
        # Half of the weight on either side, so that an index sees both halves of an item's vector at like lengths.
        scale = max(weight, 1.0)
        self.vectors = jnp.asarray(counted["vectors"] * scale**0.5)
        self._decay, self._prior = config.covisitation_decay, config.covisitation_prior
        self._weight, self._noes_weight = weight / scale, noes_weight / scale
        size = self.vectors.shape[1]
        # As it begins: two items are as alike as their vectors are, and a yes to the same leaves half of a no.
        self._noes = AversionMemory(size, config.memory_size) if config.memory_feedback else None
        self._sizes = (size, 1)

    @property
    def state_size(self) -> int:
        """h, n and, where noes are remembered, the numbers of the memory."""
        return sum(self._sizes) + (self._noes.state_size if self._noes is not None else 0)

    def after(self, vectors: Any, events: Read) -> jax.Array:
        """States after histories [B, T], item 0 anywhere: [B, state]. `vectors` are B, scaled."""
        where, met = events.item > 0, vectors[events.item]  # [B, T, R]
        later = jnp.cumsum(where[:, ::-1], axis=1)[:, ::-1] - where  # events after each
        taken = events.taken * self._decay**later
        states = [jnp.einsum("bt,btr->br", taken, met), taken.sum(axis=1, keepdims=True)]
        if self._noes is not None:
            at = last_places(events.item)
            states.append(self._noes.after(at, met, events.said_no, events.said_yes, where=where))
        return jnp.concatenate(states, axis=-1)

    def step(self, state: jax.Array, vectors: Any, event: Read) -> jax.Array:
        """One event each [B] onto states [B, state]."""
        total, count, memory = jnp.split(state, np.cumsum(self._sizes), axis=-1)
        taken, met = event.taken[:, None], vectors[event.item]
        updated = [self._decay * total + taken * met, self._decay * count + taken]
        if self._noes is not None:
            updated.append(self._noes.step(memory, met, event.said_no, event.said_yes))
        return jnp.concatenate(updated, axis=-1)

    def queries(self, states: jax.Array) -> jax.Array:
        """(a h − b P h) / (n + λ) of states [..., state], divided by the scale of `vectors`: [..., R]."""
        total, count, memory = jnp.split(states, np.cumsum(self._sizes), axis=-1)
        queries = total / (count + self._prior)
        if self._noes is None:
            return self._weight * queries
        keys, strength = self._noes.slots(memory)  # [..., S, R], [..., S]
        gram = jnp.einsum("...sd,...td->...st", keys, keys) + _RIDGE * jnp.eye(keys.shape[-2])
        share = strength * solved(gram, jnp.einsum("...sd,...d->...s", keys, queries))
        return self._weight * queries - self._noes_weight * jnp.einsum("...s,...sd->...d", share, keys)

    def of_content(self, codes: jax.Array) -> jax.Array:
        """Nobody has met them yet: zeros [b, R]."""
        return jnp.zeros((codes.shape[0], self._sizes[0]))
