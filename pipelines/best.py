"""Which values of a column are its best, for a reader who looks for them."""

from collections.abc import Sequence


def best_of(values: Sequence[float | None], *, better: int, digits: int) -> list[bool]:
    """True at each value that equals the column's best one when both are rounded to `digits`, as they are printed.

    Args:
      better: 1 where more is better, -1 where less is, 0 where neither: then none is best. Nor is any where fewer than
        two values are known (None is not): there is nothing to be best of.
    """
    printed = [None if value is None else better * round(value, digits) for value in values]
    known = [value for value in printed if value is not None]
    if not better or len(known) < 2:
        return [False] * len(printed)
    return [value is not None and value == max(known) for value in printed]
