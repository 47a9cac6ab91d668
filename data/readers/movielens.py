"""MovieLens (Harper and Konstan, TiiS 2015), ratings of films: 1M in files separated by ::, 20M and 25M in CSV.

The layouts are those of GroupLens' READMEs. A folder holds, itself or in the folder that the archive unpacks to,

    ml-1m/ratings.dat     UserID::MovieID::Rating::Timestamp
    ml-1m/movies.dat      MovieID::Title::Genres, in ISO-8859-1, genres separated by |
    ml-1m/users.dat       UserID::Gender::Age::Occupation::Zip-code
    ml-20m/, ml-25m/      ratings.csv (userId,movieId,rating,timestamp), movies.csv (movieId,title,genres)

Tags, links and the genome are not read.

What becomes of it. A rating of 2 stars or fewer is a `dislike`, one of 4 or more a `like`; what lies between is an
event without either. Times are seconds since 1970. A film's clusters are its genres, the first of which stands for it
where one is asked for; the year in its title is a number; of users, in 1M alone, gender, age and occupation are read.
There are no play times, so nothing is a skip, and no creators. Ratings of a user in the same second keep the order of
the file.

Licence: for research, not to be sold, and 1M not to be handed on, so `--download` fetches the archive from GroupLens.
Its sha256 is the one that TensorFlow Datasets has of it (url_checksums/movielens.txt).

Memory: `data.prepare` took 1.0 GB for 3 million made-up ratings in CSV, so some 8 GB for the 25 million.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data import clock
from data.readers import Dataset
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
    "ml-1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-20m": "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "ml-25m": "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
}
DISLIKE_UP_TO, LIKE_FROM = 2.0, 4.0  # stars
_FIRST = "1995-01-01T00:00:00Z"  # the first rating is of January 9
_FIELDS = {
    "ratings.dat": ("userId", "movieId", "rating", "timestamp"),
    "movies.dat": ("movieId", "title", "genres"),
    "users.dat": ("userId", "gender", "age", "occupation", "zip"),
}
NO_GENRE = "(no genres listed)"


def source_files(folder: str | os.PathLike[str], archive: str) -> list[Path]:
    """Ratings, films and, in 1M, users."""
    names = tuple(_FIELDS) if archive == "ml-1m" else ("ratings.csv", "movies.csv")
    for place in (Path(folder) / archive, Path(folder)):
        if (place / names[0]).is_file():
            return [place / name for name in names]
    raise DataError(f"{Path(folder) / archive / names[0]}: no such file; check --data, or give --download")


def read_movielens(folder: str | os.PathLike[str], archive: str, *, quarantine: "Quarantine") -> "Tables":
    """Reads and checks one of the sizes; errors as `data.raw.rows.read`."""
    from data.raw.tables import Tables

    ratings, films, *people = source_files(folder, archive)
    items, _ = _read(films, _film_columns(), quarantine)
    items = _films(items)
    known = {"item_id": (items["item_id"], films.name)}
    events, count = _read(ratings, _rating_columns(), quarantine, known)
    users = _read(people[0], _user_columns(), quarantine)[0] if people else None
    return Tables(events, items, users, None, count)


def _rating_columns() -> tuple["Column", ...]:
    import polars as pl

    from data.raw import convert
    from data.raw.tables import FLAG, ITEM_ID, TIME, USER_ID

    def stars(cells: pl.Series) -> pl.Series:
        number = cells.cast(pl.Float64, strict=False)
        return number.set(~number.is_between(0.5, 5.0).fill_null(False), None)

    flag = replace(FLAG, source="rating", what="a number of stars from 0.5 to 5").always()
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
            convert=convert.milliseconds,
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
    )


def _user_columns() -> tuple["Column", ...]:
    import polars as pl

    from data.raw.rows import Column
    from data.raw.tables import USER_ID

    attributes = (Column(name, required=True, category=True) for name in ("gender", "age", "occupation"))
    return (replace(USER_ID, dtype=pl.Int64, source="userId", unique=True), *attributes)


def _films(films: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    genres = pl.when(pl.col("genres") != NO_GENRE).then(pl.col("genres")).str.split("|")
    year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Float64)
    return films.select("item_id", "title", cluster_id=genres, year=year)


def _read(
    path: Path, columns: tuple["Column", ...], quarantine: "Quarantine", known: "Known | None" = None
) -> tuple["pl.DataFrame", int]:
    from data.raw import rows

    if path.suffix == ".csv":
        return rows.read(path, columns, quarantine=quarantine, known=known)
    return rows.checked(path, _opened(path), _FIELDS[path.name], columns, quarantine=quarantine, known=known)


def _opened(path: Path) -> "Rows":
    # Without a header; the first row is row 1.
    import polars as pl

    from data.raw.batches import Rows

    if not path.is_file():
        raise DataError(f"{path}: no such file; check --data, or put the file there")
    names = _FIELDS[path.name]
    lines = pl.Series("line", path.read_bytes().decode("iso-8859-1").removesuffix("\n").split("\n"))
    numbered = pl.DataFrame({"line": lines.str.strip_chars_end("\r")}).with_row_index("row", offset=1)
    numbered = numbered.with_columns(
        pl.col("row").cast(pl.Int64), fields=1 + pl.col("line").str.count_matches("::", literal=True).cast(pl.Int64)
    )
    whole = numbered.filter(pl.col("fields") == len(names))
    fields = whole.select(pl.col("line").str.split_exact("::", len(names) - 1).struct.rename_fields(names)).unnest(
        "line"
    )
    broken = numbered.filter(pl.col("fields") != len(names)).select(
        "row",
        value=pl.col("fields").cast(pl.String),
        reason=pl.lit(f"fields where there are {len(names)}: cut short or broken"),
    )
    return Rows(fields, whole["row"], broken)


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


def _archive(size: str, events: int, likes: float, dislikes: float, users: str) -> Dataset:
    archive = f"ml-{size}"
    return Dataset(
        name=f"movielens_{size}",
        description=f"MovieLens {size.upper()}: {users} users; ratings up to 2 stars are dislikes, from 4 likes",
        source_files=lambda folder: source_files(folder, archive),
        read=lambda folder, **options: read_movielens(folder, archive, **options),
        download=lambda folder: download(folder, archive),
        traits=Traits(events, {"like": likes, "dislike": dislikes}, clusters=True),
    )


DATASETS = (
    _archive("1m", 1_000_209, 0.575, 0.164, "6,040"),
    _archive("20m", 20_000_263, 0.5, 0.132, "138,493"),
    _archive("25m", 25_000_095, 0.5, 0.13, "162,541"),
)
