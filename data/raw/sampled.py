"""Chooses the rows of a log that stay in memory, where all of it does not: of a share of the users, of some items.

Files are read in pieces, so memory holds what is chosen and no more.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from data.raw import files
from runtime.errors import DataError, UsageError

_PRIME = 2_654_435_761  # Knuth's, 2^32 over the golden ratio: neighbouring ids get numbers far apart
_RANGE = 2**32


def of_share(user: pl.Expr, share: float) -> pl.Expr:
    """True for a share of all user ids, the same in every file: user · p mod 2^32 < share · 2^32, p about .618 · 2^32.

    Null where a cell is no such number. Args: user, whole numbers below 2^32. share, from 0, nobody, to 1, all.
    """
    return (user.cast(pl.UInt64, strict=False) * _PRIME) % _RANGE < round(share * _RANGE)


def others(user: str, share: float) -> Callable[[pl.DataFrame], pl.Series] | None:
    """What `data.raw.rows.read` skips: rows of users that are not of the share. Errors: UsageError for no share."""
    if not 0 < share <= 1:
        raise UsageError(f"--config.user_share={share:g}: no share of the users above 0, up to 1")
    return None if share == 1 else lambda rows: rows.select(~of_share(pl.col(user), share).fill_null(True)).to_series()


def vectors(path: Path, key: str, column: str, ids: pl.Series) -> pl.DataFrame:
    """The vectors of those of `ids` that the file has, once each: `key`, and `embedding`, an array of float32.

    Errors: DataError for a file that is damaged, lacks a column, or whose vectors differ in length.
    """
    for name in (key, column):
        if name not in files.header(path):
            raise DataError(f"{path}: no column '{name}'; download the file again, or remove it")
    try:
        found = (
            pl.scan_parquet(path, glob=False)
            .select(pl.col(key).cast(pl.Int64), embedding=pl.col(column).cast(pl.List(pl.Float32)))
            .filter(pl.col(key).is_in(ids.implode()))
            .collect(engine="streaming")
            .unique(key, keep="first", maintain_order=True)
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); write or copy it again") from None
    lengths = found["embedding"].list.len().unique()
    if len(lengths) > 1 or found["embedding"].list.eval(pl.element().is_finite()).list.all().not_().any():
        raise DataError(f"{path}: column {column} holds vectors of different lengths, or no numbers; download it again")
    size = int(lengths[0]) if len(lengths) else 1
    return found.with_columns(pl.col("embedding").cast(pl.Array(pl.Float32, size)))
