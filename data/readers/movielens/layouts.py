"""How the files of MovieLens are laid out: what each size consists of, and how its lines fall into fields."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import DataError

if TYPE_CHECKING:
    from data.raw.batches import Rows

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


def source_files(folder: str | os.PathLike[str], archive: str) -> list[Path]:
    """Ratings, films and, up to 1M, users: in the folder itself or in the one that the archive unpacks to."""
    for names in FILES[archive]:
        for place in (Path(folder) / archive, Path(folder)):
            if (place / names[0]).is_file():
                return [place / name for name in names]
    first = FILES[archive][0][0]
    raise DataError(f"{Path(folder) / archive / first}: no such file; check --data, or give --download")


def opened(path: Path) -> "Rows":
    """The lines of one of LINES; a header is row 1. Errors: DataError where the file is missing or no such text."""
    import polars as pl

    from data.raw.batches import Rows

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


def films(path: Path) -> "Rows":
    """The lines of a file of films, genres in one field and separated by |, as 1M has them.

    `u.item` says of each genre 0 or 1, RecBole has spaces between them.
    """
    import polars as pl

    lines = opened(path)
    if path.name == "u.item":
        named = [pl.when(pl.col(genre).str.strip_chars() == "1").then(pl.lit(genre)) for genre in GENRES]
        frame = lines.frame.with_columns(genres=pl.concat_list(named).list.drop_nulls().list.join("|")).drop(*GENRES)
    elif path.name == "ml-100k.item":
        frame = lines.frame.with_columns(pl.col("genres").str.replace_all(" ", "|"))
    else:
        return lines
    return dataclasses.replace(lines, frame=frame)
