"""Reads CSV: fields with commas, semicolons, tabs or | between them, whichever the header shows.

As RFC 4180 has it: fields in quotes may hold separators and line breaks, a quote in such a field is doubled; any of the
three line ends; UTF-8. An empty field is empty, in quotes or not, and so are empty rows at the end. A quote inside a
field that is not in quotes is a character like any other. The rows are read once, a few megabytes at a time, all cells
as text.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from data.raw.batches import Rows, broken
from data.raw.formats import mistaken
from data.raw.formats.streams import opened, opened_text, pass_on
from runtime.errors import DataError

_SEPARATORS = ",;\t|"
_BLOCK = 1 << 24  # bytes at a time
_LONGEST = 1 << 28  # a row that is longer cannot be read
_BEGINNING = 1 << 20  # a header that is longer neither
_COPY = "copy or download the file again"
_BOM = b"\xef\xbb\xbf"
_NO_UTF8 = "not UTF-8 text; write it again as UTF-8"
_EXCEL = re.compile(r"sep=.(?=[\r\n])", re.IGNORECASE)


def header(path: Path) -> list[str]:
    """The names of a file's columns. Errors: DataError for a file that is empty or no text."""
    return _header(path)[0]


def rows(path: Path, names: Sequence[str]) -> Iterator[Rows]:
    """The columns `names` of a file, a batch at a time.

    Errors: DataError for a file that is cut short, damaged or no UTF-8, and for quotes that do not close.
    """
    columns, separator = _header(path)
    row = 1  # the number of the next row
    held = pl.Series(
        [], dtype=pl.Int64
    )  # of rows just read that nothing stands in: at the end of the file they are none
    try:
        for place, text in enumerate(_whole_rows(path, separator)):
            wrong: list[tuple[int, str, str]] = []
            frame = _parsed(text, None if place == 0 else columns, names, separator, row - 1, len(columns), wrong)
            row += place == 0  # the header
            numbers = pl.int_range(row, row + len(frame) + len(wrong), eager=True)
            row += len(numbers)
            numbers = numbers.filter(~numbers.is_in([number for number, _, _ in wrong]))
            if len(held):
                nothing = pl.DataFrame({name: [None] * len(held) for name in names}, schema=frame.schema)
                frame, numbers = pl.concat([nothing, frame]), pl.concat([held, numbers])
            there = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
            length = there.arg_true()[-1] + 1 if there.any() else 0
            held = numbers[length:]
            yield Rows(frame.head(length), numbers.head(length), broken(wrong))
    except (pa.ArrowException, _OpenQuoteError, OSError) as error:
        pass_on(error, path)
        _tell_open_quote(path)
        if isinstance(error, OSError):
            raise DataError(f"{path}: damaged ({error}); {_COPY}") from None
        raise DataError(f"{path}: not readable as CSV ({error}); write it again, as UTF-8") from None


def _parsed(
    text: bytes,
    columns: Sequence[str] | None,
    names: Sequence[str],
    separator: str,
    before: int,
    fields: int,
    wrong: list[tuple[int, str, str]],
) -> pl.DataFrame:
    """The columns `names` of whole rows, after `before` others; without `columns` the first names them.

    Rows of more or fewer `fields` are left out and added to `wrong`.
    """

    def of_wrong_length(row: pa.csv.InvalidRow) -> str:
        reason = f"fields where the header has {fields}: cut short or broken"
        wrong.append((before + row.number, str(row.actual_columns), reason))
        return "skip"

    table = pa.csv.read_csv(
        pa.BufferReader(text),
        read_options=pa.csv.ReadOptions(column_names=columns, use_threads=False, block_size=len(text) + 1),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=of_wrong_length,
        ),
        convert_options=pa.csv.ConvertOptions(
            include_columns=list(names),
            column_types=dict.fromkeys(names, pa.large_string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    cells = [pl.Series(str(place), pl.from_arrow(column)) for place, column in enumerate(table.columns)]
    frame = pl.DataFrame(cells)
    frame.columns = table.column_names  # an empty one too
    return frame


def _header(path: Path) -> tuple[list[str], str]:
    # The separator that makes most columns of it.
    try:
        with opened_text(path) as file:
            beginning = file.read(_BEGINNING)
    except UnicodeDecodeError:
        raise DataError(mistaken.told(path, _NO_UTF8)) from None
    except (OSError, pa.ArrowException) as error:
        pass_on(error, path)
        raise DataError(f"{path}: damaged ({error}); {_COPY}") from None
    if "\0" in beginning.partition("\n")[0]:
        raise DataError(mistaken.told(path, _NO_UTF8))
    if told := _EXCEL.match(beginning):
        raise DataError(f"{path}: row 1 is `{told[0]}`, as Excel writes it, and no header; remove the row")
    found: dict[str, list[str]] = {}
    failure = None
    for separator in _SEPARATORS:
        try:
            found[separator] = next(csv.reader(io.StringIO(beginning, ""), strict=True, delimiter=separator), [])
        except csv.Error as error:
            failure = failure or error
    if not found:
        raise DataError(f"{path}: row 1 is no header ({failure}); write the file again")
    separator = max(found, key=lambda separator: len(found[separator]))
    if not found[separator]:
        raise DataError(f"{path}: an empty file; {_COPY}, or remove it")
    return found[separator], separator


class _OpenQuoteError(Exception):
    pass


def _whole_rows(path: Path, separator: str) -> Iterator[bytes]:
    """The bytes of a file, some whole rows at a time.

    Errors: _OpenQuoteError where a field's quotes do not close before its end: a quote too few or too many takes the
    rows up to the next one for a single field, in any lenient reader.
    """
    rest = b""
    with opened(path) as stream:
        block = stream.read(_BLOCK)
        while block:
            rest += block
            block = stream.read(_BLOCK)
            end = _end_of_rows(rest, separator) if block else 0
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > _LONGEST:
                raise _OpenQuoteError
    _end_of_rows(rest + b"\n", separator, is_last=True)
    if rest:
        yield rest


def _end_of_rows(text: bytes, separator: str, *, is_last: bool = False) -> int:
    """Where the last row that is whole ends in text that begins with a row, 0 where none does."""
    cells = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(cells == ord('"'))
    if len(quotes):
        edge = np.zeros(256, bool)  # what may stand before the first and after the last quote of a field
        edge[[ord(separator), ord("\n"), ord("\r")]] = True
        edge_or_quote = edge.copy()
        edge_or_quote[ord('"')] = True
        begin = len(_BOM) if text.startswith(_BOM) else 0
        before = np.where(quotes > begin, cells[quotes - 1], ord("\n"))
        after = np.append(cells, ord("\n"))[quotes + 1]
        # Where each field has its quotes at its ends, and doubled ones inside, they open and close by turns.
        closes = np.arange(len(quotes)) % 2 == 1
        if not np.where(closes, edge_or_quote[after], edge_or_quote[before]).all():
            quotes = quotes[_that_count(edge[before], edge[after], after == ord('"'))]
        if is_last and len(quotes) % 2:
            raise _OpenQuoteError
    end = len(text)
    while True:
        # A carriage return at the very end may be half of a line end.
        end = max(text.rfind(b"\n", 0, end), text.rfind(b"\r", 0, min(end, len(text) - 1))) + 1
        earlier = int(np.searchsorted(quotes, end))
        if not end or earlier % 2 == 0:
            return end
        end = int(quotes[earlier - 1])  # that line end is inside a field: look before the field


def _that_count(begins: np.ndarray, ends: np.ndarray, is_doubled: np.ndarray) -> list[int]:
    """Of quotes, some of which stand inside fields that are not in quotes: those that open or close a field."""
    counted: list[int] = []
    place, inside = 0, False
    while place < len(begins):
        if not inside:
            if begins[place]:
                counted.append(place)
                inside = True
        elif is_doubled[place]:
            place += 1
        elif ends[place]:
            counted.append(place)
            inside = False
        else:
            raise _OpenQuoteError
        place += 1
    return counted


def _tell_open_quote(path: Path) -> None:
    # Which row it is: reads the file again, by row.
    separator, row = _header(path)[1], 0
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with opened_text(path) as file:
            for _ in csv.reader(file, strict=True, delimiter=separator):
                row += 1
    except UnicodeDecodeError:
        raise DataError(f"{path}: {_NO_UTF8}") from None
    except csv.Error:
        raise DataError(
            f"{path}: row {row + 1}: a field's quotes do not close before its end; "
            'double a quote inside a field ("5"" screen") or write the file again'
        ) from None
    except (OSError, pa.ArrowException):
        pass
    finally:
        csv.field_size_limit(limit)
