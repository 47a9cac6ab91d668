"""The items that a batch names, as a corpus of their own: numbered anew, with their content and their rows of tables.

A model that is given this small corpus in place of the whole one needs to know nothing of it: the same towers, the same
loss, on tables of as many rows as the batch touches. The numbering is made on the host, where the batch is loaded: for
8,192 items a sort of NumPy takes 0.1 ms, that of XLA on a CPU 7.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

READ, OTHER = "read_row", "other_row"  # names of a batch's arrays of table rows
VALUE = "value_row/"  # and, before the number of a feature, of the rows of its table
CONTENT = "items/"  # before the names of its arrays of content, as in the names of a model's constants
ITEM_TABLES = "(id|event)_embedding|feature_embeddings/"
"""What the names of the tables have: of items, and of the values of their features, such as creators."""


class Sizes(NamedTuple):
    """How many there is room for: those that histories hold, item 0 among them, and others."""

    read: int
    other: int


class Numbered(NamedTuple):
    """`place`: items of any shape -> their new numbers, 0 still 0. `arrays`: those of `ItemRows.arrays` for all."""

    place: Callable[[ArrayLike], NDArray[np.int32]]
    arrays: dict[str, NDArray[Any]]


class ItemRows:
    """The content of the whole corpus, on the host, and how many rows its tables have."""

    def __init__(
        self,
        features: Mapping[str, NDArray[Any]],
        owner: Sequence[int],
        cardinalities: Sequence[int],
        table_rows: int,
    ):
        """Args: `encoders.item_content.tower_features`, [rows, ...] each, and where ids are hashed `hashed` [rows, K];
        feature of each column of codes, and how many values each has, as `encoders.item_content.Content`; rows of the
        tables of ids."""
        self.features = dict(features)
        self.owner, self.cardinalities = np.asarray(owner, int), tuple(cardinalities)
        self.table_rows = table_rows

    def __len__(self) -> int:
        """Rows of content, [N + 1] at least."""
        return len(self.features["codes"])

    def tables(self) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
        """The rows of each table that a batch touches, as training.row_tables has it.

        Only what is read has an event vector. The tables of ids are split over devices, those of features are not.
        """
        of_features = ((f"feature_embeddings/{f}$", (f"{VALUE}{f}",), False) for f in range(len(self.cardinalities)))
        return (("event_embedding", (READ,), True), ("id_embedding", (READ, OTHER), True), *of_features)

    def numbered(self, read: ArrayLike, other: ArrayLike, sizes: Sizes, *, multiple: int = 1) -> Numbered:
        """A corpus of the items in `read`, which histories hold, and in `other`, of any shape.

        There is room for `sizes`, rounded up to what `multiple` divides, as is the length of every array.
        """
        sizes = _rounded(sizes, multiple)
        items, place = _numbered(read, other, sizes, none=len(self))
        return Numbered(place, self.arrays(items, sizes.read, multiple=multiple))

    def arrays(self, items: NDArray[np.integer], read: int, *, multiple: int = 1) -> dict[str, NDArray[Any]]:
        """What a batch brings of items [R], of which histories hold the first `read`; a number of no item fills up.

        CONTENT + name [R, ...]: the content, zeros for what fills up. READ and OTHER int32: the rows of the tables of
        ids, first those of what is read; VALUE + f int32: those of the table of feature f. Each row once, and numbers
        of no row where there are fewer; codes and hashes in the content are places among them.
        """
        there = items < len(self)
        found = {}
        for name, feature in self.features.items():
            found[CONTENT + name] = np.zeros((len(items), *feature.shape[1:]), feature.dtype)
            found[CONTENT + name][there] = feature[items[there]]
        for number, cardinality in enumerate(self.cardinalities):
            codes = found[CONTENT + "codes"][:, self.owner == number]
            sizes = _rounded(Sizes(min(cardinality, codes.size + 1), 0), multiple)
            found[f"{VALUE}{number}"], place = _numbered(codes, (), sizes, none=cardinality)
            found[CONTENT + "codes"][:, self.owner == number] = place(codes)
        if "hashed" not in self.features:
            rows = np.where(there, items, self.table_rows + np.arange(len(items))).astype(np.int32)
            return found | {READ: rows[:read], OTHER: rows[read:]}
        hashed = found[CONTENT + "hashed"]  # [R, K]
        first, rest = hashed[:read], hashed[read:]
        sizes = Sizes(*(min(self.table_rows, size) for size in (first.size + 1, rest.size)))
        sizes = _rounded(sizes, multiple)
        rows, place = _numbered(first, rest, sizes, none=self.table_rows)
        return found | {CONTENT + "hashed": place(hashed), READ: rows[: sizes.read], OTHER: rows[sizes.read :]}


def _rounded(sizes: Sizes, multiple: int) -> Sizes:
    return Sizes(*(size + -size % multiple for size in sizes))


def _numbered(
    read: ArrayLike, other: ArrayLike, sizes: Sizes, *, none: int
) -> tuple[NDArray[np.int32], Callable[[ArrayLike], NDArray[np.int32]]]:
    # The distinct numbers of `read` and 0, then those of `other` that are not among them, and where each stands.
    head = np.unique(np.append(np.asarray(read, int).reshape(-1), 0))
    tail = np.setdiff1d(np.asarray(other, int), head)
    if len(head) > sizes.read or len(tail) > sizes.other:
        raise ValueError(f"{len(head)} that are read and {len(tail)} others do not fit {sizes}")
    rows = none + np.arange(sum(sizes), dtype=np.int32)
    rows[: len(head)] = head
    rows[sizes.read : sizes.read + len(tail)] = tail

    def place(items: ArrayLike) -> NDArray[np.int32]:
        items = np.asarray(items)
        at = np.minimum(np.searchsorted(head, items), len(head) - 1)
        after = sizes.read + np.searchsorted(tail, items)
        return np.where(head[at] == items, at, after).astype(np.int32)

    return rows, place
