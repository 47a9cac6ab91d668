"""The short-video data set of Tsinghua's FIB lab (Shang et al., WWW '25): exposures with watch times, likes and hates.

The layout is that of the README of github.com/tsinghua-fib-lab/ShortVideo_dataset: one CSV file, which it calls
interaciton_filtered.csv (sic), with the columns

    user_id, pid, exposed_time, p_date, p_hour, watch_time, cvm_like, comment, follow, collect, forward,
    effective_view, hate; of the video: category_level, category_id, parent_id, root_id, duration, author_id,
    author_fans_count, tag_name, title; of the user: gender, age, mod_price, fre_city, fre_community_type,
    fre_city_level

Extracts of it that go round, interaction_filtered.csv, interaction_sampled.csv and interaction.csv, have `click` and
lack `effective_view`: both may be missing. They repeat a row for each tag of its video; such rows become one event.

What becomes of it. `exposed_time` and `watch_time` are seconds. `collect` is a `like`, as `cvm_like` is; `forward` is a
`share`, `hate` a `dislike`. `effective_view`, more than three seconds, is not read: what is a skip, less than three
seconds, the play time tells. Of a video, whose attributes its first row gives: the author, the primary category
(`root_id`) as its cluster, the secondary and tertiary one and the first tag as attributes, its title for people. Of a
user: gender, age, and the city's name, level and kind. Fans and prices are not read: the former are counted at the end.

There is no --download: the server asks for the name and password in the README, and knows no https.

Memory: all of the file's columns that are read, titles among them, until the videos and users are told apart.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from data.readers import Dataset
from runtime.errors import DataError

if TYPE_CHECKING:
    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column
    from data.raw.tables import Tables

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


def read_short_video(folder: str | os.PathLike[str], *, quarantine: "Quarantine") -> "Tables":
    """Reads and checks the log; errors as `data.raw.rows.read`."""
    import polars as pl

    from data.raw.rows import read
    from data.raw.tables import Tables

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


def _columns() -> tuple["Column", ...]:
    from dataclasses import replace

    import polars as pl

    from data.raw.rows import Column
    from data.raw.schema.rules import flags
    from data.raw.tables import FLAG, ITEM_ID, LENGTH, TIME, USER_ID
    from data.raw.times import Lengths

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


DATASETS = (
    Dataset(
        "tsinghua_shortvideo",
        "Tsinghua's short videos: 10,000 users, 153,561 videos, likes and hates",
        source_files,
        read_short_video,
    ),
)
