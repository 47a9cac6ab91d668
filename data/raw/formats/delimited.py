"""Reads CSV: fields with commas, semicolons, tabs or | between them, whichever the header shows.

As RFC 4180 has it: fields in quotes may hold separators and line breaks, a quote in such a field is doubled; any of the
three line ends; UTF-8. An empty field is empty, in quotes or not, and so are empty rows at the end. A quote inside a
field that is not in quotes is a character like any other. The rows are read once, a few megabytes at a time, all cells
as text.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from data.raw.batches import Rows, broken
from data.raw.formats.streams import opened, opened_text
from runtime.errors import DataError

_SEPARATORS = ",;\t|"
_BLOCK = 1 << 24  # a row that is longer cannot be read
_BEGINNING = 1 << 20  # a header that is longer neither
_COPY = "copy or download the file again"
_BOM = b"\xef\xbb\xbf"


def header(path: Path) -> list[str]:
    """The names of a file's columns. Errors: DataError for a file that is empty or no text."""
    return _header(path)[0]


def rows(path: Path, names: Sequence[str]) -> Iterator[Rows]:
    """The columns `names` of a file, a batch at a time.

    Errors: DataError for a file that is cut short, damaged or no UTF-8, and for quotes that do not close.
    """
    columns, separator = _header(path)
    wrong: list[tuple[int, str, str]] = []

    def of_wrong_length(row: pa.csv.InvalidRow) -> str:
        reason = f"fields where the header has {len(columns)}: cut short or broken"
        wrong.append((row.number, str(row.actual_columns), reason))
        return "skip"

    row, told = 2, 0  # the number of the next row; how many of `wrong` have been handed on
    empty = 0  # rows just read that nothing stands in: at the end of the file they are none
    try:
        with _Watched(opened(path), separator) as stream:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
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
            for batch in reader:
                frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
                frame.columns = batch.schema.names  # polars gives an empty name another
                if empty:
                    nothing = pl.DataFrame({name: [None] * empty for name in names}, schema=frame.schema)
                    frame = pl.concat([nothing, frame])
                there = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
                length = there.arg_true()[-1] + 1 if there.any() else 0
                # What is known to be broken has been met before this batch ends, so the numbers between are its rows.
                skipped = [number for number, _, _ in wrong]
                numbers = pl.int_range(row, row + len(frame) + len(wrong), eager=True)
                numbers = numbers.filter(~numbers.is_in(skipped)).head(len(frame))
                empty = len(frame) - length
                row = int(numbers[length - 1]) + 1 if length else row
                yield Rows(frame.head(length), numbers.head(length), broken(wrong[told:]))
                told = len(wrong)
            if wrong[told:]:
                yield Rows(
                    pl.DataFrame({name: [] for name in names}, schema=dict.fromkeys(names, pl.String)),
                    pl.Series([], dtype=pl.Int64),
                    broken(wrong[told:]),
                )
    except (pa.ArrowException, _OpenQuoteError, OSError) as error:
        _tell_open_quote(path)
        if isinstance(error, OSError):
            raise DataError(f"{path}: damaged ({error}); {_COPY}") from None
        raise DataError(f"{path}: not readable as CSV ({error}); write it again, as UTF-8") from None


def _header(path: Path) -> tuple[list[str], str]:
    # The separator that makes most columns of it.
    try:
        with opened_text(path) as file:
            beginning = file.read(_BEGINNING)
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: damaged ({error}); {_COPY}") from None
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


class _Watched(io.RawIOBase):
    """A stream that fails where a field's quotes do not close before its end.

    A quote too few or too many takes the rows up to the next one for a single field, in any lenient reader.
    """

    def __init__(self, stream: IO[bytes], separator: str) -> None:
        self._stream, self._inside = stream, False
        self._before, self._held = ord("\n"), b""  # the last byte that was looked at; quotes whose next is to come
        self._first = True
        self._edge = np.zeros(256, bool)  # what may stand before the first and after the last quote of a field
        self._edge[[ord(separator), ord("\n"), ord("\r")]] = True
        self._edge_or_quote = self._edge.copy()
        self._edge_or_quote[ord('"')] = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._look_at(block)
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _look_at(self, block: bytes) -> None:
        ends = not block
        if self._first:
            block, self._first = block.removeprefix(_BOM), False
        text = self._held + block
        known = text if ends else text.rstrip(b'"')
        self._held = text[len(known) :]
        if b'"' in known:
            cells = np.frombuffer(known + b"\n", np.uint8)
            quotes = np.flatnonzero(cells == ord('"'))
            before = np.where(quotes > 0, cells[quotes - 1], self._before)
            after = cells[quotes + 1]
            # Where each field has its quotes at its ends, and doubled ones inside, they open and close by turns.
            closes = (np.arange(len(quotes)) + self._inside) % 2 == 1
            if np.where(closes, self._edge_or_quote[after], self._edge_or_quote[before]).all():
                self._inside ^= len(quotes) % 2 == 1
            else:
                self._one_by_one(before, after)
        self._before = known[-1] if known else self._before
        if ends and self._inside:
            raise _OpenQuoteError

    def _one_by_one(self, before: np.ndarray, after: np.ndarray) -> None:
        # Some quotes stand inside fields that are not in quotes, or one does not close.
        place = 0
        while place < len(before):
            if not self._inside:
                self._inside = bool(self._edge[before[place]])
            elif after[place] == ord('"'):
                place += 1  # doubled
            elif self._edge[after[place]]:
                self._inside = False
            else:
                raise _OpenQuoteError
            place += 1


def _tell_open_quote(path: Path) -> None:
    # Which row it is: reads the file again, by row.
    separator, row = _header(path)[1], 0
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with opened_text(path) as file:
            for _ in csv.reader(file, strict=True, delimiter=separator):
                row += 1
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; write it again as UTF-8") from None
    except csv.Error:
        raise DataError(
            f"{path}: row {row + 1}: a field's quotes do not close before its end; "
            'double a quote inside a field ("5"" screen") or write the file again'
        ) from None
    except (OSError, pa.ArrowException):
        pass
    finally:
        csv.field_size_limit(limit)
