"""How alike the items of a slate are to one item: by cluster, creator, embeddings, another model, a feed's own truth.

Content and creator are the paper's measures (Wang et al., RecSys '23, section 4), which know nothing of any model: the
share of the slate of the item's cluster, of its creator. Beyond the paper, the mean cosine of the embeddings that the
log itself has of its items, and of item vectors: of another model than the one measured, or the measure would follow
the model that it is to judge. On a synthetic feed whose labels say only in part what an aversion is about
(simulation/world/latent), the share of the slate that an aversion to the item would be about: `Aversions`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from runtime.errors import UsageError
from simulation.exported.arms import world_items
from simulation.exported.recommender import Recommender
from simulation.world.latent.catalogue import LatentCatalogue
from simulation.world.state import World

# similarity -> the column of the item table it compares; 0 there is unknown
KINDS = {"content": "cluster", "creator": "creator"}
EMBEDDING, VECTORS, TRUTH = "embedding", "vectors", "truth"

Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(slates [U, size], last [U]) -> [U], NaN where nothing is known of the last item."""


def share_of(labels: np.ndarray) -> Similarity:
    """S = share of the slate whose label is the last item's; labels [N+1], 0 is unknown."""

    def similarity(slates: np.ndarray, last: np.ndarray) -> np.ndarray:
        wanted = labels[last]  # [U]
        return np.where(wanted == 0, np.nan, (labels[slates] == wanted[:, None]).mean(axis=-1))

    return similarity


def cosine_of(vectors: np.ndarray) -> Similarity:
    """S = mean cosine of the slate's vectors and the last item's; vectors [N+1, D], 0 where unknown, which adds 0."""
    unit = _unit(vectors)

    def similarity(slates: np.ndarray, last: np.ndarray) -> np.ndarray:
        wanted = unit[last]  # [U, D]
        # The mean of the slate's vectors first: nothing of the size of slates times D is kept.
        mean = np.zeros_like(wanted, np.float64)
        for place in range(slates.shape[1]):
            mean += unit[slates[:, place]]
        cosine = (mean * wanted).sum(axis=1) / slates.shape[1]
        return np.where(wanted.any(axis=1), cosine, np.nan)

    return similarity


def covered_of(vectors: np.ndarray, reach: np.ndarray) -> Similarity:
    """S = mean over the slate of P(reach <= cosine to the last item): of the caps around it, how much they hold.

    Args: vectors [N+1, D] of norm 1, zeros where unknown; reach [A], the least cosines that aversions cover.
    """
    reach = np.sort(reach)

    def similarity(slates: np.ndarray, last: np.ndarray) -> np.ndarray:
        wanted = vectors[last]  # [U, D]
        covered = np.zeros(len(last))
        for place in range(slates.shape[1]):
            cosine = (vectors[slates[:, place]] * wanted).sum(axis=1)
            covered += np.searchsorted(reach, cosine, side="right") / len(reach)
        return np.where(wanted.any(axis=1), covered / slates.shape[1], np.nan)

    return similarity


def centred(embeddings: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Embeddings [N+1, E] less what all items have in common, zeros where unknown: what `cosine_of` is to compare.

    v / |v| - mean over the items that have one, for each of the embeddings of `sizes` that stand side by side. Those of
    language models all point much the same way: without this any two items are alike, and no slate is less so.
    """
    parts = []
    for part in np.split(embeddings, np.cumsum(sizes)[:-1], axis=1):
        known = np.asarray(part.any(axis=1))
        unit = _unit(part)
        parts.append(np.where(known[:, None], unit - unit[known].mean(axis=0), 0) if known.any() else unit)
    return np.concatenate(parts, axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)


def known_kinds(items: pl.DataFrame) -> dict[str, str]:
    """{kind: column} of KINDS, those of which the item table knows something."""
    return {kind: column for kind, column in KINDS.items() if column in items.columns and (items[column] != 0).any()}


def measures(
    items: pl.DataFrame,
    vectors: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    truth: Similarity | None = None,
) -> dict[str, Similarity]:
    """{kind: similarity} for each of KINDS that the item table knows anything about, and for what is given.

    Args: vectors [N+1, D] of another model, `vectors`; embeddings [N+1, E], `centred`, `embedding`; the feed's `truth`.

    Errors: UsageError where there is none.
    """
    known = {kind: share_of(items[column].to_numpy()) for kind, column in known_kinds(items).items()}
    if embeddings is not None and embeddings.any():
        known[EMBEDDING] = cosine_of(embeddings)
    if vectors is not None:
        known[VECTORS] = cosine_of(vectors)
    if truth is not None:
        known[TRUTH] = truth
    if not known:
        raise UsageError(
            "--recommender: its item table knows neither cluster nor creator of any item: nothing to compare; give "
            "--similarity_vectors, another recommender whose item vectors say what is alike"
        )
    return known


def independent_vectors(recommender: Recommender, other: Recommender) -> np.ndarray:
    """The item vectors of another model of the same items, [N+1, D]. Errors: UsageError where it is not that.

    One model may have been exported several times: what it was trained as and its vectors tell.
    """
    same_run = recommender.checkpoint and other.checkpoint == recommender.checkpoint
    if same_run or np.array_equal(other.item_vectors, recommender.item_vectors):
        raise UsageError("--similarity_vectors: the recommender itself; give a model that is independent of it")
    if (other.vocabulary_hash, other.num_items) != (recommender.vocabulary_hash, recommender.num_items):
        raise UsageError(
            "--similarity_vectors: a model of other items than --recommender; export both from models of the same "
            "timelines"
        )
    return other.item_vectors


@dataclass(frozen=True)
class Aversions:
    """What an aversion to an item is about in a latent feed: a cap of the sphere around it, as wide as the feed's are.

    vectors [N+1, D] of norm 1, zeros where unknown; reach [A], the least cosine in each of the feed's own aversions.
    """

    vectors: np.ndarray
    reach: np.ndarray

    @property
    def similarity(self) -> Similarity:
        """S as `covered_of`."""
        return covered_of(self.vectors, self.reach)

    def covered(self, users: int, *, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """For each of so many users one aversion, drawn from the feed's: (users [b], last [b]) -> covers [b, N+1]."""
        reach = np.random.default_rng(seed).choice(self.reach, size=users)
        return lambda user, last: self.vectors[last] @ self.vectors.T >= reach[user, None]


def true_aversions(recommender: Recommender, world: World) -> Aversions:
    """Those of the latent feed that a recommender was trained on.

    Errors: UsageError where the feed has no positions of items, no aversion, or is not of these items.
    """
    if not isinstance(world.catalogue, LatentCatalogue):
        raise UsageError(
            "--truth: in this feed clusters and creators say all of what people are averse to; leave the flag "
            "out, or give a feed of configs/world.py:SIZE,latent"
        )
    if world.aversions.is_empty():
        raise UsageError("--truth: nobody in this feed is averse to anything; make a longer one")
    place = world_items(recommender, world, flag="--recommender", world_flag="--truth")
    vectors = np.where(place[:, None] >= 0, world.catalogue.vector[place], 0.0)  # row 0 is padding
    return Aversions(vectors, world.aversions["reach"].to_numpy())


def measured(
    measure: Mapping[str, Similarity], slates: np.ndarray, last: np.ndarray, valid: np.ndarray
) -> dict[str, np.ndarray]:
    """{kind: [n, U]} of slates [n, U, size]; NaN too where not `valid` [n, U]."""
    return {
        kind: np.where(valid, np.stack([similarity(branch, last) for branch in slates]), np.nan)
        for kind, similarity in measure.items()
    }
