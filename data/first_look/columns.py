"""What a column of a log holds, told from some of its rows: numbers, text, times, 0 and 1."""

import dataclasses
import functools

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data.raw import attributes, spellings
from data.raw.schema.rules import flags
from data.raw.times import Moments

_SHOWN = 24  # characters of an example
# Layouts of dates that are not ISO 8601, the unambiguous ones first.
LAYOUTS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %z %Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y",
    "%d/%m/%Y",
)
# Of numbers that are times: the largest of each unit, as 2100-01-01 is; the smallest is that of 2000-01-01.
_LATEST_S, _EARLIEST_S = 4_102_444_800, 946_684_800
UNIT_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclasses.dataclass(frozen=True)
class Look:
    """Some cells of a column.

    Attributes:
      kind: in words. empty: the share of its cells. distinct: how many values. example: one of them.
      numbers: the cells that say something, as numbers, or None where they are none; texts: as text.
      nothing: words among numbers and times that seem to stand for empty cells. comma: whether the numbers have
        decimal commas.
    """

    name: str
    kind: str
    empty: float
    distinct: int
    example: str
    numbers: NDArray[np.float64] | None
    texts: pl.Series
    nothing: tuple[str, ...] = ()
    comma: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it holds 0 and 1, or true and false, and nothing else."""
        return self.kind == "0 or 1"

    @property
    def time(self) -> tuple[str, str] | None:
        """(unit, layout), "" each where none has to be said, of a column of times; None for any other."""
        if self.kind in ("times", "dates"):
            return "", ""
        if not len(self.texts):
            return None
        if self.numbers is not None:
            middle = float(np.median(self.numbers))
            for unit, per_second in UNIT_PER_SECOND.items():
                if _EARLIEST_S * per_second <= middle <= _LATEST_S * per_second:
                    return "" if unit == "ms" else unit, ""
        return ("", self.layouts[0]) if self.layouts else None

    @functools.cached_property
    def layouts(self) -> list[str]:
        """Those of LAYOUTS that all cells have: two where no day is above the twelfth, and day and month look alike."""
        layouts = [layout for layout in LAYOUTS if Moments(layout=layout)(self.texts[:1]).is_not_null().all()]
        return [layout for layout in layouts if Moments(layout=layout)(self.texts).is_not_null().all()]


def look(cells: pl.Series) -> Look:
    """At a column, as `data.raw.files` opens it."""
    shown = attributes.shown(cells)
    castable = not shown.dtype.is_nested() and shown.dtype != pl.Duration
    texts = shown.cast(pl.String) if castable else pl.Series(cells.name, [_text(cell) for cell in cells], pl.String)
    filled = texts.replace("", None).drop_nulls()
    filled, nothing = _without_nothing(filled) if cells.dtype == pl.String else (filled, ())
    comma = cells.dtype == pl.String and _has_decimal_comma(filled)
    numbers = _numbers(cells, spellings.with_points(filled) if comma else filled)
    example = filled[0] if len(filled) else ""
    return Look(
        cells.name,
        _kind(cells, filled, numbers),
        1 - len(filled) / max(len(cells), 1),
        filled.n_unique(),
        example if len(example) <= _SHOWN else example[:_SHOWN] + "…",
        numbers,
        filled,
        nothing,
        comma,
    )


def _text(cell: object) -> str | None:
    return None if cell is None else str(cell)


def _without_nothing(filled: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    # Words such as NULL say nothing where all else is numbers or times: beside text they may be a name.
    words = [word for word in filled.unique().sort() if spellings.nothing(word)]
    rest = filled.filter(~filled.is_in(words)) if words else filled
    if not words or not len(rest):
        return filled, ()
    numbers = spellings.with_points(rest).cast(pl.Float64, strict=False).null_count() == 0
    return (rest, tuple(words)) if numbers or Moments()(rest).is_not_null().all() else (filled, ())


def _has_decimal_comma(filled: pl.Series) -> bool:
    # Three places behind each comma may as well be thousands.
    commas = filled.str.contains(spellings.DECIMAL_COMMA) & ~filled.str.contains(r",\d{3}\s*$")
    numbers = spellings.with_points(filled).cast(pl.Float64, strict=False)
    return bool(commas.any() and numbers.null_count() == 0)


def _numbers(cells: pl.Series, filled: pl.Series) -> NDArray[np.float64] | None:
    if cells.dtype.is_temporal() or cells.dtype.is_nested() or not len(filled):
        return None
    numbers = filled.cast(pl.Float64, strict=False)
    return numbers.to_numpy() if numbers.null_count() == 0 else None


def _kind(cells: pl.Series, filled: pl.Series, numbers: NDArray[np.float64] | None) -> str:
    dtype = cells.dtype
    if not len(filled):
        return "nothing"
    if dtype.is_nested():
        return "lists" if isinstance(dtype, pl.List | pl.Array) else "structures"
    if dtype == pl.Duration:
        return "lengths of time"
    if dtype.is_temporal():
        return "dates" if dtype == pl.Date else "times"
    if flags(filled).cast(pl.Int64, strict=False).is_in([0, 1]).fill_null(False).all():
        return "0 or 1"
    if numbers is not None:
        return "whole numbers" if (numbers == np.floor(numbers)).all() else "numbers"
    if Moments()(filled).is_not_null().all():
        return "times" if filled.str.contains(":", literal=True).any() else "dates"
    return "text"
