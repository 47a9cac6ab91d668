"""Charts as inline SVG, each drawn twice: for a wide page and for a phone, where a shrunken chart would be unreadable.

Functions take plain data and return markup; colours and words that two charts share are named once, at the top.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

matplotlib.use("svg")

INK, MUTED, RULE = "#1d2327", "#68737b", "#d9dee2"
# One colour for each set of signals, and for each order of what is retrieved, the same in every chart.
COLOURS = {
    "no_dislike_signal": "#8a949c",
    "dislike_input_paper_tower": "#a5c0da",
    "dislike_input_and_label_paper_tower": "#7cc0b4",
    "dislike_input": "#4a7fb0",
    "dislike_input_and_label": "#0b6e63",
    "skip_label": "#b4642d",
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
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
}


@dataclass(frozen=True)
class Point:
    """A value with its 95% interval; `label` names it in a chart."""

    value: float
    low: float
    high: float
    label: str = ""


def signed(share: float) -> str:
    """−12.3%, with a true minus sign; exactly nothing is 0%."""
    return f"{share:+.1%}".replace("-", "−") if share else "0%"


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


def bars(
    groups: Mapping[str, Sequence[Point]], *, paper: Mapping[str, Sequence[float | None]], kinds: Sequence[str]
) -> str:
    """Relative changes, one panel for each of `kinds`, a bar per model, the paper's figure as an open mark.

    groups: signals -> one Point per kind; paper: signals -> one figure per kind, None where the paper has none.
    """

    def paint(figure: Figure, narrow: bool) -> None:
        for n, (axes, kind) in enumerate(zip(side_by_side(figure, len(kinds), narrow), kinds)):
            for row, (signals, points) in enumerate(groups.items()):
                point, published = points[n], paper[signals][n]
                axes.barh(row, point.value, height=0.52, color=COLOURS[signals])
                axes.plot([point.low, point.high], [row, row], color=INK, linewidth=1.1, solid_capstyle="butt")
                if published is not None:
                    axes.plot(published, row, "D", color=INK, markersize=6.5, fillstyle="none", clip_on=False)
                edge = axes.get_yaxis_transform()  # x from 0 at the left edge to 1 at the right, y in rows
                beside: dict[str, Any] = {"xycoords": edge, "textcoords": "offset points", "va": "center"}
                axes.annotate(signed(point.value), (1, row), (7, 5), fontweight="bold", **beside)
                if published is not None:
                    text = f"paper {signed(published)}"
                    axes.annotate(text, (1, row), (7, -7), color=MUTED, fontsize=8, **beside)
            axes.axvline(0, color=MUTED, linewidth=1.6)
            axes.set_yticks(range(len(groups)), [points[n].label for points in groups.values()])
            axes.tick_params(axis="y", labelcolor=INK, labelleft=narrow or n == 0)
            axes.grid(axis="y", visible=False)
            axes.set_ylim(len(groups) - 0.4, -0.6)
            lowest = min([p[n].low for p in groups.values()] + [f[n] or 0.0 for f in paper.values()])
            axes.set_xlim(left=1.06 * lowest, right=1.06 * max(0.0, *(p[n].high for p in groups.values())))
            axes.spines["bottom"].set_visible(False)
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_title(kind)

    rows = len(groups)
    return draw(
        paint,
        title="Change in similar items after a dislike, by model",
        height=0.75 + 0.55 * rows,
        phone_height=len(kinds) * (0.55 + 0.55 * rows),
    )


def frontier(
    series: Mapping[str, Sequence[tuple[float, Point]]],
    *,
    references: Mapping[str, tuple[float, float]],
    goal: float,
    chosen: Sequence[tuple[float, float]],
    x_label: str,
    y_label: str,
) -> str:
    """A trade as a line per sweep: y against the share of the reference's Recall@100 that is kept.

    series: signals -> [(x, Point)] from light to heavy weights; references: signals of the models without negative
    labels -> (x, y); `goal` is the least share that the rule accepts.
    """

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": MUTED}
        for signals, points in series.items():
            xs, ys = [x for x, _ in points], [p.value for _, p in points]
            axes.plot(xs, ys, "-", color=COLOURS[signals], linewidth=1.4, alpha=0.75)
            for x, p in points:
                axes.plot([x, x], [p.low, p.high], color=COLOURS[signals], linewidth=1, alpha=0.6)
                axes.annotate(p.label, (x, p.value), (5, 5), **beside)
            axes.plot(xs, ys, "o", color=COLOURS[signals], markersize=5)
        for signals, reference in references.items():
            axes.plot(*reference, "s", color=COLOURS[signals], markersize=6)
        for x, y in chosen:
            axes.plot(x, y, "o", color=INK, markersize=11, fillstyle="none", markeredgewidth=1.3)
        axes.axvline(goal, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel(x_label)
        axes.set_title(y_label)
        axes.margins(0.1, 0.14)

    return draw(paint, title=f"{y_label} against {x_label}", height=3.3, phone_height=3.2, width=5.2)


def curves(panels: Mapping[str, Sequence[tuple[str, Sequence[tuple[int, float]]]]], *, logarithmic: str) -> str:
    """Training curves: panel title -> lines of (signals, [(step, value)]); one of the panels has a logarithmic axis."""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (title, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items()):
            seen: dict[str, int] = {}
            for signals, points in lines:
                style = ("-", "--", ":", "-.")[seen.get(signals, 0) % 4]
                seen[signals] = seen.get(signals, 0) + 1
                axes.plot(*zip(*points), style, color=COLOURS[signals], linewidth=1.3)
            axes.set_title(title)
            axes.set_xlabel("step")
            if title == logarithmic:
                axes.set_yscale("log")

    rows = len(panels)
    return draw(paint, title="Training curves", height=2.7, phone_height=2.2 * rows)


def side_by_side(figure: Figure, count: int, narrow: bool) -> list[Axes]:
    """`count` axes side by side, below one another where the drawing is narrow."""
    return list(figure.subplots(count if narrow else 1, 1 if narrow else count, squeeze=False).flat)


def _svg(paint: Callable[[Figure, bool], None], *, size: tuple[float, float], narrow: bool, salt: str) -> str:
    # Element ids come from the salt: equal data give equal bytes, and no two drawings of a page share an id.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure, narrow)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    markup = stream.getvalue()
    return markup[markup.index("<svg") :]
