"""Charts of the retrieval sections; each is an empty string where its numbers are missing."""

from typing import Any

from matplotlib.figure import Figure

from pipelines.report.charts import INK, MUTED, colour_of, draw, logarithmic, percent, side_by_side
from pipelines.report.intervals import Point, interval, signed
from pipelines.systems.retrieval.models import Model, Models, titles

_NEGATIVE = "Mean p of the negative labels"
_CURVES = {"train_loss": "Training loss", "valid/recall@100": "Validation Recall@100", "train/negative_p": _NEGATIVE}
_STYLES = ("-", "--", ":", "-.")


def training(models: Models) -> str:
    """Loss, validation recall and, of models that have them, the probability of negative labels, by step."""
    panels = {
        heading: [(model.variant.signals, points) for model in models.all if (points := _curve(model, metric, heading))]
        for metric, heading in _CURVES.items()
    }
    panels = {heading: lines for heading, lines in panels.items() if lines}
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (heading, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items()):
            seen: dict[str, int] = {}
            for signals, points in lines:
                style = _STYLES[seen.get(signals, 0) % len(_STYLES)]
                seen[signals] = seen.get(signals, 0) + 1
                axes.plot(*zip(*points), style, color=colour_of(signals), linewidth=1.3)
            axes.set_title(heading)
            axes.set_xlabel("step")
            if heading == _NEGATIVE:
                logarithmic(axes)

    return draw(paint, title="Training curves", height=2.7, phone_height=2.2 * len(panels))


def _curve(model: Model, metric: str, heading: str) -> list[tuple[int, float]]:
    # A batch without a negative label logs a mean of 0, which is none, and has no place on a logarithmic axis.
    if heading == _NEGATIVE and model.weight is None:
        return []
    return [(step, value) for step, value in model.curves.get(metric, ()) if value > 0 or heading != _NEGATIVE]


def responsiveness(models: Models) -> str:
    """Relative change of similarity after a no: the paper's configs, on its own tower and with Heed's memory, a panel
    for each kind of similarity that the run has, a bar per model, the paper's figure as an open mark.
    """
    chosen = {signals: models.chosen(signals) for signals in models.compared}
    measured = {signals: model.counterfactual for signals, model in chosen.items() if model and model.counterfactual}
    kinds = [kind for kind in models.kinds if all(f"{models.no}/{kind}" in metrics for metrics in measured.values())]
    if not measured or not kinds:
        return ""
    points = {
        (signals, kind): interval(metrics, f"{models.no}/{kind}")
        for signals, metrics in measured.items()
        for kind in kinds
    }
    # Beside a bar: what is learned from above which tower it is.
    words = titles(models.run.config)
    labels = [words[signals].replace(", ", ",\n", 1) for signals in measured]

    def paint(figure: Figure, narrow: bool) -> None:
        for n, (axes, kind) in enumerate(zip(side_by_side(figure, len(kinds), narrow), kinds)):
            shown = {signals: point for signals in measured if (point := points[signals, kind])}
            paper = {signals: models.compared[signals].get(kind) for signals in measured}
            for place, (signals, point) in enumerate(shown.items()):
                published = paper[signals]
                axes.barh(place, point.value, height=0.52, color=colour_of(signals))
                axes.plot([point.low, point.high], [place, place], color=INK, linewidth=1.1, solid_capstyle="butt")
                if published is not None:
                    axes.plot(published, place, "D", color=INK, markersize=6.5, fillstyle="none", clip_on=False)
                edge = axes.get_yaxis_transform()  # x from 0 at the left edge to 1 at the right, y in rows
                beside: dict[str, Any] = {"xycoords": edge, "textcoords": "offset points", "va": "center"}
                axes.annotate(signed(point.value), (1, place), (7, 5), fontweight="bold", **beside)
                if published is not None:
                    text = f"paper {signed(published)}"
                    axes.annotate(text, (1, place), (7, -7), color=MUTED, fontsize=8, **beside)
            axes.axvline(0, color=MUTED, linewidth=1.6)
            axes.set_yticks(range(len(labels)), labels)
            axes.tick_params(axis="y", labelcolor=INK, labelleft=narrow or n == 0)
            axes.grid(axis="y", visible=False)
            axes.set_ylim(len(labels) - 0.4, -0.6)
            lowest = min([point.low for point in shown.values()] + [figure or 0.0 for figure in paper.values()])
            axes.set_xlim(left=1.06 * lowest, right=1.06 * max(0.0, *(point.high for point in shown.values())))
            axes.spines["bottom"].set_visible(False)
            percent(axes.xaxis)
            axes.set_title(f"by {kind}")

    title, rows = f"Change in similar items after {models.a_no}, by model", len(labels)
    return draw(paint, title=title, height=0.75 + 0.55 * rows, phone_height=len(kinds) * (0.55 + 0.55 * rows))


def frontiers(models: Models) -> list[str]:
    """What a heavier negative weight buys and costs: a chart for each thing it buys."""
    kind = next(iter(models.kinds), "")
    charts = (
        _frontier(models, "skip@100", "Skip@100, relative to no negatives"),
        _frontier(models, "dislike@100", "Dislike@100, relative to no negatives"),
        _frontier(models, "", f"Similar items after {models.a_no} ({kind})"),
    )
    return [chart for chart in charts if chart]


def _frontier(models: Models, metric: str, y_label: str) -> str:
    # A line per sweep, from light to heavy weights, against the share of the reference's Recall@100 that is kept.
    # metric "": responsiveness, which is already relative to the model's own baseline.
    series: dict[str, list[tuple[float, Point, Model]]] = {}
    references: dict[str, tuple[float, float]] = {}
    for model in models.all:
        recall = models.change(model, "recall@100")
        point = models.change(model, metric) if metric else models.response(model)
        if model.variant.final or recall is None or point is None:
            continue
        series.setdefault(model.variant.signals, []).append((1 + recall.value, point, model))
        base = models.named(model.reference)
        y = 0.0 if metric else getattr(models.response(base), "value", None)
        if base and y is not None:
            references[base.variant.signals] = (1.0, y)
    if not series:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": MUTED}
        for signals, points in series.items():
            colour, xs, ys = colour_of(signals), [x for x, _, _ in points], [p.value for _, p, _ in points]
            axes.plot(xs, ys, "-", color=colour, linewidth=1.4, alpha=0.75)
            for x, p, model in points:
                axes.plot([x, x], [p.low, p.high], color=colour, linewidth=1, alpha=0.6)
                axes.annotate(f"{model.variant.weight:g}", (x, p.value), (5, 5), **beside)
            axes.plot(xs, ys, "o", color=colour, markersize=5)
        for signals, reference in references.items():
            axes.plot(*reference, "s", color=colour_of(signals), markersize=6)
        for x, p, model in (point for points in series.values() for point in points):
            if model.chosen:
                axes.plot(x, p.value, "o", color=INK, markersize=11, fillstyle="none", markeredgewidth=1.3)
        axes.axvline(models.kept, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        percent(axes.xaxis)
        percent(axes.yaxis)
        axes.set_xlabel("Recall@100 kept")
        axes.set_title(y_label)
        axes.margins(0.1, 0.14)

    return draw(paint, title=f"{y_label} against Recall@100 kept", height=3.3, phone_height=3.2, width=5.2)
