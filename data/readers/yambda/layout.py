"""Reads Yambda's Parquet files, as the data set's card lays them out, into canonical tables; and fetches them."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from data import clock, undo
from data.raw import rows, sampled, values
from data.raw.download import hugging_face
from data.raw.quarantine import Quarantine
from data.raw.rows import Column
from data.raw.schema import event_types
from data.raw.schema.event_types import TYPE
from data.raw.tables import FLAG, ITEM_ID, USER_ID, Tables
from data.raw.times import Lengths
from data.readers.yambda import DAY_S, LAST_S, ORIGIN
from runtime.errors import DataError

_DATASET = "yandex/yambda"
KINDS = ("listen", "like", "dislike", "unlike", "undislike")
_FILES = {f"{kind}s.parquet": kind for kind in KINDS}
_ALL = "multi_event.parquet"
_ARTISTS, _EMBEDDINGS = "artist_item_mapping.parquet", "embeddings.parquet"
_LONGEST_MS = 2**31 - 1


def source_files(folder: str | os.PathLike[str], size: str, *, user_share: float = 1.0) -> list[Path]:
    """Events, all in one file or one for each kind, then the artists and the embeddings where they are there."""
    del user_share
    root = Path(folder)
    for place in (root / "flat" / size, root.absolute()):
        files = [place / _ALL] if (place / _ALL).is_file() else [p for p in map(place.joinpath, _FILES) if p.is_file()]
        if files and (files[0].name == _ALL or place / "listens.parquet" in files):
            tops = (place.parent.parent, place)
            tables = ([top / name for top in tops if (top / name).is_file()] for name in (_ARTISTS, _EMBEDDINGS))
            return [*files, *(path for paths in tables for path in paths[:1])]
    raise DataError(
        f"{root / 'flat' / size / _ALL}: no such file, nor listens.parquet beside it; check --data, or give --download"
    )


def read_yambda(folder: str | os.PathLike[str], size: str, *, user_share: float, quarantine: Quarantine) -> Tables:
    """Reads and checks one size of Yambda; errors as `data.raw.rows.read`."""
    files = source_files(folder, size)
    about = {path.name: path for path in files if path.name in (_ARTISTS, _EMBEDDINGS)}
    read = [_events(path, user_share, quarantine) for path in files if path.name not in about]
    everything = pl.concat([frame for frame, _ in read], how="diagonal")
    kind = pl.col(TYPE)
    is_undo = kind.is_in([KINDS.index("unlike"), KINDS.index("undislike")])
    undos = everything.filter(is_undo)
    name = pl.when(kind == KINDS.index("unlike")).then(pl.lit("like")).otherwise(pl.lit("dislike"))
    rows = undo.matched(_canonical(everything.filter(~is_undo)), undos.with_columns(feedback=name))
    events = event_types.joined(rows, within_ms=event_types.HOUR_MS)
    items = _items(about, events["item_id"], quarantine) if about else None
    notes = (f"{len(undos):,} unlikes and undislikes read: no events of their own",) if len(undos) else ()
    return Tables(
        events,
        items,
        users=None,
        earlier=None,
        rows_read=sum(count for _, count in read) - len(undos),
        notes=notes,
        rows_joined=len(rows) - len(events),
        path=files[0],
    )


def _columns(path: Path) -> tuple[Column, ...]:
    origin, seconds_to_ms = clock.parse(ORIGIN), Lengths("s")
    common = (
        replace(USER_ID, source="uid", dtype=pl.Int64),
        replace(ITEM_ID, dtype=pl.Int64),
        Column(
            "timestamp_ms",
            pl.Int64,
            source="timestamp",
            low=origin,
            high=origin + 1000 * (LAST_S + DAY_S),
            remedy="times are seconds from the log's start, some 26,000,000 in all",
            what="a number of seconds",
            convert=lambda seconds: seconds_to_ms(seconds) + origin,
            show=lambda moment: f"{(moment - origin) // 1000:,}",
        ).always(),
        replace(FLAG, name="surface", source="is_organic", dtype=pl.Int64).always(),
    )
    played = (
        Column("played_pct", pl.Int64, source="played_ratio_pct", low=0),
        Column("length_s", pl.Int64, source="track_length_seconds", low=0),
    )
    if path.name == _ALL:
        kind = Column(
            TYPE,
            pl.Int8,
            convert=lambda cells: values.text(cells, TYPE).replace_strict(
                list(KINDS), list(range(len(KINDS))), default=None, return_dtype=pl.Int64
            ),
            what=f"one of {', '.join(KINDS)}",
        ).always()
        return (*common, kind, *(replace(column, required=True) for column in played))
    return (*common, *(column.always() for column in played if path.name == "listens.parquet"))


def _events(path: Path, share: float, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    frame, count = rows.read(path, _columns(path), quarantine=quarantine, skip=sampled.others("uid", share))
    if path.name != _ALL:
        frame = frame.with_columns(pl.lit(KINDS.index(_FILES[path.name]), pl.Int8).alias(TYPE))
    return frame, count


def _canonical(events: pl.DataFrame) -> pl.DataFrame:
    is_listen = pl.col(TYPE) == KINDS.index("listen")
    play_ms = pl.col("played_pct") * pl.col("length_s") * 10  # per cent of seconds
    return events.select(
        "user_id",
        "item_id",
        "timestamp_ms",
        "surface",
        TYPE,
        play_ms=play_ms.clip(0, _LONGEST_MS).cast(pl.Int32),
        duration_ms=(pl.col("length_s") * 1000).clip(0, _LONGEST_MS).cast(pl.Int32),
        long_view=(is_listen & (pl.col("played_pct") >= 50)).fill_null(False).cast(pl.Int8),
        like=(pl.col(TYPE) == KINDS.index("like")).cast(pl.Int8),
        dislike=(pl.col(TYPE) == KINDS.index("dislike")).cast(pl.Int8),
    )


def _items(about: Mapping[str, Path], item_ids: pl.Series, quarantine: Quarantine) -> pl.DataFrame:
    """Artists and embeddings of the tracks that the events name."""
    items = pl.DataFrame({"item_id": item_ids.unique().sort()})
    if path := about.get(_ARTISTS):
        artist = Column("creator_id", pl.Int64, source="artist_id", required=True, nullable=False)
        artists, _ = rows.read(path, (replace(ITEM_ID, dtype=pl.Int64), artist), quarantine=quarantine)
        lists = artists.unique(maintain_order=True).group_by("item_id", maintain_order=True).agg("creator_id")
        items = items.join(lists, on="item_id", how="left", maintain_order="left")
    if path := about.get(_EMBEDDINGS):
        embeddings = sampled.vectors(path, "item_id", "normalized_embed", items["item_id"])
        items = items.join(embeddings, on="item_id", how="left", maintain_order="left")
    return items


def download(folder: Path, size: str, **options: Any) -> Path:
    """Fetches the events of one size and the artists, as far as they are not there; not beside files of the kinds."""
    del options
    if not any((place / "listens.parquet").is_file() for place in (folder, folder / "flat" / size)):
        hugging_face(_DATASET, (f"flat/{size}/{_ALL}", _ARTISTS), folder)
    return folder
