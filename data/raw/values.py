"""What the cells of a column mean, of whatever type a file keeps them: whole numbers, text, and ids.

Two ids never become one. Whole numbers stay numbers where 64 bits with a sign hold all of the column, else they become
their decimal digits; text stays the text it is, `007` is not `7`; bytes that are no text become UUIDs or hexadecimal.
"""

from collections.abc import Sequence

import polars as pl

from data.raw import spellings
from runtime.errors import DataError

# Whole numbers from here on are not exact in a float column: the next one may have been written.
_EXACT_BELOW: dict[type[pl.DataType], int] = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def whole_numbers(cells: pl.Series, where: str) -> pl.Series:
    """Int64, null where there is none or what stands there is not a whole number; `1.0` is one, NaN is not.

    Of text, white space around it does not count, and `31.000` is none in a column that has a `900` without a point:
    a program has put points between the thousands.

    Errors: DataError, which begins with `where`, for a column that holds no numbers.
    """
    if cells.dtype.is_integer() or cells.dtype == pl.Boolean:
        return cells.cast(pl.Int64, strict=False)
    if cells.dtype.is_decimal():
        return _of_decimals(cells).cast(pl.Int64, strict=False)
    if cells.dtype.is_float():
        number = cells.cast(pl.Float64)
        whole = number.is_finite() & (number == number.round()) & ~_is_inexact(number, cells.dtype)
        return number.set(~whole.fill_null(False), None).cast(pl.Int64)
    if cells.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        text = cells.cast(pl.String).str.strip_chars()
        whole = text.cast(pl.Int64, strict=False)
        if whole.null_count() == text.null_count():
            return whole
        text = text.set(spellings.in_groups(text), None)
        return whole.fill_null(whole_numbers(text.cast(pl.Float64, strict=False), where))
    raise DataError(f"{where} is of type {cells.dtype}; write whole numbers, times as milliseconds since 1970")


def ids(cells: pl.Series, where: str) -> pl.Series:
    """Int64 or String, null where a cell is empty or a float holds no whole number; equal only where the cells are."""
    if cells.dtype.is_integer():
        fits = cells.cast(pl.Int128).is_between(_LOWEST, _HIGHEST).fill_null(True).all()
        return cells.cast(pl.Int64 if fits else pl.String)
    if cells.dtype.is_decimal():
        return ids(_of_decimals(cells), where)
    return whole_numbers(cells, where) if cells.dtype.is_float() else text(cells, where)


def text(cells: pl.Series, where: str) -> pl.Series:
    """String, null where a cell is empty; bytes as `text_of_bytes` has them.

    Errors: DataError, which begins with `where`, for a type that is not written as text.
    """
    if cells.dtype == pl.Binary:
        return text_of_bytes(cells).replace("", None)
    try:
        return cells.cast(pl.String).replace("", None)
    except pl.exceptions.PolarsError:
        raise DataError(f"{where} is of type {cells.dtype}; write text or whole numbers") from None


def text_of_bytes(cells: pl.Series) -> pl.Series:
    """Bytes as text: as UTF-8 where all of the column is, else as UUIDs where all have 16 bytes, else hexadecimal."""
    try:
        return cells.cast(pl.String)
    except pl.exceptions.PolarsError:
        digits = cells.bin.encode("hex")
    if not (cells.bin.size() == 16).all():
        return digits
    parts = [digits.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
    return pl.select(pl.concat_str(parts, separator="-")).to_series().rename(cells.name)


def inexact(cells: pl.Series) -> pl.Series:
    """Where a float is too large to be exact, as a float32 is from 2^24 on: what was written may have been another."""
    if not cells.dtype.is_float():
        return pl.repeat(False, len(cells), eager=True)
    return _is_inexact(cells.cast(pl.Float64), cells.dtype)


def alike(*columns: pl.Series) -> list[pl.Series]:
    """The columns as they are where all are numbers or all are text, else all as text, numbers by their digits."""
    return list(columns) if len({c.dtype for c in columns}) == 1 else [c.cast(pl.String) for c in columns]


def stacked(columns: Sequence[pl.Series], where: str) -> pl.Series:
    """The pieces of one column one after the other, of a type that keeps what each of them says.

    Numbers stay numbers, whole ones exact; beside text they become text, whole ones their digits; likewise in lists.
    Errors: DataError, which begins with `where`, for types that nothing holds both of.
    """
    kinds = list(dict.fromkeys(c.dtype for c in columns if c.dtype != pl.Null))
    if len(kinds) < 2:
        return pl.concat([c.cast(kinds[0]) if kinds else c for c in columns])
    if all(kind.is_integer() or kind == pl.Boolean for kind in kinds):
        return pl.concat([c.cast(pl.Int128) for c in columns])
    if all(kind.is_numeric() or kind == pl.Boolean for kind in kinds):
        whole = [c.cast(pl.Int128) if c.dtype.is_integer() else ids(c, where) for c in columns]
        if all(w.dtype != pl.String and w.null_count() == c.null_count() for w, c in zip(whole, columns, strict=True)):
            return pl.concat([w.cast(pl.Int128) for w in whole])
        return pl.concat([c.cast(pl.Float64) for c in columns])
    try:
        if any(kind.is_nested() for kind in kinds):
            return pl.concat([c.cast(pl.List(_held_by_both(kinds))) for c in columns])
        return pl.concat([ids(c, where).cast(pl.String) for c in columns])
    except (pl.exceptions.PolarsError, DataError):
        shown = " and ".join(str(kind) for kind in kinds[:2])
        raise DataError(f"{where} is of type {shown} in different files; write one type") from None


def _held_by_both(kinds: Sequence[pl.DataType]) -> type[pl.DataType]:
    # What lists of all of these kinds can be lists of.
    inner = [kind.inner for kind in kinds if isinstance(kind, pl.List | pl.Array)]
    nested, inner = len(inner), [kind for kind in inner if kind != pl.Null]  # of lists that are all empty
    if nested < len(kinds) or not all(kind.is_numeric() for kind in inner):  # type: ignore[union-attr]
        return pl.String
    return pl.Int64 if all(kind.is_integer() for kind in inner) else pl.Float64  # type: ignore[union-attr]


def _is_inexact(number: pl.Series, dtype: pl.DataType) -> pl.Series:
    return number.is_finite() & (number.abs() >= _EXACT_BELOW[type(dtype)])


def _of_decimals(cells: pl.Series) -> pl.Series:
    number = cells.cast(pl.Int128, strict=False)
    return number.set((number.cast(cells.dtype, strict=False) != cells).fill_null(True), None)
