"""The item table: one row an item, its creator, cluster, duration and other attributes as codes for embedding tables.

Only what is known when an item is uploaded is kept: totals of plays or likes would tell a model the future.
"""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import vocabulary
from data.items import buckets
from data.items.content import ALL, CODES_SCHEMA
from data.raw import attributes as kinds
from data.raw import plausibility
from data.raw.tables import attributes

ATTRIBUTE = "item."  # before the name of each attribute in the table: no log's column can be taken for one of Heed's
DURATION_EDGES_MS = (7_000, 18_000, 30_000, 60_000, 120_000, 300_000)
MOST = 16  # codes that an item may have of one feature


class _Feature(NamedTuple):
    columns: dict[str, pl.Series]  # of the item table
    told: dict[str, Any]  # in the manifest
    values: pl.Series  # what its codes from 1 stand for, of categories


class Catalogue(NamedTuple):
    """What `build` makes.

    table: columns item_id, creator_id, cluster_id (the first, of several) and, where there are any, `title`, for
    people, as given; `creator`, `cluster`, `item.NAME` of each attribute and `duration` int32 (0 is unknown, padding),
    `all.NAME` list of int32 where an item may have several codes of NAME, duration_ms int32 (-1 is unknown), and where
    the log tells it of any item uploaded_ms int64, at least 1, null where unknown.
    features: {"name", "cardinality"} of the features of more than one value, codes running from 0 to cardinality - 1;
    "width", the most codes of an item, where that is more than 1; of numbers "edges" and "first", the code of what is
    below all of them (data/items/buckets.py).
    codes: feature, value, code of all categories.
    warnings: what looks wrong about the items as a whole, beside notes of what became of them.
    embeddings [N + 1, E] float32, zeros where unknown, and {"name", "size"} of the columns that it is made of.
    """

    table: pl.DataFrame
    features: list[dict[str, Any]]
    codes: pl.DataFrame
    embeddings: NDArray[np.float32] | None
    embedded: list[dict[str, Any]]
    notes: list[str]
    warnings: list[str]


def build(
    item_ids: pl.Series,
    items: pl.DataFrame | None,
    *,
    duration_ms: NDArray[np.int32],
    seen: NDArray[np.bool_],
    first_ms: NDArray[np.int64],
) -> Catalogue:
    """The item table and its features.

    Args:
      item_ids: the vocabulary; row i of the result describes item_ids[i - 1], row 0 is padding (null ids, zeros).
      items: canonical items, or None where the log has no such table. Further columns are what their type says
        (data/raw/attributes.py).
      duration_ms: [N + 1] as the events tell it, for items whose own is unknown; -1 where they do not.
      seen: [N + 1], the items of the training days, whose numbers decide about buckets.
      first_ms: [N + 1], the time of each item's first event: it was there by then, whatever its uploaded_ms says.
    """
    table = pl.DataFrame({"item_id": item_ids})
    if items is not None:
        table = table.join(items, on="item_id", how="left", maintain_order="left")
    for name in ("creator_id", "cluster_id", "duration_ms"):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, pl.Int64).alias(name))
    padding = pl.DataFrame({name: [None] for name in table.columns}, schema=table.schema)
    table = pl.concat([padding, table])
    known_ms = table["duration_ms"].fill_null(-1).to_numpy()
    duration_ms = np.where(known_ms >= 0, known_ms, duration_ms).astype(np.int32)
    sources = {"creator": "creator_id", "cluster": "cluster_id"}
    sources |= {ATTRIBUTE + name: name for name in attributes(items)}
    embedded = {name: source for name, source in sources.items() if kinds.is_embedding(table.schema[source])}
    columns: dict[str, pl.Series] = {}
    features: list[dict[str, Any]] = []
    codes = [pl.DataFrame(schema=CODES_SCHEMA)]
    notes: list[str] = []
    warnings: list[str] = []
    for name, source in sources.items():
        if name not in embedded:
            made = _feature(name, table[source], seen, notes)
            columns |= made.columns
            features += [made.told] if made.columns[name][1:].n_unique() > 1 or "width" in made.told else []
            code = pl.int_range(1, len(made.values) + 1, dtype=pl.Int32, eager=True)
            stand_for = pl.DataFrame({"value": made.values.cast(pl.String), "code": code})
            codes.append(stand_for.select(pl.lit(name).alias("feature"), "value", "code"))
    durations_code = duration_buckets(duration_ms)
    columns["duration"] = pl.Series(durations_code)
    if len(np.unique(durations_code[1:])) > 1:
        told = {"name": "duration", "cardinality": int(durations_code.max()) + 1}
        features.append(told | {"edges": list(DURATION_EDGES_MS), "first": 1})
    ids = [_first(table[name]) for name in ("creator_id", "cluster_id")]
    title = ["title"] if "title" in table.columns else []
    if "uploaded_ms" in table.columns and not table["uploaded_ms"].count():
        notes.append("uploaded_ms: empty for every item: all count as there from the start")
    elif "uploaded_ms" in table.columns:
        # What came before 1970 has always been there; 0 would say that nobody knows.
        uploaded, first = table["uploaded_ms"].clip(lower_bound=1), pl.Series(first_ms)
        found, doubted = plausibility.of_uploads(table["uploaded_ms"], first)
        notes += found
        warnings += doubted
        columns["uploaded_ms"] = pl.select(pl.when(first < uploaded).then(first).otherwise(uploaded)).to_series()
    return Catalogue(
        table.select("item_id", *ids, *title).with_columns(**columns, duration_ms=pl.Series(duration_ms)),
        features,
        pl.concat(codes),
        np.concatenate([_embeddings(table[source]) for source in embedded.values()], axis=1) if embedded else None,
        [{"name": name, "size": table.schema[source].shape[0]} for name, source in embedded.items()],  # type: ignore[attr-defined]
        notes,
        warnings,
    )


def _feature(name: str, values: pl.Series, seen: NDArray[np.bool_], notes: list[str]) -> _Feature:
    if kinds.is_number(values.dtype):
        numbers = values.fill_null(np.nan).to_numpy()
        edges = buckets.edges(numbers[seen])
        codes = buckets.codes(numbers, edges)
        codes[0] = 0
        told = {"name": name, "cardinality": len(edges) + 3, "edges": edges.tolist(), "first": buckets.MISSING + 1}
        return _Feature({name: pl.Series(codes)}, told, pl.Series([], dtype=pl.String))
    if not kinds.are_several(values.dtype):
        known = vocabulary.build(values)
        code = vocabulary.encode(values, known)
        return _Feature({name: pl.Series(code)}, {"name": name, "cardinality": int(code.max()) + 1}, known)
    width = int(values.list.len().fill_null(0).to_numpy().max(initial=1))
    if width > MOST:
        notes.append(f"items: {name.removeprefix(ATTRIBUTE)} has up to {width:,} values: the first {MOST} are taken")
    kept = values.list.head(MOST)
    rows = pl.DataFrame({"row": pl.int_range(len(kept), eager=True), "value": kept}).explode("value")
    known = vocabulary.build(rows["value"])
    rows = rows.with_columns(value=pl.Series(vocabulary.encode(rows["value"], known))).filter(pl.col("value") > 0)
    each = pl.DataFrame({"row": pl.int_range(len(kept), dtype=pl.Int64, eager=True)}).join(
        rows.group_by("row", maintain_order=True).agg("value"), on="row", how="left", maintain_order="left"
    )["value"]
    told = {"name": name, "cardinality": len(known) + 1} | ({"width": min(width, MOST)} if width > 1 else {})
    return _Feature({name: each.list.first().fill_null(0), ALL + name: each}, told, known)


def _first(ids: pl.Series) -> pl.Series:
    return ids.list.first() if kinds.are_several(ids.dtype) else ids


def _embeddings(values: pl.Series) -> NDArray[np.float32]:
    known = values.is_not_null().to_numpy()
    vectors = np.zeros((len(values), values.dtype.shape[0]), np.float32)  # type: ignore[attr-defined]
    vectors[known] = values.drop_nulls().to_numpy()
    return vectors


def duration_buckets(duration_ms: np.ndarray) -> np.ndarray:
    """int32: 0 where the duration is not positive (unknown), else 1 + the number of DURATION_EDGES_MS at or below."""
    bucket = 1 + np.searchsorted(np.asarray(DURATION_EDGES_MS), duration_ms, side="right")
    return np.where(duration_ms > 0, bucket, 0).astype(np.int32)
