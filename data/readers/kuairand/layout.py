"""Reads KuaiRand's official CSV files, as the archive of Zenodo record 10439422 unpacks them, into canonical tables.

Of each version, `pure`, `1k` and `27k`, these are one or several `log_standard_*` files, `log_random_*` where it is
there, `user_features_*` and `video_features_basic_*`. The statistic files are never read: they hold totals over all
days, the test days among them.

`history_before_0425.parquet`, where it lies beside the logs of `pure`, adds what users watched before the log begins.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from data import clock
from data.raw import files
from data.raw.quarantine import Quarantine
from data.raw.rows import Column, pieces, read
from data.raw.tables import FLAG, ITEM_ID, LENGTH, TIME, USER_ID, Events, Log, Tables
from runtime.errors import DataError

FOLDERS = {"pure": "KuaiRand-Pure", "1k": "KuaiRand-1K", "27k": "KuaiRand-27K"}
HISTORY = "history_before_0425.parquet"
HISTORY_ENDS = "2022-04-25T00:00+08:00"

LOG = (
    replace(USER_ID, dtype=pl.Int64),
    replace(ITEM_ID, dtype=pl.Int64, source="video_id"),
    replace(TIME, name="timestamp_ms", source="time_ms", required=True, nullable=False),
    *(
        replace(FLAG, name=name, source=source, required=True, nullable=False)
        for name, source in {
            "click": "is_click",
            "long_view": "long_view",
            "like": "is_like",
            "follow": "is_follow",
            "comment": "is_comment",
            "share": "is_forward",
            "dislike": "is_hate",
        }.items()
    ),
    replace(LENGTH, name="play_ms", source="play_time_ms", required=True, nullable=False),
    replace(LENGTH, name="duration_ms", required=True, nullable=False),
    # Only these two may be missing: an extract of the log without them is still a log.
    replace(FLAG, name="randomly_exposed", source="is_rand", nullable=False),
    Column("surface", pl.Int64, source="tab", nullable=False),
)
VIDEOS = (
    replace(ITEM_ID, dtype=pl.Int64, source="video_id", unique=True),
    Column("creator_id", pl.Int64, source="author_id", required=True),
    Column("tag", pl.String, required=True, category=True),
    Column("duration_ms", pl.Int64, source="video_duration", required=True),
    Column("upload_dt", pl.String, required=True),
    Column("video_type", pl.String, required=True, category=True),
    Column("upload_type", pl.String, required=True, category=True),
    Column("music", pl.Int64, source="music_id", required=True, category=True),
)
# Each of these stands beside its bucketed `_range`, which is the category.
_USER_NUMBERS = {"follow_user_num", "fans_user_num", "friend_user_num", "register_days"}


def source_files(folder: str | os.PathLike[str], version: str, *, earlier_history: bool = True) -> list[Path]:
    """The files that `read_kuairand` reads: videos, users, logs in order of time, and the history where it is there.

    `folder` may be the archive's folder, its `data` folder, or the folder that the archive was unpacked in.
    """
    root = Path(folder)
    places = [root / "data", root, root / FOLDERS[version] / "data", root / FOLDERS[version]]
    for place in places:
        # Parts sort by name; random exposures come after the standard log, to which they are a supplement.
        logs = [
            path
            for kind in ("standard", "random")
            for path in sorted(place.glob(f"log_{kind}_*_{version}*.csv"))
            if path.stem.endswith(f"_{version}") or f"_{version}_part" in path.stem
        ]
        if not logs:
            continue
        tables = [place / f"video_features_basic_{version}.csv", place / f"user_features_{version}.csv"]
        for table in tables:
            if not table.is_file():
                raise DataError(f"{table}: missing beside {logs[0].name}; unpack the whole archive there")
        histories = [path for path in (root / HISTORY, place.parent / HISTORY) if path.is_file()]
        return [*tables, *logs, *(histories[:1] if earlier_history else [])]
    raise DataError(
        f"{root}: no log_standard_*_{version}*.csv here, in data/ or in {FOLDERS[version]}/data/; "
        "check --data, or give --download to fetch the archive there"
    )


def read_log(folder: str | os.PathLike[str], name: str, *, quarantine: Quarantine) -> Tables:
    """Reads and checks one log file, without videos and users; errors as `data.raw.rows.read`."""
    events, rows_read = read(Path(folder) / name, LOG, quarantine=quarantine)
    return Tables(events, None, None, None, rows_read)


def read_kuairand(
    folder: str | os.PathLike[str], version: str, *, earlier_history: bool, quarantine: Quarantine
) -> Log:
    """Reads and checks one version of KuaiRand; errors as `data.raw.rows.read`, of events while one goes through them.

    Item attributes: second_tag, video_type, upload_type, music. A video's cluster is its first tag.
    """
    videos, people, *rest = source_files(folder, version, earlier_history=earlier_history)
    items = _items(read(videos, VIDEOS, quarantine=quarantine)[0])
    user_columns = [
        Column(name, pl.String, category=True)
        for name in files.header(people)
        if name not in {"user_id", *_USER_NUMBERS}
    ]
    user_id = replace(USER_ID, dtype=pl.Int64, unique=True)
    users, _ = read(people, (user_id, *user_columns), quarantine=quarantine)

    known = {"item_id": (items["item_id"], videos.name)}
    history = rest.pop() if rest[-1].name == HISTORY else None
    logs = [pieces(path, LOG, quarantine=quarantine, known=known) for path in rest]
    first: list[int] = []  # time of each piece's first event
    notes: list[str] = []

    def events() -> Iterator[pl.DataFrame]:
        for frame in itertools.chain.from_iterable(logs):
            first.extend(frame.select(pl.col("timestamp_ms").min()).drop_nulls().to_series())
            yield frame

    def earlier() -> pl.DataFrame | None:
        if history is None:
            return None
        if min(first) < clock.parse(HISTORY_ENDS) - 86_400_000:
            notes.append(f"{HISTORY}: left out, the log itself goes back before {HISTORY_ENDS}")
            return None
        before, again = read_history(history, items["item_id"])
        notes.append(f"{HISTORY}: {len(before):,} events read, {again:,} more merged: the same video twice in a row")
        return before

    def told() -> tuple[int, tuple[str, ...]]:
        return sum(of_file.count for of_file in logs), tuple(notes)

    return Log(events(), Events, items, users, earlier, told)


def read_history(path: Path, item_ids: pl.Series) -> tuple[pl.DataFrame, int]:
    """Earlier events (user_id, item_id, long_view, like) from one row a user of lists of videos in order.

    `watch_seq` holds the last 50 watched. `long_watch_seq` reaches further back, so its videos that `watch_seq` lacks
    come first. A video that follows itself was logged again, not watched again, and counts once: how often that was the
    case is returned beside the events.
    """
    lists = ("watch_seq", "like_seq", "long_watch_seq")
    names = files.header(path)
    for name in ("user_id", *lists):
        if name not in names:
            raise DataError(f"{path}: no column '{name}', only {', '.join(names)}; remove the file or mend it")
    table = files.read(path, ["user_id", *lists]).frame
    for name in lists:
        if not isinstance(table.schema[name], pl.List):
            raise DataError(f"{path}: column {name} holds no lists; remove the file or mend it")

    def pairs(name: str) -> pl.DataFrame:
        return table.select("user_id", item_id=pl.col(name)).explode("item_id").drop_nulls().cast(pl.Int64)

    key = ["user_id", "item_id"]
    try:
        watched, liked, long_viewed = (pairs(name) for name in lists)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"{path}: column user_id or its lists hold no whole numbers; remove the file or mend it"
        ) from None
    older = long_viewed.join(watched, on=key, how="anti", maintain_order="left")
    events = pl.concat([older, watched]).sort("user_id", maintain_order=True)
    repeated = pl.all_horizontal(pl.col(key) == pl.col(key).shift(1)).fill_null(False)
    again = int(events.select(repeated.sum()).item())
    events = events.filter(~repeated)
    unknown = events.filter(~pl.col("item_id").is_in(item_ids.implode()))
    if len(unknown):
        raise DataError(
            f"{path}: item {unknown['item_id'][0]} of user {unknown['user_id'][0]} is no known video; "
            "remove the file or give the one of this version"
        )
    one = pl.lit(1, pl.Int8)
    events = (
        events.join(long_viewed.unique().with_columns(long_view=one), on=key, how="left", maintain_order="left")
        .join(liked.unique().with_columns(like=one), on=key, how="left", maintain_order="left")
        .with_columns(pl.col("long_view", "like").fill_null(0))
    )
    return events, again


def _items(videos: pl.DataFrame) -> pl.DataFrame:
    tags = pl.col("tag").str.split(",")
    uploaded = pl.col("upload_dt").str.to_datetime("%Y-%m-%d", strict=False, time_unit="ms", time_zone="Asia/Shanghai")
    return videos.with_columns(
        cluster_id=tags.list.get(0, null_on_oob=True),
        second_tag=tags.list.get(1, null_on_oob=True),
        uploaded_ms=uploaded.dt.epoch("ms"),
    ).drop("tag", "upload_dt")
