"""Rows of a table as they stand in its files, some at a time: what the readers of all formats hand on."""

import dataclasses
from collections.abc import Sequence

import polars as pl

from data.raw.sources import Part

_BROKEN = {"row": pl.Int64, "value": pl.String, "reason": pl.String}


@dataclasses.dataclass(frozen=True)
class Rows:
    """Some rows of one file.

    Attributes:
      frame: [n] rows, the columns that were asked for as far as the file has them.
      numbers: [n] their numbers, as a spreadsheet or an editor shows them.
      broken: rows that cannot be told apart into columns: row, value, reason.
    """

    frame: pl.DataFrame
    numbers: pl.Series
    broken: pl.DataFrame = dataclasses.field(default_factory=lambda: broken([]))


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some rows of a table, of one file or of several.

    Attributes:
      frame: [n] rows. numbers: [n] as of `Rows`, in the file parts[part_of] of each, part_of [n].
      broken: as of `Rows`, with part_of. is_text: whether all cells are text, whatever they stand for, as in CSV.
    """

    frame: pl.DataFrame
    numbers: pl.Series
    part_of: pl.Series
    broken: pl.DataFrame
    parts: Sequence[Part]
    is_text: bool

    def __len__(self) -> int:
        """Rows, broken ones too."""
        return len(self.numbers) + len(self.broken)


def broken(rows: Sequence[tuple[int, str, str]]) -> pl.DataFrame:
    """Row number, value and reason of each row as a table."""
    return pl.DataFrame(list(rows), schema=_BROKEN, orient="row")
