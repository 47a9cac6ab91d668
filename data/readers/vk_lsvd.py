"""VK-LSVD (deepvk, 2025), half a year of a feed of short videos: 40 billion plays, each with its yes or no.

The layout is that of the data set's card (deepvk/VK-LSVD on Hugging Face). A folder holds

    interactions/{train/week_00…24,validation/week_25,test/week_26}.parquet
        user_id, item_id, place, platform, agent, timespent, like, dislike, share, bookmark, click_on_author,
        open_comments
    subsamples/NAME/{train,validation,test}/week_*.parquet    the same of fewer users and videos, like up0.001_ip0.001
    metadata/items_metadata.parquet    item_id, author_id, duration, train_interactions_rank
    metadata/users_metadata.parquet    user_id, age, gender, geo, train_interactions_rank
    metadata/item_embeddings.npz       item_id, embedding: 64 numbers, the first of which matter most

`--config.subsample=NAME` reads a subsample, which also `--data` itself may be; "" reads `interactions`. The metadata
are read where they are there.

What becomes of it. `timespent`, whole seconds up to 255, is `play_ms`; `place` is `surface`. A bookmark is a `like`, as
a like is. Who opens comments or goes to the author's page has said neither yes nor no: `open_comments`,
`click_on_author`, `platform` and `agent` are not read, nor are the ranks, which count what is learned from and what is
not alike. Nobody meets a video twice. A video's `embedding` are its 64 numbers.

Time. Rows have none: their order is that of time, within a file of one week. Here weeks follow each other from ORIGIN,
and the n rows of a week have the times k / n of it, so spans of time are right to some hours and hours of the day mean
nothing. The split is the log's: week 25 is validation, week 26 test.

Memory: `data.prepare` took 0.8 GB for 3 million made-up rows, so take a subsample, or `--config.user_share=0.001`,
which reads the files in pieces. The embeddings of all 20 million videos, 2.5 GB, are in memory until those of the log's
are picked. None of it has been run on the log itself.

`--download` (Apache 2.0) fetches the weeks and the metadata from Hugging Face, and checks the sha256 of their Git LFS
pointers; the embeddings are for you to add.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from data import clock
from data.readers import Dataset
from data.traits import Traits
from runtime.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column
    from data.raw.tables import Tables

_DATASET = "deepvk/VK-LSVD"
ORIGIN = "2025-01-01T00:00:00Z"  # the card says January to June 2025
WEEK_MS = 7 * 86_400_000
VALID_WEEK, TEST_WEEK = 25, 26
_PLAYS = 40_774_024_903
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
    folder: str | os.PathLike[str], *, subsample: str, user_share: float, quarantine: "Quarantine"
) -> "Tables":
    """Reads and checks the log or a subsample of it; errors as `data.raw.rows.read`."""
    import polars as pl

    from data.raw.tables import Tables

    files = source_files(folder, subsample=subsample)
    by_name = {path.name: path for path in files}
    weeks = [path for path in files if path.name.startswith("week_")]
    read = [_week(path, user_share, quarantine) for path in weeks]
    events = pl.concat([frame for frame, _ in read])
    items = users = None
    if path := by_name.get(_ITEMS):
        items = _of(path, "item_id", events["item_id"], quarantine)
    if path := by_name.get(_USERS):
        users = _of(path, "user_id", events["user_id"], quarantine)
    if path := by_name.get(_EMBEDDINGS):
        items = pl.DataFrame({"item_id": events["item_id"].unique().sort()}) if items is None else items
        items = items.join(_vectors(path, items["item_id"]), on="item_id", how="left", maintain_order="left")
    return Tables(events, items, users, None, sum(count for _, count in read))


def download(folder: Path, *, subsample: str = "", user_share: float = 1.0) -> Path:
    """Fetches the weeks of the log or of a subsample and the metadata, as far as they are not there."""
    from data.raw.download import hugging_face

    del user_share
    if not (folder / "train").is_dir():
        within = f"subsamples/{subsample}" if subsample else "interactions"
        parts = ["train"] * VALID_WEEK + ["validation", "test"]
        weeks = [f"{within}/{part}/week_{week:02}.parquet" for week, part in enumerate(parts)]
        hugging_face(_DATASET, (*weeks, f"metadata/{_ITEMS}", f"metadata/{_USERS}"), folder)
    return folder


def _columns() -> tuple["Column", ...]:
    from dataclasses import replace

    import polars as pl

    from data.raw.rows import Column
    from data.raw.tables import FLAG, ITEM_ID, LENGTH, USER_ID
    from data.raw.times import Lengths

    return (
        replace(USER_ID, dtype=pl.Int64),
        replace(ITEM_ID, dtype=pl.Int64),
        Column("surface", pl.Int64, source="place").always(),
        replace(LENGTH, name="play_ms", source="timespent", convert=Lengths("s")).always(),
        *(replace(FLAG, name=name).always() for name in ("like", "dislike", "share", "bookmark")),
    )


def _week(path: Path, share: float, quarantine: "Quarantine") -> tuple["pl.DataFrame", int]:
    import polars as pl

    from data.raw import rows, sampled
    from data.raw.formats import parquet

    skip = sampled.others("user_id", share)
    frame, count = rows.read(path, _columns(), quarantine=quarantine, skip=skip, number="number")
    begin = clock.parse(ORIGIN) + WEEK_MS * int(path.stem.removeprefix("week_"))
    # Some 1.5 billion rows a week, times its milliseconds: 64 bits hold ten times as much.
    time = begin + (pl.col("number") - 1) * WEEK_MS // parquet.num_rows(path)
    liked = pl.max_horizontal("like", "bookmark")
    return frame.with_columns(timestamp_ms=time, like=liked).drop("number", "bookmark"), count


def _of(path: Path, key: str, ids: "pl.Series", quarantine: "Quarantine") -> "pl.DataFrame":
    """The metadata of the items or users that the events name."""
    from dataclasses import replace

    import polars as pl

    from data.raw.rows import Column, read
    from data.raw.tables import ITEM_ID, LENGTH, USER_ID
    from data.raw.times import Lengths

    columns: tuple[Column, ...]
    if key == "item_id":
        columns = (
            replace(ITEM_ID, dtype=pl.Int64, unique=True),
            Column("creator_id", pl.Int64, source="author_id", required=True),
            replace(LENGTH, name="duration_ms", source="duration", convert=Lengths("s"), required=True),
        )
    else:
        attributes = (Column(name, pl.Int64, required=True, category=True) for name in ("age", "gender", "geo"))
        columns = (replace(USER_ID, dtype=pl.Int64, unique=True), *attributes)
    table, _ = read(path, columns, quarantine=quarantine)
    return table.filter(pl.col(key).is_in(ids.unique().implode()))


def _vectors(path: Path, ids: "pl.Series") -> "pl.DataFrame":
    """item_id and embedding, an array of float32, of those of `ids` that the file has."""
    import zipfile

    import numpy as np
    import polars as pl

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


def _moment(week: int) -> str:
    return clock.show(clock.parse(ORIGIN) + WEEK_MS * week)


DATASETS = (
    Dataset(
        "vk_lsvd",
        "VK-LSVD: short videos, 10 million users, or a subsample of them",
        source_files,
        read_vk_lsvd,
        # Shares as the card's counts tell them, bookmarks aside; how many long views and skips there are it does not.
        traits=Traits(
            _PLAYS,
            {"like": 1_171_423_458 / _PLAYS, "dislike": 11_860_138 / _PLAYS, "share": 262_734_328 / _PLAYS},
            play_times=True,
            creators=True,
        ),
        valid_start=_moment(VALID_WEEK),
        test_start=_moment(TEST_WEEK),
        min_item_count=5,
        options={"subsample": "", "user_share": 1.0},
        download=download,
    ),
)
