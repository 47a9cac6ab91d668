"""What a model takes of the content of items: the codes that training can teach it, and embeddings on one scale."""

from collections.abc import Sequence
from typing import Protocol

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


def standardised(content: Content, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Embeddings x [rows, E], of mean 0 and mean square norm 1 over the items `seen` [rows] in training, 0 if unknown.

    x = (v / |v| - m) / s for each of the embeddings that stand side by side: directions count, as they do in a cosine,
    and what all items have in common says nothing. Where no item that was seen has one, nothing can be learned: zeros.
    """
    parts = [np.zeros((len(content.embeddings), 0), np.float32)]
    start = 0
    for size in content.sizes:
        unit, known = directions(content.embeddings[:, start : start + size])
        start += size
        learned = known & seen
        centred = unit - unit[learned].mean(axis=0) if learned.any() else unit
        spread = np.sqrt(np.square(centred[learned]).sum(axis=1).mean()) if learned.any() else 0.0
        usable = known[:, None] & (spread > 1e-6)
        parts.append(np.where(usable, centred / (spread if spread > 1e-6 else 1.0), 0).astype(np.float32))
    return np.concatenate(parts, axis=1)


def directions(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """v / |v| of vectors [rows, E], zeros where |v| is 0; and where it is not, [rows]."""
    largest = np.abs(vectors).max(axis=1, initial=0, keepdims=True)  # squares of large numbers would be infinite
    scaled = vectors / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit = scaled / np.where(length > 0, length, 1)
    return unit.astype(np.float32), largest[:, 0] > 0
