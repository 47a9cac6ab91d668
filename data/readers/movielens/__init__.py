"""MovieLens (Harper and Konstan, TiiS 2015), ratings of films: 100K and 1M in lines of text, 20M and 25M in CSV.

The layouts are those of GroupLens' READMEs. A folder holds, itself or in the folder that the archive unpacks to,

    ml-100k/u.data        user, film, rating, timestamp, separated by tabs
    ml-100k/u.item        film|title|release date|video release date|address|19 times 0 or 1, of each genre
    ml-100k/u.user        user|age|gender|occupation|zip code
    ml-1m/ratings.dat     UserID::MovieID::Rating::Timestamp
    ml-1m/movies.dat      MovieID::Title::Genres, genres separated by |
    ml-1m/users.dat       UserID::Gender::Age::Occupation::Zip-code
    ml-20m/, ml-25m/      ratings.csv (userId,movieId,rating,timestamp), movies.csv (movieId,title,genres)

those of lines in ISO-8859-1. 100K is also read as packages of RecBole have it, dataset_example/: ml-100k.inter, .item
and .user, tabs between fields, genres separated by spaces. Tags, links and the genome are not read.

What becomes of it. A rating of 2 stars or fewer is a `dislike`, one of 4 or more a `like`; what lies between is an
event without either. Times are seconds since 1970. A film's clusters are its genres, the first of which stands for it
where one is asked for; the year in its title, or beside it, is a number; of users, up to 1M, gender, age and occupation
are read.
There are no play times, so nothing is a skip, and no creators. Ratings of a user in the same second keep the order of
the file.

Licence: for research, not to be sold, and up to 1M not to be handed on, so `--download` fetches them from GroupLens.
Their sha256 are those that TensorFlow Datasets has (url_checksums/movielens.txt).

Memory: `data.prepare` took 1.0 GB for 3 million made-up ratings in CSV, so some 8 GB for the 25 million.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import clock
from data.readers import Dataset
from data.readers.movielens import layouts
from data.readers.movielens.layouts import source_files
from data.traits import Traits
from runtime.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from data.raw.batches import Rows
    from data.raw.quarantine import Quarantine
    from data.raw.rows import Column, Known
    from data.raw.tables import Tables

URL = "https://files.grouplens.org/datasets/movielens"
SHA256 = {
    "ml-100k": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-20m": "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "ml-25m": "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
}
DISLIKE_UP_TO, LIKE_FROM = 2.0, 4.0  # stars
_FIRST = "1995-01-01T00:00:00Z"  # the first rating is of January 9
NO_GENRE = ("(no genres listed)", "unknown", "")


def read_movielens(folder: str | os.PathLike[str], archive: str, *, quarantine: "Quarantine") -> "Tables":
    """Reads and checks one of the sizes; errors as `data.raw.rows.read`."""
    from data.raw.tables import Tables

    ratings, films, *people = source_files(folder, archive)
    items, _ = _read(films, _film_columns(), quarantine, opened=layouts.films)
    items = _films(items)
    known = {"item_id": (items["item_id"], films.name)}
    events, count = _read(ratings, _rating_columns(), quarantine, known)
    users = _read(people[0], _user_columns(), quarantine)[0] if people else None
    return Tables(events, items, users, None, count)


def _rating_columns() -> tuple["Column", ...]:
    import polars as pl

    from data.raw.tables import FLAG, ITEM_ID, TIME, USER_ID
    from data.raw.times import Lengths

    def stars(cells: pl.Series) -> pl.Series:
        number = cells.cast(pl.Float64, strict=False)
        return number.set(~number.is_between(0.5, 5.0).fill_null(False), None)

    what = "a number of stars from 0.5 to 5"
    flag = replace(FLAG, source="rating", what=what, remedy="mend the row").always()
    return (
        replace(USER_ID, dtype=pl.Int64, source="userId"),
        replace(ITEM_ID, dtype=pl.Int64, source="movieId"),
        replace(flag, name="like", convert=lambda cells: (stars(cells) >= LIKE_FROM).cast(pl.Int64)),
        replace(flag, name="dislike", convert=lambda cells: (stars(cells) <= DISLIKE_UP_TO).cast(pl.Int64)),
        replace(
            TIME,
            name="timestamp_ms",
            source="timestamp",
            low=clock.parse(_FIRST),
            convert=Lengths("s"),
            what="a number of seconds",
            remedy="times are seconds since 1970, from 1995 to now",
        ).always(),
    )


def _film_columns() -> tuple["Column", ...]:
    import polars as pl

    from data.raw.rows import Column
    from data.raw.tables import ITEM_ID

    return (
        replace(ITEM_ID, dtype=pl.Int64, source="movieId", unique=True),
        Column("title", pl.String, required=True),
        Column("genres", pl.String, required=True, category=True),
        Column("year", pl.String),
    )


def _user_columns() -> tuple["Column", ...]:
    import polars as pl

    from data.raw.rows import Column
    from data.raw.tables import USER_ID

    attributes = (Column(name, required=True, category=True) for name in ("gender", "age", "occupation"))
    return (replace(USER_ID, dtype=pl.Int64, source="userId", unique=True), *attributes)


def _films(films: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    genres = pl.when(~pl.col("genres").is_in(NO_GENRE)).then(pl.col("genres")).str.split("|")
    beside = pl.col("year").cast(pl.Float64, strict=False) if "year" in films.columns else pl.lit(None)
    year = pl.coalesce(beside, pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Float64))
    return films.select("item_id", "title", cluster_id=genres, year=year)


def _read(
    path: Path,
    columns: tuple["Column", ...],
    quarantine: "Quarantine",
    known: "Known | None" = None,
    opened: Callable[[Path], "Rows"] = layouts.opened,
) -> tuple["pl.DataFrame", int]:
    from data.raw import rows

    if path.suffix == ".csv":
        return rows.read(path, columns, quarantine=quarantine, known=known)
    lines = opened(path)
    return rows.checked(path, lines, tuple(lines.frame.columns), columns, quarantine=quarantine, known=known)


def download(folder: Path, archive: str) -> Path:
    """Where the files lie: in `folder`, or in what the archive unpacks to there, which is fetched if need be."""
    import zipfile

    from data.raw.download import Digest, fetch

    try:
        return source_files(folder, archive)[0].parent
    except DataError:
        pass
    name = f"{archive}.zip"
    digest = Digest("sha256", SHA256[archive], "TensorFlow Datasets")
    path = fetch(f"{URL}/{name}", folder / name, lambda: digest)
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
    return folder


# A sixth of its ratings are noes, so that light weights of them move as much as heavy ones elsewhere. It is small: all
# that it shows is measured in minutes.
_100K = {
    "plain": ("no_dislike_signal", "dislike_input", "dislike_input_paper_tower"),
    "weights": {
        "dislike_input_and_label": (30.0, 100.0, 300.0),
        "dislike_input_and_label_paper_tower": (100.0,),
    },
    "final": False,
    "systems": (),
    "experiments": {"replayed": ("served", "reference", "paper_tower")},
}


def _archive(
    size: str, events: int, likes: float, dislikes: float, users: str, pipeline: Mapping[str, Any] | None = None
) -> Dataset:
    archive = f"ml-{size}"
    return Dataset(
        name=f"movielens_{size}",
        description=f"MovieLens {size.upper()}: {users} users; ratings up to 2 stars are dislikes, from 4 likes",
        source_files=lambda folder: source_files(folder, archive),
        read=lambda folder, **options: read_movielens(folder, archive, **options),
        download=lambda folder: download(folder, archive),
        traits=Traits(events, {"like": likes, "dislike": dislikes}, clusters=True),
        settings={"pipeline": pipeline} if pipeline else {},
    )


DATASETS = (
    _archive("100k", 100_000, 0.554, 0.175, "943", _100K),
    _archive("1m", 1_000_209, 0.575, 0.164, "6,040"),
    _archive("20m", 20_000_263, 0.5, 0.132, "138,493"),
    _archive("25m", 25_000_095, 0.5, 0.13, "162,541"),
)
