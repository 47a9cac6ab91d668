"""How databases, programs and spreadsheets write what no file of plain numbers holds: nothing, and commas in numbers.

schema.yaml says that a log has them; here is how they are known where nobody says so, for what a user is told.
"""

import re

import polars as pl

NOTHING = frozenset({"null", "\\n", "none", "nil", "nan", "n/a", "na", "#n/a", "<na>", "undefined", "-", "?", "."})
YES = frozenset({"y", "yes", "t", "true", "j", "ja", "oui", "si", "sí", "on", "x"})
NO = frozenset({"n", "no", "f", "false", "nein", "non", "off"})
DECIMAL_COMMA = r"^(\s*[+-]?\d+),(\d+\s*)$"
_GROUPED = r"^\s*[+-]?\d{1,3}(\.\d{3})+\s*$"  # 31.000, which is also a number with three places


def nothing(text: str) -> bool:
    """Whether it is a word that stands for an empty cell somewhere."""
    return text.strip().lower() in NOTHING


def is_number(text: str) -> bool:
    """Whether text is a number, of any kind."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def with_points(cells: pl.Series) -> pl.Series:
    """Text with a point where a number has a decimal comma."""
    return cells.str.replace(DECIMAL_COMMA, "${1}.${2}") if cells.dtype == pl.String else cells


def in_groups(text: pl.Series) -> pl.Series:
    """Where whole numbers are written in groups of three, `31.000` beside `900`: all points of the column stand so.

    A column of numbers with three places has them in each of its cells.
    """
    points = text.str.contains(".", literal=True).fill_null(False)
    groups = text.str.contains(_GROUPED).fill_null(False)
    without = (~points & text.is_not_null() & (text != "")).any()
    return groups if without and (groups == points).all() else pl.repeat(False, len(text), eager=True)


def remedy(text: str, otherwise: str) -> str:
    """What to do about a cell that is nothing it could be; `otherwise` where it is not written in one of these ways."""
    if nothing(text):
        word = text.strip().replace("'", "''")
        return f"where it stands for nothing, say in schema.yaml `empty: ['{word}']`"
    if re.match(DECIMAL_COMMA, text):
        return 'where this is a decimal comma, say in schema.yaml `decimal: ","`; between thousands, leave it out'
    if re.match(_GROUPED, text):
        return "leave out the points between thousands"
    return otherwise
