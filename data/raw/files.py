"""Reads a table from its files, whatever their format: the names of its columns, and its rows, some at a time.

A format is a function that names a file's columns and one that yields its rows; all else is the same for all formats.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from data.raw import sources, values
from data.raw.batches import Batch, Rows
from data.raw.formats import delimited, json_lines, parquet
from data.raw.sources import Part, Source
from runtime.errors import DataError


@dataclasses.dataclass(frozen=True)
class Format:
    """How files of one kind are read.

    Attributes:
      header, rows: as of `data.raw.formats.delimited`. is_whole: whether the header names all columns, as it
        does not where each row has names of its own. is_text: whether all cells are text. num_rows: of a file, None
        where only reading it tells.
    """

    header: Callable[[Path], list[str]]
    rows: Callable[[Path, Any], Iterator[Rows]]
    is_whole: bool = True
    is_text: bool = False
    num_rows: Callable[[Path], int] | None = None


_FORMATS = {
    sources.PARQUET: Format(parquet.header, parquet.rows, num_rows=parquet.num_rows),
    sources.CSV: Format(delimited.header, delimited.rows, is_text=True),
    sources.JSON_LINES: Format(json_lines.header, json_lines.rows, is_whole=False),
}


@dataclasses.dataclass(frozen=True)
class Opened:
    """A table whose files have been looked into: headers, the names of each file's columns."""

    source: Source
    headers: tuple[tuple[str, ...], ...]

    @property
    def format(self) -> Format:
        """How its files are read."""
        return _format(self.source.parts[0])

    @property
    def names(self) -> list[str]:
        """The names of all its columns, those of its files and of its partitions."""
        return list(dict.fromkeys(name for names in self.by_part() for name in names))

    def by_part(self) -> list[list[str]]:
        """The names of the columns of each file, those of its partitions after its own."""
        return [
            list(dict.fromkeys([*names, *part.partition]))
            for names, part in zip(self.headers, self.source.parts, strict=True)
        ]

    def num_rows(self) -> int | None:
        """How many rows its files hold, None where they do not say so at their beginning."""
        count = self.format.num_rows
        return sum(count(part.path) for part in self.source.parts) if count else None

    def batches(self, names: Sequence[str] | None) -> Iterator[Batch]:
        """The columns `names`, None being all that any row has, file by file and some rows at a time.

        A file's own column comes before a partition's of the same name. A batch lacks the columns that its file lacks.
        """
        for place, (part, there) in enumerate(zip(self.source.parts, self.headers, strict=True)):
            of_file = [name for name in there if names is None or name in names] if self.format.is_whole else names
            for rows in self.format.rows(part.path, of_file):
                partition = {
                    name: pl.repeat(value, len(rows.numbers), dtype=pl.String, eager=True)
                    for name, value in part.partition.items()
                    if (names is None or name in names) and name not in rows.frame.columns
                }
                whole_rows = dataclasses.replace(rows, frame=rows.frame.with_columns(**partition))
                yield of_part(whole_rows, place, self.source.parts, is_text=self.format.is_text)


def of_part(rows: Rows, place: int, parts: Sequence[Part], *, is_text: bool) -> Batch:
    """Rows of the file parts[place]."""
    return Batch(
        rows.frame,
        rows.numbers,
        pl.repeat(place, len(rows.numbers), dtype=pl.UInt32, eager=True),
        rows.broken.with_columns(part_of=pl.lit(place, pl.UInt32)),
        parts,
        is_text,
    )


def opened(table: Source | str | os.PathLike[str]) -> Opened:
    """The table that lies there; errors as of `header`."""
    source = table if isinstance(table, Source) else sources.of(table)
    headers = []
    for part in source.parts:
        names = _format(part).header(part.path)
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{part.path}: column '{twice[0]}' stands there more than once; remove or rename one")
        headers.append(tuple(names))
    return Opened(source, tuple(headers))


def header(table: Source | str | os.PathLike[str]) -> list[str]:
    """The names of a table's columns.

    Errors: DataError where it is missing, empty, not readable, or has a name twice.
    """
    return opened(table).names


def read(path: Path, names: Sequence[str]) -> Rows:
    """The columns `names` of one file, all of it; errors as of its format."""
    batch = whole(list(opened(path).batches(names)))
    return Rows(batch.frame, batch.numbers, batch.broken.drop("part_of"))


def whole(batches: Sequence[Batch]) -> Batch:
    """All batches of a table as one; columns that some of them lack are empty there."""
    if len(batches) == 1:
        return batches[0]
    names = dict.fromkeys(name for batch in batches for name in batch.frame.columns)

    def cells(batch: Batch, name: str) -> pl.Series:
        there = name in batch.frame.columns
        return batch.frame[name] if there else pl.Series([None] * len(batch.numbers), dtype=pl.Null)

    where = batches[0].parts[0].path.parent
    columns = {
        name: values.stacked([cells(batch, name) for batch in batches], f"{where}: column {name}").rename(name)
        for name in names
    }
    return dataclasses.replace(
        batches[0],
        frame=pl.DataFrame(columns),
        numbers=pl.concat([batch.numbers for batch in batches]),
        part_of=pl.concat([batch.part_of for batch in batches]),
        broken=pl.concat([batch.broken for batch in batches]),
    )


def _format(part: Part) -> Format:
    return _FORMATS[sources.kind(part.path)]
