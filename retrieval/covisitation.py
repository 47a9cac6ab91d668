"""Co-visitation: what is met by the same people, counted, as a second half of queries and item vectors.

A user tower that predicts the next event forgets what a user liked an hour ago, and id vectors that are learned by
gradients overfit before they know every pair of items. Rules that count, item-kNN above all, do neither, so a model and
a rule together find more than either (Koren, KDD '08, joins factors and neighbourhoods likewise). To stay an inner
product, which an index can search, the rule's similarities are cut down to R numbers an item:

    S_ij = cos(i, j), of who met which items (metrics/simple_rules.py: item_neighbours), made symmetric
    S ≈ B Bᵀ,  B = U_R Λ_R^½ of the R largest eigenvalues of S                                         [N + 1, R]
    h ← γ h + r B_i,  n ← γ n + r  after an event with item i; r = 0 for what was turned down, else 1
    the score of item j is q · v_j + a h · B_j / (n + λ)

With γ = 1, λ = 0 and all R = N that is a times item-kNN's mean cosine. What was said no to is forgotten here too, by
slots that the towers have too (retrieval/aversion.py), but nothing is learned:

    h ← h − c K̂ᵀ diag(w) (K̂ K̂ᵀ + ρ I)⁻¹ K̂ h,  K̂ the noes' B_i at length 1, w what likes have left of each

loses c times its part in their span. With c = 1 it says nothing of them any more, with c = 2 it points away from them
as it had pointed there; after a like of the same item, w = ½, it says nothing again, and then comes back.

B is not trained with the towers: a label's own user is in the counts, and towers that are trained on top of them trust
them too much. It is counted, in a second where training takes minutes, of all that lies before the days that are asked
about, as the rules are that it is compared with (retrieval/simple_rules.py): of the training days where the validation
days choose, and of both for the test days, for simulated people and for servers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from data.feedback import DWELL_EDGES_MS, DWELL_UNKNOWN, POSITIVE_ACTIONS, SKIP_BELOW_MS, mask_of
from data.timelines import Timelines
from encoders.labels import last_places
from retrieval.aversion import AversionMemory, solved
from retrieval.simple_rules import TURNED_DOWN, similarities
from runtime import artifact

FOLDER = "covisitation"  # in the folder of a training run
_KIND, _VERSION = "covisitation", 1
_ASKED = ("valid", "test")  # splits, each with the vectors that are counted of what lies before it
_RIDGE = 0.01  # what is said no to twice makes K̂ K̂ᵀ singular
_SHORT = DWELL_UNKNOWN + 1 + DWELL_EDGES_MS.index(SKIP_BELOW_MS)  # the last dwell bucket of a skip


def counted_vectors(cosines: Any, size: int) -> NDArray[np.float32]:
    """B [N + 1, R] of cosines [N + 1, N + 1], R = `size`; zeros for what has no neighbour and where R is too many."""
    rows = cosines.shape[0]
    found = min(size, rows - 1)  # ARPACK finds all but one
    vectors = np.zeros((rows, size), np.float32)
    if found < 1 or not cosines.nnz:
        return vectors
    both = LinearOperator(cosines.shape, dtype=np.float64, matvec=lambda x: (cosines @ x + cosines.T @ x) / 2)
    values, directions = eigsh(both, k=found, which="LA", v0=np.ones(rows), tol=1e-4)
    vectors[:, :found] = directions * np.sqrt(np.maximum(values, 0.0))
    alone = (np.asarray(cosines.sum(axis=0)).ravel() == 0) & (np.asarray(cosines.sum(axis=1)).ravel() == 0)
    vectors[alone] = 0.0  # and not what rounding has left of them
    return vectors


def write(folder: Path, timelines: Timelines, config: ConfigDict) -> None:
    """Counts B of what lies before the validation days and before the test days, into the folder of the run."""
    with artifact.writing(folder / FOLDER, kind=_KIND, version=_VERSION, fields={}) as inside:
        for split in _ASKED:
            cosines = similarities(timelines, timelines.bounds(split)[0])
            np.save(inside / f"{split}.npy", counted_vectors(cosines, config.covisitation_dim))


def read_vectors(folder: Path, split: str) -> NDArray[np.float32]:
    """B of the run in `folder`, of what lies before `split`. Errors: those of `artifact.open_manifest`."""
    artifact.open_manifest(folder / FOLDER, kind=_KIND, version=_VERSION, flag="--checkpoint")
    return np.load(folder / FOLDER / f"{split}.npy")


class CoVisitation:
    """What a user has met in the space of B: from a history, or event by event."""

    def __init__(self, vectors: NDArray[np.float32], config: ConfigDict):
        """Args: B [N + 1, R]; the run's config, configs/retrieval.py."""
        # Half of the weight on either side, so that an index sees both halves of an item's vector at like lengths.
        self._vectors = jnp.asarray(vectors * config.covisitation_weight**0.5)
        self._decay, self._prior = config.covisitation_decay, config.covisitation_prior
        self._no, self._yes = mask_of(config.memory_feedback), mask_of(config.forgiving_feedback)
        self._turned_down, self._acted = (
            mask_of(set(names) & set(config.input_feedback)) for names in (TURNED_DOWN, POSITIVE_ACTIONS)
        )
        self._excluded = mask_of(config.get("excluded_feedback", ()))
        self._erased = config.covisitation_erased
        size = vectors.shape[1]
        # As it begins: two items are as alike as their vectors are, and a like of the same leaves half of a no.
        self._noes = AversionMemory(size, config.memory_size) if config.memory_feedback else None
        self._sizes = (size, 1)

    @property
    def state_size(self) -> int:
        """Numbers that a user's state has: h, n and, where noes are remembered, those of the memory."""
        return sum(self._sizes) + (self._noes.state_size if self._noes is not None else 0)

    @property
    def vectors(self) -> jax.Array:
        """√a B, [N + 1, R]: what item vectors go on with."""
        return self._vectors

    def after(self, vectors: Any, inputs: Mapping[str, jax.Array]) -> jax.Array:
        """States after histories item, dwell, feedback [B, T], zeros anywhere: [B, state]. `vectors` are √a B."""
        item = self._read(inputs["item"], inputs["feedback"])
        where, met = item > 0, vectors[item]  # [B, T, R]
        later = jnp.cumsum(where[:, ::-1], axis=1)[:, ::-1] - where  # events after each
        counted = self._taken(item, inputs["dwell"], inputs["feedback"]) * self._decay**later
        states = [jnp.einsum("bt,btr->br", counted, met), counted.sum(axis=1, keepdims=True)]
        if self._noes is not None:
            no, yes = (inputs["feedback"] & mask > 0 for mask in (self._no, self._yes))
            states.append(self._noes.after(last_places(item), met, no, yes, where=where))
        return jnp.concatenate(states, axis=-1)

    def step(self, state: jax.Array, vectors: Any, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        """One event each [B] onto states [B, state]. Item 0 is no event and leaves the state as it is."""
        item = self._read(item, feedback)
        total, count, memory = jnp.split(state, np.cumsum(self._sizes), axis=-1)
        taken, met = self._taken(item, dwell, feedback)[:, None], vectors[item]
        updated = [self._decay * total + taken * met, self._decay * count + taken]
        if self._noes is not None:
            no, yes = (feedback & mask > 0 for mask in (self._no, self._yes))
            updated.append(self._noes.step(memory, met, no, yes))
        return jnp.where((item > 0)[:, None], jnp.concatenate(updated, axis=-1), state)

    def queries(self, states: jax.Array) -> jax.Array:
        """√a h / (n + λ) of states [..., state], without what was said no to: [..., R]."""
        total, count, memory = jnp.split(states, np.cumsum(self._sizes), axis=-1)
        queries = total / (count + self._prior)
        if self._noes is None:
            return queries
        slots = self._noes.slots(memory)
        keys = self._noes.keys(slots.vectors)  # [..., S, R]
        gram = jnp.einsum("...sd,...td->...st", keys, keys) + _RIDGE * jnp.eye(keys.shape[-2])
        share = slots.strength * solved(gram, jnp.einsum("...sd,...d->...s", keys, queries))
        return queries - self._erased * jnp.einsum("...s,...sd->...d", share, keys)

    def _read(self, item: jax.Array, feedback: jax.Array) -> jax.Array:
        return jnp.where(feedback & self._excluded > 0, 0, item)

    def _taken(self, item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        # r: what is known to be turned down counts nothing. A play too short is a skip unless somebody acted on it.
        skipped = (dwell > DWELL_UNKNOWN) & (dwell <= _SHORT) & (feedback & self._acted == 0)
        turned_down = skipped | (feedback & self._turned_down > 0)
        return ((item > 0) & ~turned_down).astype(jnp.float32)
