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


_SHOWN = 5


class Watched:
    """A rule that takes note of whether it has held of any cell, and else of what was there: `UP` holds of no `up`."""

    def __init__(self, rule: Compared | OneOf, text: str) -> None:
        """text: the rule as schema.yaml has it."""
        self._rule, self._text = rule, text
        self._has_held = False
        self._words: dict[str, None] = {}
        self._bounds: list[float] = []

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Int64."""
        holds = self._rule(cells)
        self._has_held = self._has_held or bool((holds == 1).any())
        if not self._has_held:
            self._look(cells)
        return holds

    def never(self) -> str:
        """What to tell of a rule that has held of no cell, "" of one that has."""
        if self._has_held:
            return ""
        there = f"numbers from {min(self._bounds):.4g} to {max(self._bounds):.4g}" if self._bounds else ""
        if self._words:
            more = ", …" if len(self._words) > _SHOWN else ""
            there = ", ".join([*self._words][:_SHOWN]) + more
        return f"no row has {self._text}; it holds {there or 'nothing'}"

    def _look(self, cells: pl.Series) -> None:
        if isinstance(self._rule, Compared):
            number = _plain(cells).cast(pl.Float64, strict=False).drop_nulls().drop_nans()
            self._bounds += [number.min(), number.max()] if len(number) else []  # type: ignore[list-item]
        elif len(self._words) <= _SHOWN:
            words = _plain(cells).cast(pl.String).replace("", None).drop_nulls().unique(maintain_order=True)
            self._words |= dict.fromkeys(words.head(_SHOWN + 1))


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


class Numbers:
    """Whole numbers and text as numbers; takes note of cells that say something and are none: `12.50 EUR`."""

    def __init__(self, decimal: str = ".") -> None:
        """decimal: what text has before the fraction, `.` or `,`."""
        self._decimal = decimal
        self._count, self._first = 0, ""

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Float64, null where a cell is none."""
        cells = _plain(cells)
        number = (spellings.with_points(cells) if self._decimal == "," else cells).cast(pl.Float64, strict=False)
        said = cells.replace("", None) if cells.dtype == pl.String else cells
        unread = said.filter(said.is_not_null() & number.is_null())
        if len(unread):
            self._first = self._first or str(unread[0])
            self._count += len(unread)
        return number

    def unread(self) -> str:
        """What to tell of cells that were none; "" where there was none such."""
        return f"{self._count:,} cells are no numbers, such as '{self._first}': unknown" if self._count else ""


def _plain(cells: pl.Series) -> pl.Series:
    # Text without white space around it.
    if cells.dtype == pl.Binary:
        cells = values.text_of_bytes(cells)
    return cells.cast(pl.String).str.strip_chars() if cells.dtype in (pl.String, pl.Categorical, pl.Enum) else cells
