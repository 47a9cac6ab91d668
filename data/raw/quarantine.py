"""What becomes of bad rows of a log: the first ends the run with one line, or all are set aside in a file, counted.

And which columns of its files are read, so that none is left out unsaid.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from data.raw import names
from data.raw.sources import Part
from runtime.errors import DataError

FILE = "quarantine.csv"
MEND = "mend the row"  # what to do about a bad row of which there is nothing else to say
_SCHEMA = {"file": pl.String, "row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}
_REMEDY = "remedy"  # of the frames alone


@dataclasses.dataclass
class ColumnsOf:
    """The columns of one table.

    Attributes:
      used: those read for what they are, and as what. categories, ignored: the others. known: what it might have had.
      kinds: of `categories` those that are none after all -> what they are, numbers or embeddings.
    """

    used: Mapping[str, Sequence[str]]
    categories: list[str]
    ignored: list[str]
    known: frozenset[str]
    kinds: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def all(self) -> list[str]:
        """Their names."""
        return [*self.used, *self.categories, *self.ignored]

    def lines(self, table: str) -> list[str]:
        """For people, with what was probably meant where a name is near one that would have been read."""
        missing = self.known - {*self.used, *self.categories}
        read = [name if [name] == [*of] else f"{name} as {' and '.join(of)}" for name, of in self.used.items()]
        said = [f"{table}: read {', '.join(read)}"]
        of_kind: dict[str, list[str]] = {"categories": [], "numbers": [], "embeddings": []}
        for name in self.categories:
            of_kind[self.kinds.get(name, "categories")].append(name)
        for what, columns in (*of_kind.items(), ("ignored", self.ignored)):
            said += [f"{table}: {what} {', '.join(names.asked(columns, missing))}"] if columns else []
        return said


class Quarantine:
    """Collects bad rows, or, where not `enabled`, raises a DataError for the first one.

    Of no file may more than the share `max_share` of the rows be bad: that is no row's fault.
    """

    def __init__(self, *, enabled: bool = False, max_share: float = 1.0):
        self.enabled, self.max_share = enabled, max_share
        self.columns: dict[str, ColumnsOf] = {}
        self._frames = [pl.DataFrame(schema={**_SCHEMA, _REMEDY: pl.String})]

    def finish(self, path: Path, name: str, rows: int, columns: ColumnsOf) -> None:
        """Takes note of a table that has been read. Errors: DataError where too many of its `rows` were set aside."""
        self.columns[name] = columns
        of_table = self._of_table(name)
        share = len(of_table) / max(rows, 1)
        if share > self.max_share:
            raise DataError(
                f"{path}: {len(of_table):,} of {rows:,} rows ({share:.1%}) are bad, more than "
                f"--max_quarantine={100 * self.max_share:.4g}%; most often {self.most_often(name)}, or give "
                f"--max_quarantine={math.ceil(100 * share)}%"
            )

    def most_often(self, name: str) -> str:
        """What is wrong with most of the rows that were set aside of a table, one of them, how many, and the remedy."""
        column, reason, count, value, remedy = (
            self._of_table(name)
            .group_by("column", "reason", maintain_order=True)
            .agg(pl.len().alias("count"), pl.col("value", _REMEDY).first())
            .sort("count", descending=True, maintain_order=True)
            .select("column", "reason", "count", "value", _REMEDY)
            .row(0)
        )
        shown = "" if value is None else f" '{value}'" if column else f" {value}"
        where = f"column {column}:" if column else "row:"
        return f"{where}{shown} {reason} ({count:,} rows); {'mend the log' if remedy == MEND else remedy}"

    def _of_table(self, name: str) -> pl.DataFrame:
        frame = pl.concat(self._frames)
        return frame.filter((pl.col("file") == name) | pl.col("file").str.starts_with(f"{name}/"))

    def ignore(self, name: str, column: str) -> None:
        """Takes note that a category of a table was left out after all."""
        of_file = self.columns[name]
        of_file.categories.remove(column)
        of_file.ignored.append(column)

    def column_lines(self) -> list[str]:
        """What was read of each file and what was not, for people; of files in a row that are alike, once."""
        alike = itertools.groupby(self.columns.items(), key=lambda of_file: of_file[1])
        runs = [(columns, [file for file, _ in of_run]) for columns, of_run in alike]
        names_of_runs = [files[0] if len(files) == 1 else f"{files[0]} to {files[-1]}" for _, files in runs]
        return [line for (columns, _), name in zip(runs, names_of_runs, strict=True) for line in columns.lines(name)]

    def add(
        self,
        parts: Sequence[Part],
        part_of: pl.Series,
        rows: pl.Series,
        column: str,
        values: pl.Series,
        reason: str,
        remedy: str,
        *,
        among: int,
    ) -> None:
        """Takes the rows of these numbers, each of the file parts[part_of], whose `column` ("": the row itself) holds
        `values`, out of as many that were looked at as `among` says."""
        if not self.enabled:
            where = f"row {rows[0]}, column {column}" if column else f"row {rows[0]}"
            shown = "" if values[0] is None else f" '{values[0]}'" if column else f" {values[0]}"
            raise DataError(
                f"{parts[part_of[0]].path}: {where}:{shown} {reason}{self._more(len(rows), among)}; {remedy}"
                f"{self._or_aside(len(rows) / among)}"
            )
        labels = pl.Series([part.label for part in parts], dtype=pl.String)
        self._frames.append(
            pl.DataFrame(
                {"file": labels.gather(part_of), "row": rows.cast(pl.Int64), "value": values.cast(pl.String)}
            ).select(
                "file",
                "row",
                pl.lit(column).alias("column"),
                "value",
                pl.lit(reason).alias("reason"),
                pl.lit(remedy).alias(_REMEDY),
            )
        )

    def _more(self, bad: int, among: int) -> str:
        # Only as many rows have been looked at: the others may be a long file, which is not read to its end for this.
        if bad == 1:
            return ""
        share = "all" if bad == among else f"{bad / among:.1%}"
        of_all = f", {share} of the first {among:,}" if bad > self.max_share * among or bad == among else ""
        return f" ({bad - 1:,} more rows like it{of_all})"

    def _or_aside(self, share: float) -> str:
        if share == 1:
            return ""  # nothing would be left
        # Of the rows that follow a few more may be bad.
        most = f" --max_quarantine={min(math.ceil(100 * share + 1), 100)}%" if share > self.max_share else ""
        return f", or give --quarantine{most} to set such rows aside"

    def frame(self) -> pl.DataFrame:
        """All rows set aside: file, row, column, value, reason."""
        return pl.concat(self._frames).drop(_REMEDY)

    def notes(self) -> list[str]:
        """How many rows of which file were set aside, and why, for people."""
        counts = self.frame().group_by("file", "column", "reason", maintain_order=True).len()
        return [
            f"quarantined: {count:,} rows of {file}: {column or 'row'} {reason}"
            for file, column, reason, count in counts.rows()
        ]
