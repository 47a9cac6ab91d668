"""Numbers the users and items of a log: from the ids that it has (whole numbers or text) to dense indices, and back.

A vocabulary is a sorted column of distinct ids; an id's code is its place, counted from 1 so that 0 is left for padding
or an unknown value. Sorting makes the codes independent of the order of the log.
"""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray


def build(*columns: pl.Series) -> pl.Series:
    """The distinct ids of all columns, sorted; nulls are no ids."""
    return pl.concat([column.rename("id") for column in columns]).drop_nulls().unique().sort()


def encode(ids: pl.Series, vocabulary: pl.Series) -> NDArray[np.int32]:
    """int32 codes, 1..len(vocabulary), and 0 for a null or an id that the vocabulary does not have."""
    table = pl.DataFrame({"id": vocabulary, "code": np.arange(1, len(vocabulary) + 1, dtype=np.int32)})
    joined = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")
    return joined["code"].fill_null(0).to_numpy()


def fingerprint(vocabulary: pl.Series) -> str:
    """sha256, in hex, of the ids in order: equal exactly where two vocabularies give every id the same code."""
    digest = hashlib.sha256(id_dtype(vocabulary).encode())
    # One id a line; the length before it keeps ids that hold line breaks apart.
    text = vocabulary.cast(pl.String)
    lines = text.str.len_bytes().cast(pl.String) + ":" + text
    for part in lines.to_frame("id").iter_slices(1 << 20):
        digest.update(("\n".join(part["id"]) + "\n").encode())
    return digest.hexdigest()


def id_dtype(vocabulary: pl.Series) -> str:
    """`int64` or `utf8`: how these ids look outside."""
    return "utf8" if vocabulary.dtype == pl.String else "int64"
