"""Cells as what they stand for, for `Column.convert` of `data.raw.rows`: seconds as milliseconds, words as 0 and 1.

A cell that is nothing of the kind becomes null.
"""

import polars as pl

_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


def flags(cells: pl.Series) -> pl.Series:
    """Int64 of booleans, 0 and 1, and the words true and false in any case."""
    if cells.dtype != pl.String:
        return cells.cast(pl.Int64, strict=False) if cells.dtype == pl.Boolean else cells
    return cells.str.strip_chars().str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Int64)


def milliseconds(cells: pl.Series) -> pl.Series:
    """Int64 of seconds, whole or not, rounded to the nearest millisecond."""
    if cells.dtype.is_integer():
        return cells.cast(pl.Int64, strict=False) * 1000
    seconds = cells.cast(pl.Float64, strict=False)
    finite = seconds.set(~seconds.is_finite().fill_null(False), None)
    return (finite * 1000).round().cast(pl.Int64, strict=False)
