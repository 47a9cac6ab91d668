"""What is known of items when they are uploaded, as arrays for models: codes of categories, and embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

CODES_SCHEMA = {"feature": pl.String, "value": pl.String, "code": pl.Int32}  # what the codes of categories stand for
ALL = "all."  # before the name of a feature in the item table: all of an item's codes, where it may have several


class ItemContent(NamedTuple):
    """The content of items, a row each; row 0 is padding, all zeros.

    codes [rows, C] int32, 0 for what is not there: a feature has as many columns as an item may have codes of it.
    owner [C]: the feature of each column. names, cardinalities [F]: of the features, one more than the largest code.
    embeddings [rows, E] float32 as logged, zeros where unknown; sizes: of each of the log's columns that make up E.
    """

    codes: NDArray[np.int32]
    owner: tuple[int, ...]
    names: tuple[str, ...]
    cardinalities: tuple[int, ...]
    embeddings: NDArray[np.float32]
    sizes: tuple[int, ...]

    def padded(self, rows: int) -> "ItemContent":
        """With `rows` more rows of padding."""
        more = ((0, rows), (0, 0))
        return self._replace(codes=np.pad(self.codes, more), embeddings=np.pad(self.embeddings, more))


def of(items: pl.DataFrame, manifest: Mapping[str, Any], embeddings: NDArray[np.float32] | None) -> ItemContent:
    """The content of the item table of timelines; `embeddings` [N + 1, E] or None."""
    features = manifest.get("item_features", ())
    columns: list[NDArray[np.int32]] = []
    owner: list[int] = []
    for place, feature in enumerate(features):
        width = feature.get("width", 1)
        name = feature["name"]
        columns += _several(items[ALL + name], width) if width > 1 else [items[name].fill_null(0).to_numpy()]
        owner += [place] * width
    codes = np.stack(columns, axis=1).astype(np.int32) if columns else np.zeros((len(items), 0), np.int32)
    return ItemContent(
        codes,
        tuple(owner),
        tuple(feature["name"] for feature in features),
        tuple(feature["cardinality"] for feature in features),
        np.zeros((len(items), 0), np.float32) if embeddings is None else embeddings,
        tuple(embedding["size"] for embedding in manifest.get("item_embeddings", ())),
    )


def _several(lists: pl.Series, width: int) -> Sequence[NDArray[np.int32]]:
    return [lists.list.get(place, null_on_oob=True).fill_null(0).to_numpy() for place in range(width)]
