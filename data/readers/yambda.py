"""Yambda (Ploshkin et al., 2025), a log of a music service with likes, dislikes, and their taking back, in three sizes.

The layout is that of the data set's card (yandex/yambda on Hugging Face). A folder holds

    flat/{50m,500m,5b}/multi_event.parquet    uid, timestamp, item_id, is_organic, event_type, played_ratio_pct,
                                              track_length_seconds
    flat/{50m,500m,5b}/{listens,likes,dislikes,unlikes,undislikes}.parquet    the same events, a file each kind
    artist_item_mapping.parquet               artist_id, item_id
    embeddings.parquet                        item_id, embed, normalized_embed: 128 numbers, of the sound

Read is multi_event.parquet, or where it is not there the files of the kinds, and the artists and embeddings where they
are there; the folder may also be flat/50m itself. The three sizes are of 10,000, 100,000 and a million users.

What becomes of it. A listen and the like or dislike of the same track within an hour are one event, of the time of the
first, as `data.raw.schema.event_types` has it. `play_ms` is the played share of the track's length. A listen is a
`long_view` from half of the track on, which the card calls listened. `surface` is 1 for what the user looked for
(`is_organic`), 0 for what was recommended. Unlikes and undislikes are no events of their own: they take back, as
`data.undo` says. A track's creators are its artists, its `embedding` is `normalized_embed`.

Time. The card says steps of five seconds from a start that is not told; the values are seconds, all multiples of five,
up to 26,000,000, which are the 301 days of the log. Here the first is ORIGIN, so dates mean nothing, spans of time do.
The split is the benchmark's: the last day is test, the day before it validation (and the half hours between, which the
benchmark leaves out, belong to what comes before and after).

Memory: `data.prepare` took 1.0 GB for 3 million made-up rows of multi_event.parquet, so some 15 GB for the 48 million
of the smallest, which has not been run. `--config.user_share=0.1` reads a tenth of the users, the file in pieces.

`--download` (Apache 2.0) fetches multi_event.parquet and the artists from Hugging Face, and checks the sha256 of their
Git LFS pointers; the embeddings are for you to add.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import clock
from data.readers import Dataset
from data.traits import Traits
from runtime.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column
    from data.raw.tables import Tables

# Users, and the card's counts of listens, likes and dislikes.
SIZES = {
    "50m": ("10,000 users", 46_467_212, 881_456, 107_776),
    "500m": ("100,000 users", 466_512_103, 9_033_960, 1_128_113),
    "5b": ("a million users", 4_649_567_411, 89_334_605, 11_579_143),
}
_DATASET = "yandex/yambda"
ORIGIN = "2024-01-01T00:00:00Z"  # any
_LAST, _DAY, _GAP = 26_000_000, 86_400, 1_800  # seconds, as the benchmark has them
TEST_S = _LAST - _DAY
VALID_S = TEST_S - _GAP - _DAY

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


def read_yambda(folder: str | os.PathLike[str], size: str, *, user_share: float, quarantine: "Quarantine") -> "Tables":
    """Reads and checks one size of Yambda; errors as `data.raw.rows.read`."""
    import polars as pl

    from data import undo
    from data.raw.schema import event_types
    from data.raw.tables import Tables

    files = source_files(folder, size)
    about = {path.name: path for path in files if path.name in (_ARTISTS, _EMBEDDINGS)}
    read = [_events(path, user_share, quarantine) for path in files if path.name not in about]
    everything = pl.concat([frame for frame, _ in read], how="diagonal")
    kind = pl.col(event_types.TYPE)
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


def _columns(path: Path) -> tuple["Column", ...]:
    from dataclasses import replace

    import polars as pl

    from data.raw import values
    from data.raw.rows import Column
    from data.raw.schema.event_types import TYPE
    from data.raw.tables import FLAG, ITEM_ID, USER_ID
    from data.raw.times import Lengths

    origin, seconds_to_ms = clock.parse(ORIGIN), Lengths("s")
    common = (
        replace(USER_ID, source="uid", dtype=pl.Int64),
        replace(ITEM_ID, dtype=pl.Int64),
        Column(
            "timestamp_ms",
            pl.Int64,
            source="timestamp",
            low=origin,
            high=origin + 1000 * (_LAST + _DAY),
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


def _events(path: Path, share: float, quarantine: "Quarantine") -> tuple["pl.DataFrame", int]:
    import polars as pl

    from data.raw import rows, sampled
    from data.raw.schema.event_types import TYPE

    frame, count = rows.read(path, _columns(path), quarantine=quarantine, skip=sampled.others("uid", share))
    if path.name != _ALL:
        frame = frame.with_columns(pl.lit(KINDS.index(_FILES[path.name]), pl.Int8).alias(TYPE))
    return frame, count


def _canonical(events: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    from data.raw.schema.event_types import TYPE

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


def _items(about: Mapping[str, Path], item_ids: "pl.Series", quarantine: "Quarantine") -> "pl.DataFrame":
    """Artists and embeddings of the tracks that the events name."""
    from dataclasses import replace

    import polars as pl

    from data.raw import rows, sampled
    from data.raw.tables import ITEM_ID

    items = pl.DataFrame({"item_id": item_ids.unique().sort()})
    if path := about.get(_ARTISTS):
        artist = rows.Column("creator_id", pl.Int64, source="artist_id", required=True, nullable=False)
        artists, _ = rows.read(path, (replace(ITEM_ID, dtype=pl.Int64), artist), quarantine=quarantine)
        lists = artists.unique(maintain_order=True).group_by("item_id", maintain_order=True).agg("creator_id")
        items = items.join(lists, on="item_id", how="left", maintain_order="left")
    if path := about.get(_EMBEDDINGS):
        embeddings = sampled.vectors(path, "item_id", "normalized_embed", items["item_id"])
        items = items.join(embeddings, on="item_id", how="left", maintain_order="left")
    return items


def download(folder: Path, size: str, **options: Any) -> Path:
    """Fetches the events of one size and the artists, as far as they are not there; not beside files of the kinds."""
    from data.raw.download import hugging_face

    del options
    if not any((place / "listens.parquet").is_file() for place in (folder, folder / "flat" / size)):
        hugging_face(_DATASET, (f"flat/{size}/{_ALL}", _ARTISTS), folder)
    return folder


def _moment(seconds: int) -> str:
    return clock.show(clock.parse(ORIGIN) + 1000 * seconds)


def _size(size: str, users: str, listens: int, likes: int, dislikes: int) -> Dataset:
    events = listens + likes + dislikes
    return Dataset(
        name=f"yambda_{size}",
        description=f"Yambda-{size.upper()}: music, {users}, likes and dislikes, and their taking back",
        source_files=lambda folder, **options: source_files(folder, size, **options),
        read=lambda folder, **options: read_yambda(folder, size, **options),
        # How many listens are long views or skips is not published.
        traits=Traits(events, {"like": likes / events, "dislike": dislikes / events}, play_times=True, creators=True),
        valid_start=_moment(VALID_S),
        test_start=_moment(TEST_S),
        # Many tracks were met once or twice: an embedding each would be most of the model, and learn nothing.
        min_item_count=5,
        options={"user_share": 1.0},
        download=lambda folder, **options: download(folder, size, **options),
    )


DATASETS = tuple(_size(size, *about) for size, about in SIZES.items())
