"""What a log says in its own way: a rating from some number on, one word among others, yes and no, lists in one field.

For `Column.convert` of `data.raw.rows`. Those of feedback make cells Int64, 1 where they hold and 0 where they do not,
null where the cell is empty or nothing that they can judge.
"""

import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from data.raw import spellings, values

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


@dataclasses.dataclass(frozen=True)
class Compared:
    """`rating <= 2`: cells that are numbers beside one; NaN is no rating, and no rule holds for it."""

    symbol: str
    number: float

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Int64."""
        number = _plain(cells).cast(pl.Float64, strict=False)
        holds = OPERATORS[self.symbol](number, self.number)
        return (holds & number.is_not_nan()).cast(pl.Int64)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """`reaction == heart`: cells that are one of these words, or, where not `holds`, none of them."""

    words: Sequence[str]
    holds: bool = True

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Int64."""
        text = _plain(cells).cast(pl.String).replace("", None)
        return (text.is_in(list(self.words)) == self.holds).cast(pl.Int64)


def flags(cells: pl.Series) -> pl.Series:
    """Int64 of booleans, 0 and 1, and the words true and false in any case."""
    if cells.dtype != pl.String:
        return cells.cast(pl.Int64, strict=False) if cells.dtype == pl.Boolean else cells
    return cells.str.strip_chars().str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Int64)


def split(cells: pl.Series, separator: str) -> pl.Series:
    """Text as lists, of what stands between the separators; an empty cell is an empty list."""
    if cells.dtype != pl.String:
        return cells
    return cells.str.split(separator).list.eval(pl.element().str.strip_chars().replace("", None).drop_nulls())


def numbers(cells: pl.Series, *, decimal: str = ".") -> pl.Series:
    """Float64 of whole numbers and of text, null where it is none."""
    cells = _plain(cells)
    return (spellings.with_points(cells) if decimal == "," else cells).cast(pl.Float64, strict=False)


def _plain(cells: pl.Series) -> pl.Series:
    if cells.dtype == pl.Binary:
        return values.text_of_bytes(cells)
    return cells.cast(pl.String) if cells.dtype in (pl.Categorical, pl.Enum) else cells
