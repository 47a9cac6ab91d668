"""Charts as inline SVG, each drawn twice: for a wide page and for a phone, where a shrunken chart would be unreadable.

Functions take plain data and return markup; colours and words that two charts share are named once, at the top.
"""

import io
import itertools
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from pipelines.report.intervals import minus

matplotlib.use("svg")

_MOST_TICKS = 7  # of an axis whose labels would meet
INK, MUTED, RULE = "#1d2327", "#68737b", "#d9dee2"
# One colour for each set of signals, and for each order of what is retrieved, the same in every chart.
COLOURS = {
    "no_dislike_signal": "#8a949c",
    "dislike_input_paper_tower": "#a5c0da",
    "dislike_input_and_label_paper_tower": "#7cc0b4",
    "dislike_input_and_label_without_counts": "#3f978a",
    "dislike_input": "#4a7fb0",
    "dislike_input_and_label": "#0b6e63",
    "softmax_negatives": "#0b6e63",  # in its place
    "skip_label": "#b4642d",
    "skip_label_alone": "#b4642d",
    "ranked": "#8a949c",
    "aligned": "#7a5a99",
    "retrieval": "#4a7fb0",
}
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text, in the page's own typeface
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "grid.color": "#edf0f2",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 8,  # clear of the other axis' first label in the corner
    "ytick.major.pad": 6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
}


def colour_of(name: str) -> str:
    """That of these signals, or of this order, in every chart."""
    return COLOURS.get(name, INK)


def draw(
    paint: Callable[[Figure, bool], None], *, title: str, height: float, phone_height: float, width: float = 8.2
) -> str:
    """Markup with both drawings; `paint(figure, narrow)` fills one. `title` is what a screen reader says."""
    wide = _svg(paint, size=(width, height), narrow=False, salt=f"{title} wide")
    narrow = _svg(paint, size=(3.7, phone_height), narrow=True, salt=f"{title} narrow")
    return (
        f'<div class="chart" role="img" aria-label="{title}">'
        f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div></div>'
    )


def side_by_side(figure: Figure, count: int, narrow: bool) -> list[Axes]:
    """`count` axes side by side, below one another where the drawing is narrow."""
    return list(figure.subplots(count if narrow else 1, 1 if narrow else count, squeeze=False).flat)


def logarithmic(axes: Axes) -> None:
    """A logarithmic y axis with few plain numbers beside it, also where it spans less than a decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def percent(axis: Axis) -> None:
    """Ticks of shares as percentages, with as many decimals as tell them apart."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: minus(f"{100 * share:.4g}%")))


def _svg(paint: Callable[[Figure, bool], None], *, size: tuple[float, float], narrow: bool, salt: str) -> str:
    # Element ids come from the salt: equal data give equal bytes, and no two drawings of a page share an id.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=size, layout="constrained", dpi=72)  # that of SVG
        paint(figure, narrow)
        _thin_ticks(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    markup = stream.getvalue()
    return markup[markup.index("<svg") :]


def _thin_ticks(figure: Figure) -> None:
    """Fewer ticks where their labels would stand on one another: Matplotlib guesses how wide they are."""
    most: dict[Axis, int] = {}
    settled = 0
    while settled < 2:  # a drawing moves axes, and with them the ticks of the next
        figure.draw_without_rendering()
        crowded = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if _is_crowded(axis)]
        crowded = [axis for axis in crowded if most.get(axis, _MOST_TICKS) > 1]
        settled = 0 if crowded else settled + 1
        for axis in crowded:
            most[axis] = most.get(axis, _MOST_TICKS) - 1
            axis.set_major_locator(MaxNLocator(most[axis]))
    # Pinned: SVG's letters are a little narrower than those that were measured, and the room would do for other ticks.
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), MaxNLocator):
            axis.set_major_locator(FixedLocator(list(axis.get_majorticklocs())))


def _is_crowded(axis: Axis) -> bool:
    boxes = [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]
    apart = all(not one.padded(1).overlaps(other) for one, other in itertools.pairwise(boxes))
    return isinstance(axis.get_major_locator(), MaxNLocator) and not apart
