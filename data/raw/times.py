"""Moments and lengths of time as logs write them, as milliseconds; for `Column.convert` of `data.raw.rows`.

A cell that is nothing of the kind becomes null. Columns of types that are no times, such as lists, stay as they are.
"""

import polars as pl

from data.raw import spellings, values

# How many milliseconds each is: as many over as many.
UNITS = {
    "ns": (1, 1_000_000),
    "us": (1, 1_000),
    "µs": (1, 1_000),
    "ms": (1, 1),
    "s": (1_000, 1),
    "min": (60_000, 1),
    "h": (3_600_000, 1),
    "d": (86_400_000, 1),
}
_ISO = (
    r"^(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)
_CLOCK = r"^(?:(?P<hour>\d+):)?(?P<minute>\d{1,2}):(?P<second>\d{2}(?:[.,]\d+)?)$"
_DAY_MS = 86_400_000
_MOST = 2**63 - 1
_FEW = 100


class Moments:
    """Numbers since 1970, ISO 8601 text, text of a format of one's own, and date-times, as milliseconds since 1970.

    Those that name no zone are of the given one, or else of UTC; an hour that comes twice in it, as clocks are put
    back, is the first of both, and one that is left out is no time. How many are taken for UTC unsaid is counted.
    """

    def __init__(self, unit: str = "ms", *, zone: str = "", layout: str = "") -> None:
        """unit: one of UNITS, of numbers. zone: a name such as Europe/Berlin. layout: of text, as strptime has it."""
        self._unit, self._zone, self._layout = UNITS[unit], zone, layout
        self.without_zone = 0

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Int64."""
        kind = cells.dtype
        if kind == pl.Datetime and kind.time_zone is not None:  # type: ignore[attr-defined]
            return cells.dt.epoch("ms")
        if kind in (pl.Date, pl.Datetime):
            return self._of_zone(cells.cast(pl.Datetime("ms")))
        if self._layout and (kind == pl.String or kind.is_integer()):
            return self._of_layout(cells.cast(pl.String))
        if kind in (pl.String, pl.Categorical, pl.Enum):
            text = cells.cast(pl.String).str.strip_chars()
            number = text.cast(pl.Float64, strict=False)
            if number.null_count() == text.null_count():
                return _scaled(text, self._unit)
            of_number = _scaled(text.set(number.is_null(), None), self._unit)
            return of_number.fill_null(self._of_iso(text.set(number.is_not_null(), None)))
        return _scaled(cells, self._unit)

    def _of_layout(self, text: pl.Series) -> pl.Series:
        moments = text.str.strip_chars().str.strptime(pl.Datetime("ms"), self._layout, strict=False)
        return moments.dt.epoch("ms") if moments.dtype.time_zone else self._of_zone(moments)  # type: ignore[attr-defined]

    def _of_iso(self, text: pl.Series) -> pl.Series:
        found = text.str.extract_groups(_ISO).struct.unnest()
        zone = found["zone"].str.to_uppercase().str.replace("^(Z|UTC|GMT)$", "+00:00").str.replace(":", "")
        minutes = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3).replace("", "0").cast(pl.Int64)
        offset_ms = minutes * 60_000 * zone.str.slice(0, 1).replace_strict({"+": 1, "-": -1}, default=None)
        days = found["date"].str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
        clock = _of_clock(found["hour"].fill_null("0"), found["minute"].fill_null("0"), found["second"].fill_null("0"))
        local = days * _DAY_MS + clock.set(clock >= _DAY_MS, None)
        unnamed = self._of_zone(local.set(zone.is_not_null(), None).cast(pl.Datetime("ms")))
        return (local - offset_ms).fill_null(unnamed)

    def _of_zone(self, moments: pl.Series) -> pl.Series:
        if not self._zone:
            self.without_zone += len(moments) - moments.null_count()
        else:
            moments = moments.dt.replace_time_zone(self._zone, ambiguous="earliest", non_existent="null")
        return moments.dt.epoch("ms")


class Lengths:
    """Numbers of a unit, text such as 1:02:03, and spans of time, as milliseconds, rounded."""

    def __init__(self, unit: str = "ms") -> None:
        """unit: one of UNITS."""
        self._unit = UNITS[unit]

    def __call__(self, cells: pl.Series) -> pl.Series:
        """Int64."""
        if cells.dtype == pl.Duration:
            return cells.dt.total_milliseconds()
        if cells.dtype == pl.String and (clocks := cells.str.contains(":", literal=True)).any():
            found = cells.str.strip_chars().str.extract_groups(_CLOCK).struct.unnest()
            clock = _of_clock(found["hour"].fill_null("0"), found["minute"], found["second"])
            return _scaled(cells.set(clocks, None), self._unit).fill_null(clock)
        return _scaled(cells, self._unit)


def are_dates(cells: pl.Series) -> bool:
    """Whether a column is date-times, or text that is ISO 8601 in every cell that says anything."""
    if cells.dtype in (pl.Date, pl.Datetime):
        return True
    if cells.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return False
    text = cells.cast(pl.String).str.strip_chars().replace("", None).drop_nulls()
    if not len(text) or not (text.head(_FEW).str.contains(_ISO) | _say_nothing(text.head(_FEW))).all():
        return False
    said = text.filter(~_say_nothing(text))
    return len(said) > 0 and bool(said.str.contains(_ISO).all())


def _say_nothing(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().is_in(list(spellings.NOTHING))


def _of_clock(hour: pl.Series, minute: pl.Series, second: pl.Series) -> pl.Series:
    hours, minutes = hour.cast(pl.Int64), minute.cast(pl.Int64)
    ms = (second.str.replace(",", ".").cast(pl.Float64) * 1000).floor().cast(pl.Int64)
    clock = hours * 3_600_000 + minutes * 60_000 + ms
    return clock.set(((minutes >= 60) | (ms >= 60_000)).fill_null(True), None)


def _scaled(cells: pl.Series, unit: tuple[int, int]) -> pl.Series:
    # Whole numbers of large units stay exact; a fraction of a millisecond is refused where milliseconds are asked for.
    times, over = unit
    kind = cells.dtype
    if kind in (pl.String, pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String).str.strip_chars()
    elif not kind.is_numeric():
        return cells
    if unit == (1, 1):
        return values.whole_numbers(cells, "")
    inexact = values.inexact(cells) if kind in (pl.Float16, pl.Float32) else cells.is_null()
    if kind.is_float():
        whole = pl.Series([None] * len(cells), dtype=pl.Int64)
    else:  # of decimals and of text those without a fraction
        whole = values.whole_numbers(cells, "") if kind.is_decimal() else cells.cast(pl.Int64, strict=False)
    exact = whole.set(~whole.is_between(-_MOST // times, _MOST // times).fill_null(True), None) * times // over
    if exact.null_count() == cells.null_count():
        return exact
    number = cells.cast(pl.Float64, strict=False)
    usable = (number.is_finite() & ~inexact).fill_null(False)
    return exact.fill_null((number.set(~usable, None) * times / over).round().cast(pl.Int64, strict=False))
