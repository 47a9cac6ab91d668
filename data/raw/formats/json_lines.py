"""Reads JSON lines: an object a line, whose keys are the columns; a key that a line lacks is empty there.

Whole numbers are read exactly, however large. Empty lines are none.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from data.raw.batches import Rows, broken
from data.raw.formats import mistaken
from data.raw.formats.streams import opened, pass_on
from runtime.errors import DataError

_LINES = 1 << 16  # at a time
_SHOWN = 80  # characters of a broken line
_REASON = "is no JSON object of UTF-8 text"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a character beyond the first 65,536, the other half beside it or not
_EXACT_BELOW = 2**53  # as floats


def header(path: Path) -> list[str]:
    """The keys of the first lines; there may be more further on. Errors: DataError for a file of no objects."""
    names: dict[str, None] = {}
    for _, line in islice(_lines(path), _LINES):
        names |= dict.fromkeys(_object(line) or ())
    if not names:
        is_array = next((line.startswith(b"[") for _, line in _lines(path)), False)
        remedy = f"write it again, as `jq -c {'.[]' if is_array else '.'}` does"
        raise DataError(mistaken.told(path, f"no JSON objects, one a line; {remedy}"))
    return list(names)


def rows(path: Path, names: Sequence[str] | None) -> Iterator[Rows]:
    """The columns of a file, a batch at a time: those of `names` that it has, None being all, and others, which are
    empty.

    Errors: DataError for a file that is cut short or damaged.
    """
    lines = _lines(path)
    while block := list(islice(lines, _LINES)):
        numbers, texts = zip(*block, strict=True)
        objects = _objects(texts)
        wrong = [
            (number, line[:_SHOWN].decode(errors="replace"), _REASON)
            for number, line, found in zip(numbers, texts, objects, strict=True)
            if found is None
        ]
        good = [found for found in objects if found is not None]
        keys = dict.fromkeys(chain.from_iterable(good))
        wanted = keys if names is None else [name for name in names if name in keys]
        columns = {name: _series(name, [found.get(name) for found in good]) for name in wanted}
        columns |= {name: pl.Series(name, [None] * len(good), pl.Null) for name in keys if name not in columns}
        kept = [number for number, found in zip(numbers, objects, strict=True) if found is not None]
        yield Rows(pl.DataFrame(columns), pl.Series(kept, dtype=pl.Int64), broken(wrong))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    # (number, line); lines of white space alone say nothing.
    try:
        with opened(path) as file:
            for number, line in enumerate(_split(file), start=1):
                if line := line.strip():
                    yield number, line
    except (OSError, pa.ArrowException) as error:
        pass_on(error, path)
        raise DataError(f"{path}: damaged ({error}); copy or download the file again") from None


def _split(file: Any) -> Iterator[bytes]:
    rest = b""
    while block := file.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def _objects(lines: Sequence[bytes]) -> list[dict[str, Any] | None]:
    # All at once, which is several times as fast; one by one where one is no object.
    if all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        try:
            found = json.loads(b"[" + b",".join(lines) + b"]")
        except (ValueError, RecursionError):
            found = []
        if len(found) == len(lines):
            return [_whole_text(one, line) for one, line in zip(found, lines, strict=True)]
    return [_object(line) for line in lines]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return _whole_text(found, line) if isinstance(found, dict) else None


def _whole_text(found: dict[str, Any], line: bytes) -> dict[str, Any] | None:
    # None where half a character stands in it, which is no text that could be written.
    if _HALF.search(line):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return None
    return found


def _series(name: str, cells: list[Any]) -> pl.Series:
    kinds = set(map(type, cells)) - {type(None)}
    try:
        if kinds == {int}:
            return _whole(name, cells)
        if kinds == {int, float} and all(abs(cell) < _EXACT_BELOW for cell in cells if type(cell) is int):
            return pl.Series(name, [None if cell is None else float(cell) for cell in cells], pl.Float64)
        if kinds == {list} and _are_vectors(cells):
            return pl.Series(name, cells, pl.List(pl.Float64), strict=False)
        if len(kinds) < 2:
            return pl.Series(name, cells)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass  # numbers of more than 128 bits, lists of this and that
    return pl.Series(name, [_text(cell) for cell in cells], pl.String)


def _are_vectors(cells: list[list[Any] | None]) -> bool:
    # Lists of numbers, some of which have a fraction: the first list, which polars goes by, may have none.
    kinds = {type(number) for cell in cells if cell for number in cell} - {type(None)}
    return kinds <= {int, float} and float in kinds


def _whole(name: str, cells: list[int | None]) -> pl.Series:
    try:
        return pl.Series(name, cells, pl.Int64)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, cells, pl.Int128)


def _text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
