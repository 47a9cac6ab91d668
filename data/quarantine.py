"""What becomes of bad rows of a log: the first ends the run with one line, or all are set aside in a file, counted."""

import os
from pathlib import Path

import polars as pl

from runtime.errors import DataError

FILE = "quarantine.csv"
_SCHEMA = {"file": pl.String, "row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}


class Quarantine:
    """Collects bad rows, or, where not `enabled`, raises a DataError for the first one."""

    def __init__(self, *, enabled: bool = False):
        self.enabled = enabled
        self._frames = [pl.DataFrame(schema=_SCHEMA)]

    def add(
        self, file: str | os.PathLike[str], rows: pl.Series, column: str, values: pl.Series, reason: str, remedy: str
    ) -> None:
        """Takes the rows of `file` with these numbers, whose `column` ("": the row itself) holds `values`."""
        if not self.enabled:
            where = f"row {rows[0]}, column {column}" if column else f"row {rows[0]}"
            shown = "" if values[0] is None else f" '{values[0]}'" if column else f" {values[0]}"
            more = f" ({len(rows) - 1:,} more rows like it)" if len(rows) > 1 else ""
            raise DataError(
                f"{file}: {where}:{shown} {reason}{more}; {remedy}, or give --quarantine to set such rows aside"
            )
        self._frames.append(
            pl.DataFrame({"row": rows.cast(pl.Int64), "value": values.cast(pl.String)}).select(
                pl.lit(Path(file).name).alias("file"),
                "row",
                pl.lit(column).alias("column"),
                "value",
                pl.lit(reason).alias("reason"),
            )
        )

    def frame(self) -> pl.DataFrame:
        """All rows set aside: file, row, column, value, reason."""
        return pl.concat(self._frames)

    def notes(self) -> list[str]:
        """How many rows of which file were set aside, and why, for people."""
        counts = self.frame().group_by("file", "column", "reason", maintain_order=True).len()
        return [
            f"quarantined: {count:,} rows of {file}: {column or 'row'} {reason}"
            for file, column, reason, count in counts.rows()
        ]
