"""Reads the one CSV file of Tsinghua's short videos into canonical tables."""

import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from data.raw.quarantine import Quarantine
from data.raw.rows import Column, read
from data.raw.schema.rules import flags
from data.raw.tables import FLAG, ITEM_ID, LENGTH, TIME, USER_ID, Tables
from data.raw.times import Lengths
from runtime.errors import DataError

FILES = ("interaciton_filtered.csv", "interaction_filtered.csv", "interaction_sampled.csv", "interaction.csv")
_OF_USER = ("gender", "age", "fre_city", "fre_community_type", "fre_city_level")
# Canonical name -> the file's.
_OF_VIDEO = {
    "creator_id": "author_id",
    "cluster_id": "root_id",
    "category_2": "parent_id",
    "category_3": "category_id",
    "tag": "tag_name",
}
_FLAGS = {
    "like": "cvm_like",
    "collect": "collect",
    "click": "click",
    "follow": "follow",
    "comment": "comment",
    "share": "forward",
    "dislike": "hate",
}


def source_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The one file; DataError where there is none, or more than one."""
    files = [path for path in (Path(folder) / name for name in FILES) if path.is_file()]
    if not files:
        raise DataError(f"{Path(folder) / FILES[0]}: no such file, nor {', '.join(FILES[1:])}; check --data")
    if len(files) > 1:
        raise DataError(f"{files[0]} and {files[1]}: both are there; keep one of them")
    return files


def read_short_video(folder: str | os.PathLike[str], *, quarantine: Quarantine) -> Tables:
    """Reads and checks the log; errors as `data.raw.rows.read`."""
    (path,) = source_files(folder)
    rows, count = read(path, _columns(), quarantine=quarantine)

    def of(key: str, attributes: dict[str, str]) -> pl.DataFrame:
        first = rows.unique(key, keep="first", maintain_order=True)
        return first.select(key, **{name: pl.col(f"of {source}") for name, source in attributes.items()})

    items = of("item_id", {**_OF_VIDEO, "title": "title"})
    durations = rows.group_by("item_id", maintain_order=True).agg(pl.col("duration_ms").max())
    items = items.join(durations, on="item_id", how="left", maintain_order="left")
    users = of("user_id", {name: name for name in _OF_USER})
    events = rows.select(pl.exclude(r"^of .*$")).with_columns(like=pl.max_horizontal("like", "collect")).drop("collect")
    return Tables(events, items, users, None, count)


def _columns() -> tuple[Column, ...]:
    def of_seconds(column: Column, name: str, source: str) -> Column:
        what = "a number of seconds"
        return replace(column, name=name, source=source, required=True, convert=Lengths("s"), what=what)

    time = replace(TIME, nullable=False, remedy="times are seconds since 1970, from 2000 to now")
    return (
        replace(USER_ID, dtype=pl.Int64),
        replace(ITEM_ID, dtype=pl.Int64, source="pid"),
        of_seconds(time, "timestamp_ms", "exposed_time"),
        of_seconds(LENGTH, "play_ms", "watch_time"),
        of_seconds(LENGTH, "duration_ms", "duration"),
        *(
            replace(
                FLAG,
                name=name,
                source=source,
                required=name != "click",
                convert=flags,
                what="true or false",
            )
            for name, source in _FLAGS.items()
        ),
        *(
            Column(f"of {source}", pl.String, source=source, required=True, category=source != "title")
            for source in (*_OF_VIDEO.values(), "title", *_OF_USER)
        ),
    )
