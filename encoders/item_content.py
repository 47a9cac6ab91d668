"""What a model takes of the content of items: the codes that training can teach it, and embeddings on one scale."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray


class Content(Protocol):
    """The content of items, one row each, as `data.items.content.ItemContent` has it; row 0 is padding, all zeros."""

    @property
    def codes(self) -> NDArray[np.int32]:
        """[rows, C], 0 for what is not there."""

    @property
    def owner(self) -> Sequence[int]:
        """[C], the feature of each column of codes: one that an item may have several codes of has several."""

    @property
    def cardinalities(self) -> Sequence[int]:
        """[F], one more than the largest code of each feature."""

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """[rows, E], zeros where unknown; E may be 0."""

    @property
    def sizes(self) -> Sequence[int]:
        """Of the embeddings that stand side by side in E."""


def trained_codes(
    codes: NDArray[np.int32], seen: NDArray[np.bool_], owner: Sequence[int] | None = None
) -> NDArray[np.int32]:
    """Codes [rows, C] with 0, unknown, for those that no row has which was `seen` [rows] in training.

    `owner` [C]: columns of one feature know what any of them has seen; each is a feature of its own without it.
    """
    owners = np.arange(codes.shape[1]) if owner is None else np.asarray(owner)
    kept = np.zeros_like(codes)
    for column in range(codes.shape[1]):
        known = codes[:, owners == owners[column]][seen]
        kept[:, column] = np.where(np.isin(codes[:, column], known), codes[:, column], 0)
    return kept


def shares(codes: NDArray[np.int32], owner: Sequence[int]) -> NDArray[np.float32]:
    """The weight of each code [rows, C] in the mean over an item's codes of a feature: 0 for those that are 0."""
    weights = np.zeros(codes.shape, np.float32)
    owners = np.asarray(owner, int)
    for feature in np.unique(owners):
        there = codes[:, owners == feature] > 0
        weights[:, owners == feature] = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    return weights


def tower_features(content: Content, seen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """What an item tower reads of the items' content, a row each, by the names that `ItemTower` has for it.

    codes [rows, C] int32 and shares [rows, C] of `trained_codes`; seen [rows, 1], 1 where training met the item;
    embedded [rows, E], standardised.
    """
    codes = trained_codes(content.codes, seen, content.owner)
    return {
        "codes": codes.astype(np.int32),
        "shares": shares(codes, content.owner),
        "seen": seen.astype(np.float32)[:, None],
        "embedded": np.asarray(standard_of(content, seen)(content.embeddings), np.float32),
    }


class Standard(NamedTuple):
    """The scale of embeddings: what is taken off a direction, and by what it is divided.

    mean [E]; scale [E], 1 / s, 0 where nothing can be learned; sizes: of the embeddings that stand side by side in E.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    sizes: tuple[int, ...]

    def __call__(self, embeddings: Any) -> Any:
        """x = (v / |v| - mean) / s of embeddings v [..., E], NumPy's or JAX's; zeros where |v| is 0."""
        xp = jnp if isinstance(embeddings, jax.Array) else np
        parts = []
        start = 0
        for size in self.sizes:
            at = slice(start, start + size)
            start += size
            unit, known = _directions(embeddings[..., at], xp)
            parts.append(xp.where(known, (unit - self.mean[at]) * self.scale[at], 0.0))
        return xp.concatenate(parts, axis=-1) if parts else embeddings


def standard_of(content: Content, seen: NDArray[np.bool_]) -> Standard:
    """The scale on which the items `seen` [rows] in training have mean 0 and a mean square norm of 1.

    Directions count, as they do in a cosine, and what all items have in common says nothing. Where no item that was
    seen has an embedding, or all have the same, there is nothing to learn, and x is zero.
    """
    means, scales = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    start = 0
    for size in content.sizes:
        unit, known = _directions(content.embeddings[seen, start : start + size], np)
        start += size
        unit = unit[known[:, 0]]
        mean = unit.mean(axis=0, dtype=np.float64) if len(unit) else np.zeros(size)
        spread = np.sqrt(np.square(unit - mean).sum(axis=1).mean()) if len(unit) else 0.0
        means.append(mean.astype(np.float32))
        scales.append(np.full(size, 1 / spread if spread > 1e-6 else 0, np.float32))
    return Standard(np.concatenate(means), np.concatenate(scales), tuple(content.sizes))


def _directions(vectors: Any, xp: Any) -> tuple[Any, Any]:
    # v / |v| of vectors [..., E], zeros where |v| is 0; and where it is not, [..., 1].
    largest = xp.abs(vectors).max(axis=-1, initial=0, keepdims=True)  # squares of large numbers would be infinite
    scaled = vectors / xp.where(largest > 0, largest, 1)
    length = xp.sqrt((scaled * scaled).sum(axis=-1, keepdims=True))
    return scaled / xp.where(length > 0, length, 1), largest > 0
