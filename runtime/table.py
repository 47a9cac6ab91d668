"""Tables of figures as text, for the terminal."""

from collections.abc import Mapping, Sequence


def text(corner: str, headings: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Rows, each behind its name, in columns that are as wide as what they hold; `corner` stands above the names."""
    widths = [max(len(cell) for cell in column) + 3 for column in zip(headings, *rows.values(), strict=True)]
    first = max(len(name) for name in (corner, *rows))
    lines = [(corner, headings), *rows.items()]
    return "\n".join(
        f"{name:<{first}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, cells in lines
    )
