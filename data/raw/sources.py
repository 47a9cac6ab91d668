"""Finds the files of a table: one file, or a folder of them, at any depth, some of its folders named COLUMN=VALUE.

Such a folder is a partition as Hive has them: its COLUMN is a column of the files in it, with one VALUE, as text. A
table `events`, or at the path `events`, is a file or folder of that name, with or without one of the ENDINGS.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from runtime.errors import DataError

# Of file names, in any case; what they hold is told by the part before a compression.
PARQUET: tuple[str, ...] = (".parquet",)
CSV: tuple[str, ...] = (".csv", ".tsv")
JSON_LINES: tuple[str, ...] = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".zst")
ENDINGS = (*PARQUET, *(kind + more for kind in (*CSV, *JSON_LINES) for more in ("", *COMPRESSED)))
_JOURNALS = ("_delta_log", ".hoodie")  # of Delta Lake and Hudi
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes:
      label: its name in tables of bad rows, from the table's own on: `events/day=2026-01-01/part-0.csv`.
      partition: column -> value, of the folders that it lies in; None where there is none.
    """

    path: Path
    label: str
    partition: Mapping[str, str | None]


@dataclass(frozen=True)
class Source:
    """A table: where it lies, how messages call it, its files in order, and those beside them that hold no table."""

    path: Path
    name: str
    parts: tuple[Part, ...]
    others: tuple[Path, ...] = ()


def ending(path: Path) -> str:
    """Which of ENDINGS the file's name has, "" for none."""
    name = path.name.lower()
    return next((known for known in ENDINGS if name.endswith(known) and name != known), "")


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without what begins with `.` or `_`, such as what Spark writes beside data."""
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in there if not entry.name.startswith((".", "_")))


def tables(folder: Path, paths: Mapping[str, str]) -> dict[str, Source]:
    """Those tables that are there: each at its path in the folder, or, where that is "", found by its name.

    A path may lack one of ENDINGS, as a name does. Errors: as of `of` and `find`; DataError where a path leads nowhere.
    """
    found = {name: _at(folder / path, path) if path else find(folder, name) for name, path in paths.items()}
    return {name: source for name, source in found.items() if source}


def _at(place: Path, path: str) -> Source:
    name = path.strip("/")
    if place.exists():
        return of(place, name)
    if source := find(place.parent, place.name):
        return of(source.path, f"{name}{source.path.name[len(place.name) :]}")
    there = [entry.name for entry in entries(place.parent) if ending(entry) or entry.is_dir()]
    lies = f"; in {place.parent} there is {', '.join(there[:3])}{', …' if len(there) > 3 else ''}" if there else ""
    raise DataError(f"{place}: no such file, with or without an ending such as .csv; check path: {path}{lies}")


def find(folder: str | os.PathLike[str], table: str) -> Source | None:
    """The table of this name in `folder`, None where there is none.

    Errors: DataError where it stands there more than once, and as `of` for a folder.
    """
    folder = Path(folder)
    candidates = [
        entry
        for entry in entries(folder)
        if entry.name.lower().removesuffix(ending(entry)) == table.lower() and (ending(entry) or entry.is_dir())
    ]
    if len(candidates) > 1:
        raise DataError(f"{candidates[0]} and {candidates[1]}: both are there; keep one of them")
    return of(candidates[0]) if candidates else None


def of(path: str | os.PathLike[str], name: str = "") -> Source:
    """The table in a file or folder, called by a `name`, or else by the last part of its path.

    Errors: DataError where nothing is there, where a folder holds no file with one of ENDINGS, or such of two kinds,
    and where only a journal beside the files tells which of them count.
    """
    path = Path(path)
    name = name or path.name
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path}: no such file; check --data, or put the file there")
        return Source(path, name, (Part(path, name, {}),))
    if journal := next((path / name for name in _JOURNALS if (path / name).is_dir()), None):
        raise DataError(f"{journal}: of such a table some files are old versions of others; export a snapshot first")
    files = sorted(_files(path, set()), key=lambda file: _natural(file.relative_to(path)))
    inside = [file for file in files if ending(file)]
    # A writer of many parts leaves some empty; of a table that is all empty the format says what is wrong.
    inside = [file for file in inside if file.stat().st_size] or inside
    if not inside:
        raise DataError(f"{path}: a folder without a file that ends in {', '.join(ENDINGS)}")
    kinds: dict[tuple[str, ...], Path] = {}
    for file in inside:
        kinds.setdefault(kind(file), file)
    if len(kinds) > 1:
        one, other, *_ = kinds.values()
        raise DataError(f"{one} and {other}: files of two kinds in one table; keep one kind")
    parts = [
        Part(file, f"{name}/{file.relative_to(path).as_posix()}", dict(_values(file.relative_to(path).parts[:-1])))
        for file in inside
    ]
    read = set(inside)
    return Source(path, name, tuple(parts), tuple(file for file in files if file not in read))


def kind(path: Path) -> tuple[str, ...]:
    """PARQUET, CSV or JSON_LINES, by the file's name; Parquet where it tells nothing."""
    found = ending(path)
    plain = next((found.removesuffix(more) for more in COMPRESSED if found.endswith(more)), found)
    return next((endings for endings in (CSV, JSON_LINES) if plain in endings), PARQUET)


def _files(folder: Path, seen: set[Path]) -> Iterator[Path]:
    seen.add(folder.resolve())
    for entry in entries(folder):
        if not entry.is_dir():
            yield entry
        elif entry.resolve() not in seen:  # links may lead back
            yield from _files(entry, seen)


def _natural(path: Path) -> list[list[tuple[str, int]]]:
    # part-2 before part-10.
    return [[(word, int(run or 0)) for word, run in re.findall(r"(\D*)(\d*)", name)] for name in path.parts]


def _values(folders: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    for name in folders:
        column, equals, value = name.partition("=")
        if equals and column:
            yield unquote(column), None if value == _NO_VALUE else unquote(value)
