"""The items that a batch names, as a corpus of their own: numbered anew, with their content and their rows of tables.

A model that is given this small corpus in place of the whole one needs to know nothing of it: the same towers, the same
loss, on tables of as many rows as the batch touches. The numbering is made on the host, where the batch is loaded: for
8,192 items a sort of NumPy takes 0.1 ms, that of XLA on a CPU 7.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROW = "row"  # name of a batch's array of rows of the table of ids
VALUE = "value_row/"  # and, before the number of a feature, of the rows of its table
CONTENT = "items/"  # before the names of its arrays of content, as in the names of a model's constants
ITEM_TABLES = "id_embedding|feature_embeddings/"
"""What the names of the tables have: of items, and of the values of their features, such as creators."""


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
        table of ids."""
        self.features = dict(features)
        self.owner, self.cardinalities = np.asarray(owner, int), tuple(cardinalities)
        self.table_rows = table_rows

    def __len__(self) -> int:
        """Rows of content, [N + 1] at least."""
        return len(self.features["codes"])

    def tables(self) -> tuple[tuple[str, str, bool], ...]:
        """The rows of each table that a batch touches, as training.row_tables has it.

        The table of ids is split over devices, those of features are not.
        """
        of_features = ((f"feature_embeddings/{f}$", f"{VALUE}{f}", False) for f in range(len(self.cardinalities)))
        return (("id_embedding", ROW, True), *of_features)

    def numbered(self, items: ArrayLike, size: int, *, multiple: int = 1) -> Numbered:
        """A corpus of `items`, of any shape, and item 0.

        There is room for `size`, rounded up to what `multiple` divides, as is the length of every array.
        """
        rows, place = _numbered(items, _rounded(size, multiple), none=len(self))
        return Numbered(place, self.arrays(rows, multiple=multiple))

    def arrays(self, items: NDArray[np.integer], *, multiple: int = 1) -> dict[str, NDArray[Any]]:
        """What a batch brings of items [R]; a number of no item fills up.

        CONTENT + name [R, ...]: the content, zeros for what fills up. ROW int32: the rows of the table of ids; VALUE +
        f int32: those of the table of feature f. Each row once, and numbers of no row where there are fewer; codes and
        hashes in the content are places among them.
        """
        there = items < len(self)
        found = {}
        for name, feature in self.features.items():
            found[CONTENT + name] = np.zeros((len(items), *feature.shape[1:]), feature.dtype)
            found[CONTENT + name][there] = feature[items[there]]
        for number, cardinality in enumerate(self.cardinalities):
            codes = found[CONTENT + "codes"][:, self.owner == number]
            size = _rounded(min(cardinality, codes.size + 1), multiple)
            found[f"{VALUE}{number}"], place = _numbered(codes, size, none=cardinality)
            found[CONTENT + "codes"][:, self.owner == number] = place(codes)
        if "hashed" not in self.features:
            rows = np.where(there, items, self.table_rows + np.arange(len(items))).astype(np.int32)
            return found | {ROW: rows}
        hashed = found[CONTENT + "hashed"]  # [R, K]
        size = _rounded(min(self.table_rows, hashed.size + 1), multiple)
        rows, place = _numbered(hashed, size, none=self.table_rows)
        return found | {CONTENT + "hashed": place(hashed), ROW: rows}


def _rounded(size: int, multiple: int) -> int:
    return size + -size % multiple


def _numbered(
    numbers: ArrayLike, size: int, *, none: int
) -> tuple[NDArray[np.int32], Callable[[ArrayLike], NDArray[np.int32]]]:
    # The distinct numbers and 0, in order, filled up to `size` from `none` on, and where each stands.
    distinct = np.unique(np.append(np.asarray(numbers, int).reshape(-1), 0))
    if len(distinct) > size:
        raise ValueError(f"{len(distinct)} do not fit {size}")
    rows = none + np.arange(size, dtype=np.int32)
    rows[: len(distinct)] = distinct
    return rows, lambda those: np.searchsorted(distinct, np.asarray(those)).astype(np.int32)
