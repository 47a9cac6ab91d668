"""The item table: one row an item, its creator, cluster, duration and other attributes as codes for embedding tables.

Only what is known when an item is uploaded is kept: totals of plays or likes would tell a model the future.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from data import vocabulary

ATTRIBUTE = "item."  # before the name of each attribute in the table: no log's column can be taken for one of Heed's
DURATION_EDGES_MS = (7_000, 18_000, 30_000, 60_000, 120_000, 300_000)


def build(
    item_ids: pl.Series, items: pl.DataFrame | None, *, attributes: Sequence[str], durations: pl.DataFrame
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The item table and its features.

    Args:
      item_ids: the vocabulary; row i of the result describes item_ids[i - 1], row 0 is padding (null ids, zeros).
      items: canonical items, or None where the log has no such table.
      attributes: further columns of `items` to keep as categories.
      durations: item_id, duration_ms as the events tell it, for items whose own is unknown.
    Returns:
      columns item_id, creator_id, cluster_id and, where there are any, `title`, for people, as given; `creator`,
      `cluster`, `item.NAME` of each attribute and `duration` int32 (0 is unknown), duration_ms int32 (-1 is unknown);
      and a list of {"name", "cardinality"} of the features of more than
      one value, codes running from 0 to cardinality - 1.
    """
    table = pl.DataFrame({"item_id": item_ids})
    if items is not None:
        table = table.join(items, on="item_id", how="left", maintain_order="left")
    for name in ("creator_id", "cluster_id", "duration_ms"):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, pl.Int64).alias(name))
    of_events = table.select("item_id").join(durations, on="item_id", how="left", maintain_order="left")["duration_ms"]
    duration_ms = table["duration_ms"].cast(pl.Int64).fill_null(of_events.cast(pl.Int64))

    padding = pl.DataFrame({name: [None] for name in table.columns}, schema=table.schema)
    table = pl.concat([padding, table])
    duration_ms = pl.concat([pl.Series([None], dtype=pl.Int64), duration_ms])
    sources = {"creator": "creator_id", "cluster": "cluster_id"} | {ATTRIBUTE + name: name for name in attributes}
    codes = {name: _codes(table[source]) for name, source in sources.items()}
    codes["duration"] = duration_buckets(duration_ms.fill_null(-1).to_numpy())
    features = [
        {"name": name, "cardinality": int(code.max()) + 1}
        for name, code in codes.items()
        if len(np.unique(code[1:])) > 1
    ]
    return (
        table.select("item_id", "creator_id", "cluster_id", *({"title"} & {*table.columns})).with_columns(
            **{name: pl.Series(code) for name, code in codes.items()},
            duration_ms=duration_ms.fill_null(-1).cast(pl.Int32),
        ),
        features,
    )


def duration_buckets(duration_ms: np.ndarray) -> np.ndarray:
    """int32: 0 where the duration is not positive (unknown), else 1 + the number of DURATION_EDGES_MS at or below."""
    bucket = 1 + np.searchsorted(np.asarray(DURATION_EDGES_MS), duration_ms, side="right")
    return np.where(duration_ms > 0, bucket, 0).astype(np.int32)


def _codes(values: pl.Series) -> np.ndarray:
    return vocabulary.encode(values, vocabulary.build(values))
