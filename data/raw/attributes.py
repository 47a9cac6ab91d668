"""What a further column of items says of them, told by its type: a category, several of them, a number, an embedding.

    whole numbers, text              a category           Int64 or String
    lists of whole numbers or text   several categories   List(Int64) or List(String), the first before the others
    other numbers                    a number             Float64
    lists of other numbers           an embedding         Array(Float32, E)

The type on the right is what the canonical tables have, and whoever reads them asks nothing else. In CSV all of this is
text: numbers, one of which has a fraction, are numbers, and fields that are JSON lists are lists.
"""

import polars as pl

from data.raw import values
from runtime.errors import DataError

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"

Fault = tuple[pl.Series, str]  # which rows, and what is wrong with them


def may_be_attribute(dtype: pl.DataType) -> bool:
    """Whether a column of this type says anything that is listed above; dates and structures do not."""
    if isinstance(dtype, pl.List | pl.Array):
        return not _inner(dtype).is_nested() and may_be_attribute(_inner(dtype))
    plain = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
    return dtype in plain or dtype.is_integer() or _is_real(dtype)


def is_embedding(dtype: pl.DataType) -> bool:
    """Whether a canonical column of this type holds an embedding."""
    return isinstance(dtype, pl.Array)


def is_number(dtype: pl.DataType) -> bool:
    """Whether a canonical column of this type holds a number that is no category."""
    return dtype == pl.Float64


def are_several(dtype: pl.DataType) -> bool:
    """Whether a canonical column of this type holds several categories a row."""
    return isinstance(dtype, pl.List)


def read(cells: pl.Series, where: str, *, from_text: bool = False) -> tuple[pl.Series, list[Fault]]:
    """A column as the canonical tables have it, null where a row says nothing, and which rows are at fault.

    Args: from_text, whether numbers and lists are written as text, as in CSV.
    Errors: DataError, which begins with `where`, for a type that is none of those above.
    """
    if not may_be_attribute(cells.dtype):
        raise DataError(f"{where} is of type {cells.dtype}; write categories, numbers, or lists of them")
    cells = _of_text(cells) if from_text else cells
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if isinstance(cells.dtype, pl.List):
        return _embeddings(cells) if _is_real(_inner(cells.dtype)) else (_categories(cells, where), [])
    if _is_real(cells.dtype):
        number = cells.cast(pl.Float64).fill_nan(None)  # how NumPy and pandas write that there is none
        wrong = number.is_infinite().fill_null(False)
        return number.set(wrong, None), [(wrong, "is infinite")]
    return values.ids(_countable(cells), where), []


def shown(cells: pl.Series) -> pl.Series:
    """Cells as text, for messages."""
    if cells.dtype == pl.Binary:
        return values.text_of_bytes(cells)
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if isinstance(cells.dtype, pl.List) and not _inner(cells.dtype).is_nested():
        text = cells.list.eval(pl.element().cast(pl.String)).list.join(", ", ignore_nulls=True)
        return "[" + text + "]"
    return cells


def _inner(dtype: pl.DataType) -> pl.DataType:
    inner = dtype.inner  # type: ignore[attr-defined]
    return inner if isinstance(inner, pl.DataType) else inner()


def _is_real(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_decimal()


def _countable(cells: pl.Series) -> pl.Series:
    return cells.cast(pl.Int8) if cells.dtype == pl.Boolean else cells


def _embeddings(cells: pl.Series) -> tuple[pl.Series, list[Fault]]:
    # An empty list is no embedding, and no fault.
    lists = cells.cast(pl.List(pl.Float32))
    lengths = lists.list.len().fill_null(0)
    filled = lengths.filter(lengths > 0)
    size = int(filled.mode().sort()[-1]) if len(filled) else 1
    finite = lists.list.eval(pl.element().is_finite().fill_null(False)).list.all().fill_null(False)
    lengthy, unsound = (lengths > 0) & (lengths != size), (lengths == size) & ~finite
    usable = (lengths == size) & finite
    value = pl.select(pl.when(usable).then(lists)).to_series().cast(pl.Array(pl.Float32, size))
    return value, [
        (lengthy, f"is no list of {size} numbers, as most are"),
        (unsound, "holds something that is no finite number"),
    ]


def _categories(cells: pl.Series, where: str) -> pl.Series:
    # Of each row what stands there, in order, once each; a row of nothing is null.
    rows = pl.DataFrame({"row": pl.int_range(len(cells), eager=True), "value": cells})
    each = rows.explode("value")
    each = each.with_columns(value=values.ids(_countable(each["value"]), where))
    each = each.drop_nulls("value").unique(maintain_order=True)
    lists = each.group_by("row", maintain_order=True).agg("value")
    return rows.select("row").join(lists, on="row", how="left", maintain_order="left")["value"]


def _of_text(cells: pl.Series) -> pl.Series:
    # Text that is numbers, or JSON lists, in every row that says anything: as that.
    if cells.dtype != pl.String:
        return cells
    cells = cells.replace("", None)
    filled = cells.drop_nulls()
    if _are_real(filled):
        return cells.str.strip_chars().cast(pl.Float64)
    if len(filled) and (filled.str.starts_with("[") & filled.str.ends_with("]")).all():
        try:
            lists = cells.str.json_decode(pl.List(pl.String))
        except pl.exceptions.PolarsError:
            return cells
        return lists.cast(pl.List(pl.Float64)) if _are_real(lists.explode().drop_nulls()) else lists
    return cells


def _are_real(text: pl.Series) -> bool:
    return len(text) > 0 and bool(text.str.contains(_NUMBER).all() and text.str.contains(r"[.eE]").any())
