"""Rows of a table, and which of its values are the best of their column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipelines.report.intervals import Metrics, Point, interval

_DIGITS = 3  # that pages print: .123, or a tenth of a percent


@dataclass(frozen=True)
class Row:
    """A line of a table; `cells` are None where nothing was measured, `emphasis` marks the chosen models, `best` says
    in which columns this line has the best value.
    """

    label: str
    cells: Sequence[Point | None]
    emphasis: bool = False
    best: frozenset[int] = frozenset()


def row(label: str, metrics: Metrics, names: Iterable[str], *, emphasis: bool = False) -> Row:
    """The line of these metrics."""
    return Row(label, [interval(metrics, name) for name in names], emphasis)


def marked(rows: Sequence[Row], more_is_better: Sequence[bool] | None = None) -> list[Row]:
    """The same rows, each with the columns in which its value, as printed, is the best; more is better unless said."""
    better = more_is_better or [True] * max((len(row.cells) for row in rows), default=0)
    best_of_columns = [
        best_of([cell.value if cell else None for cell in column], better=1 if more else -1)
        for column, more in zip(zip(*(row.cells for row in rows)), better)
    ]
    return [
        replace(row, best=frozenset(n for n, best in enumerate(best_of_columns) if best[k]))
        for k, row in enumerate(rows)
    ]


def best_of(values: Sequence[float | None], *, better: int) -> list[bool]:
    """True at each value that equals the column's best one when both are rounded as they are printed.

    Args:
      better: 1 where more is better, -1 where less is, 0 where neither: then none is best. Nor is any where fewer than
        two values are known (None is not): there is nothing to be best of.
    """
    printed = [None if value is None else better * round(value, _DIGITS) for value in values]
    known = [value for value in printed if value is not None]
    if not better or len(known) < 2:
        return [False] * len(printed)
    return [value is not None and value == max(known) for value in printed]
