"""Reads VK-LSVD's Parquet files, as the data set's card lays them out, into canonical tables; and fetches them."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from data import clock
from data.raw import rows, sampled
from data.raw.download import hugging_face
from data.raw.formats import parquet
from data.raw.quarantine import Quarantine
from data.raw.rows import Column
from data.raw.tables import FLAG, ITEM_ID, LENGTH, USER_ID, Tables
from data.raw.times import Lengths
from data.readers.vk_lsvd import ORIGIN, VALID_WEEK, WEEK_MS
from runtime.errors import DataError

_DATASET = "deepvk/VK-LSVD"
_EVENTS = (
    replace(USER_ID, dtype=pl.Int64),
    replace(ITEM_ID, dtype=pl.Int64),
    Column("surface", pl.Int64, source="place").always(),
    replace(LENGTH, name="play_ms", source="timespent", convert=Lengths("s")).always(),
    *(replace(FLAG, name=name).always() for name in ("like", "dislike", "share", "bookmark")),
)
_OF_VIDEO = (
    replace(ITEM_ID, dtype=pl.Int64, unique=True),
    Column("creator_id", pl.Int64, source="author_id", required=True),
    replace(LENGTH, name="duration_ms", source="duration", convert=Lengths("s"), required=True),
)
_OF_USER = (
    replace(USER_ID, dtype=pl.Int64, unique=True),
    *(Column(name, pl.Int64, required=True, category=True) for name in ("age", "gender", "geo")),
)
_ABOUT = _ITEMS, _USERS, _EMBEDDINGS = "items_metadata.parquet", "users_metadata.parquet", "item_embeddings.npz"


def source_files(folder: str | os.PathLike[str], *, subsample: str = "", user_share: float = 1.0) -> list[Path]:
    """The weeks in order, then what there is of the metadata of items and users, and the embeddings."""
    del user_share
    root = Path(folder)
    within = root / "subsamples" / subsample if subsample else root / "interactions"
    for place in (within, root):
        weeks = [
            week for part in ("train", "validation", "test") for week in sorted((place / part).glob("week_??.parquet"))
        ]
        if weeks:
            tops = (root, *place.absolute().parents[:2])
            metadata = (
                [top / "metadata" / name for top in tops if (top / "metadata" / name).is_file()] for name in _ABOUT
            )
            return [*weeks, *(path for paths in metadata for path in paths[:1])]
    there = ", ".join(sorted(path.name for path in (root / "subsamples").glob("*"))) or "none"
    raise DataError(
        f"{within}: no train/week_00.parquet there; check --data and --config.subsample (in subsamples/: {there}), or "
        "give --download"
    )


def read_vk_lsvd(
    folder: str | os.PathLike[str], *, subsample: str, user_share: float, quarantine: Quarantine
) -> Tables:
    """Reads and checks the log or a subsample of it; errors as `data.raw.rows.read`."""
    files = source_files(folder, subsample=subsample)
    by_name = {path.name: path for path in files}
    weeks = [path for path in files if path.name.startswith("week_")]
    read = [_week(path, user_share, quarantine) for path in weeks]
    events = pl.concat([frame for frame, _ in read])
    items = users = None
    if path := by_name.get(_ITEMS):
        items = _of(path, _OF_VIDEO, events["item_id"], quarantine)
    if path := by_name.get(_USERS):
        users = _of(path, _OF_USER, events["user_id"], quarantine)
    if path := by_name.get(_EMBEDDINGS):
        items = pl.DataFrame({"item_id": events["item_id"].unique().sort()}) if items is None else items
        items = items.join(_vectors(path, items["item_id"]), on="item_id", how="left", maintain_order="left")
    return Tables(events, items, users, None, sum(count for _, count in read))


def download(folder: Path, *, subsample: str = "", user_share: float = 1.0) -> Path:
    """Fetches the weeks of the log or of a subsample and the metadata, as far as they are not there."""
    del user_share
    if not (folder / "train").is_dir():
        within = f"subsamples/{subsample}" if subsample else "interactions"
        parts = ["train"] * VALID_WEEK + ["validation", "test"]
        weeks = [f"{within}/{part}/week_{week:02}.parquet" for week, part in enumerate(parts)]
        hugging_face(_DATASET, (*weeks, f"metadata/{_ITEMS}", f"metadata/{_USERS}"), folder)
    return folder


def _week(path: Path, share: float, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    skip = sampled.others("user_id", share)
    frame, count = rows.read(path, _EVENTS, quarantine=quarantine, skip=skip, number="number")
    begin = clock.parse(ORIGIN) + WEEK_MS * int(path.stem.removeprefix("week_"))
    # Some 1.5 billion rows a week, times its milliseconds: 64 bits hold ten times as much.
    time = begin + (pl.col("number") - 1) * WEEK_MS // parquet.num_rows(path)
    liked = pl.max_horizontal("like", "bookmark")
    return frame.with_columns(timestamp_ms=time, like=liked).drop("number", "bookmark"), count


def _of(path: Path, columns: tuple[Column, ...], ids: pl.Series, quarantine: Quarantine) -> pl.DataFrame:
    """The metadata of the items or users that the events name."""
    table, _ = rows.read(path, columns, quarantine=quarantine)
    return table.filter(pl.col(ids.name).is_in(ids.unique().implode()))


def _vectors(path: Path, ids: pl.Series) -> pl.DataFrame:
    """item_id and embedding, an array of float32, of those of `ids` that the file has."""
    try:
        with np.load(path) as packed:
            item, vector = packed["item_id"].astype(np.int64), packed["embedding"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: damaged, or not item_id and embedding ({error}); copy it again or remove it"
        ) from None
    if vector.shape[:1] != item.shape or vector.ndim != 2:
        raise DataError(
            f"{path}: embedding has shape {vector.shape} for {len(item):,} items; copy it again or remove it"
        )
    wanted = np.isin(item, ids.to_numpy())
    vectors = pl.Series("embedding", vector[wanted].astype(np.float32), dtype=pl.Array(pl.Float32, vector.shape[1]))
    return pl.DataFrame({"item_id": item[wanted], "embedding": vectors}).unique("item_id", keep="first")
