"""Reads the files of MovieLens: what each size consists of, how lines fall into fields, what becomes of them."""

import dataclasses
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from data import clock
from data.raw import rows
from data.raw.batches import Rows
from data.raw.download import Digest, fetch
from data.raw.quarantine import Quarantine
from data.raw.rows import Column, Known
from data.raw.tables import FLAG, ITEM_ID, TIME, USER_ID, Tables
from data.raw.times import Lengths
from runtime.errors import DataError

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
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


@dataclasses.dataclass(frozen=True)
class Lines:
    """A text file of lines: what stands between their fields, what the fields are called, and its first line's use."""

    separator: str
    fields: tuple[str, ...]
    header: bool = False
    encoding: str = "iso-8859-1"


_RATING = ("userId", "movieId", "rating", "timestamp")
# Of each size its files, in the order ratings, films, users; of 100K also as RecBole's packages have them.
FILES = {
    "ml-100k": (("u.data", "u.item", "u.user"), ("ml-100k.inter", "ml-100k.item", "ml-100k.user")),
    "ml-1m": (("ratings.dat", "movies.dat", "users.dat"),),
    "ml-20m": (("ratings.csv", "movies.csv"),),
    "ml-25m": (("ratings.csv", "movies.csv"),),
}
LINES = {
    "ratings.dat": Lines("::", _RATING),
    "movies.dat": Lines("::", ("movieId", "title", "genres")),
    "users.dat": Lines("::", ("userId", "gender", "age", "occupation", "zip")),
    "u.data": Lines("\t", _RATING),
    "u.item": Lines("|", ("movieId", "title", "released", "video", "url", *GENRES)),
    "u.user": Lines("|", ("userId", "age", "gender", "occupation", "zip")),
    "ml-100k.inter": Lines("\t", _RATING, header=True, encoding="utf-8"),
    "ml-100k.item": Lines("\t", ("movieId", "title", "year", "genres"), header=True, encoding="utf-8"),
    "ml-100k.user": Lines("\t", ("userId", "age", "gender", "occupation", "zip"), header=True, encoding="utf-8"),
}


def _stars(cells: pl.Series) -> pl.Series:
    number = cells.cast(pl.Float64, strict=False)
    return number.set(~number.is_between(0.5, 5.0).fill_null(False), None)


_BY_STARS = replace(FLAG, source="rating", what="a number of stars from 0.5 to 5", remedy="mend the row").always()
RATINGS = (
    replace(USER_ID, dtype=pl.Int64, source="userId"),
    replace(ITEM_ID, dtype=pl.Int64, source="movieId"),
    replace(_BY_STARS, name="like", convert=lambda cells: (_stars(cells) >= LIKE_FROM).cast(pl.Int64)),
    replace(_BY_STARS, name="dislike", convert=lambda cells: (_stars(cells) <= DISLIKE_UP_TO).cast(pl.Int64)),
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
FILMS = (
    replace(ITEM_ID, dtype=pl.Int64, source="movieId", unique=True),
    Column("title", pl.String, required=True),
    Column("genres", pl.String, required=True, category=True),
    Column("year", pl.String),
)
USERS = (
    replace(USER_ID, dtype=pl.Int64, source="userId", unique=True),
    *(Column(name, required=True, category=True) for name in ("gender", "age", "occupation")),
)


def source_files(folder: str | os.PathLike[str], archive: str) -> list[Path]:
    """Ratings, films and, up to 1M, users: in the folder itself or in the one that the archive unpacks to."""
    for names in FILES[archive]:
        for place in (Path(folder) / archive, Path(folder)):
            if (place / names[0]).is_file():
                return [place / name for name in names]
    first = FILES[archive][0][0]
    raise DataError(f"{Path(folder) / archive / first}: no such file; check --data, or give --download")


def opened(path: Path) -> Rows:
    """The lines of one of LINES; a header is row 1. Errors: DataError where the file is missing or no such text."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; check --data, or put the file there")
    layout = LINES[path.name]
    try:
        text = path.read_bytes().decode(layout.encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is no {layout.encoding}; download the file again") from error
    lines = pl.Series("line", text.removesuffix("\n").split("\n")).str.strip_chars_end("\r")
    numbered = lines.to_frame().with_row_index("row", offset=1).slice(int(layout.header))
    separator, count = layout.separator, len(layout.fields)
    numbered = numbered.with_columns(
        pl.col("row").cast(pl.Int64),
        fields=1 + pl.col("line").str.count_matches(separator, literal=True).cast(pl.Int64),
    )
    whole = numbered.filter(pl.col("fields") == count)
    fields = whole.select(
        pl.col("line").str.split_exact(separator, count - 1).struct.rename_fields(layout.fields)
    ).unnest("line")
    broken = numbered.filter(pl.col("fields") != count).select(
        "row",
        value=pl.col("fields").cast(pl.String),
        reason=pl.lit(f"fields where there are {count}: cut short or broken"),
    )
    return Rows(fields, whole["row"], broken)


def films(path: Path) -> Rows:
    """The lines of a file of films, genres in one field and separated by |, as 1M has them.

    `u.item` says of each genre 0 or 1, RecBole has spaces between them.
    """
    lines = opened(path)
    if path.name == "u.item":
        named = [pl.when(pl.col(genre).str.strip_chars() == "1").then(pl.lit(genre)) for genre in GENRES]
        frame = lines.frame.with_columns(genres=pl.concat_list(named).list.drop_nulls().list.join("|")).drop(*GENRES)
    elif path.name == "ml-100k.item":
        frame = lines.frame.with_columns(pl.col("genres").str.replace_all(" ", "|"))
    else:
        return lines
    return dataclasses.replace(lines, frame=frame)


def read_movielens(folder: str | os.PathLike[str], archive: str, *, quarantine: Quarantine) -> Tables:
    """Reads and checks one of the sizes; errors as `data.raw.rows.read`."""
    ratings, titles, *people = source_files(folder, archive)
    items, _ = _read(titles, FILMS, quarantine, opened=films)
    items = _films(items)
    known = {"item_id": (items["item_id"], titles.name)}
    events, count = _read(ratings, RATINGS, quarantine, known)
    users = _read(people[0], USERS, quarantine)[0] if people else None
    return Tables(events, items, users, None, count)


def _films(films: pl.DataFrame) -> pl.DataFrame:
    genres = pl.when(~pl.col("genres").is_in(NO_GENRE)).then(pl.col("genres")).str.split("|")
    beside = pl.col("year").cast(pl.Float64, strict=False) if "year" in films.columns else pl.lit(None)
    year = pl.coalesce(beside, pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Float64))
    return films.select("item_id", "title", cluster_id=genres, year=year)


def _read(
    path: Path,
    columns: tuple[Column, ...],
    quarantine: Quarantine,
    known: Known | None = None,
    opened: Callable[[Path], Rows] = opened,
) -> tuple[pl.DataFrame, int]:
    if path.suffix == ".csv":
        return rows.read(path, columns, quarantine=quarantine, known=known)
    lines = opened(path)
    return rows.checked(path, lines, tuple(lines.frame.columns), columns, quarantine=quarantine, known=known)


def download(folder: Path, archive: str) -> Path:
    """Where the files lie: in `folder`, or in what the archive unpacks to there, which is fetched if need be."""
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
