"""Charts of the ranking section; each is an empty string where its numbers are missing."""

from matplotlib.figure import Figure

from pipelines.report.charts import INK, MUTED, draw, side_by_side
from pipelines.systems.ranking.results import Ranking

_COLOURS = ("#0b6e63", "#4a7fb0", "#b4642d", "#7a5a99", "#8a949c", "#a33b4a", "#5d7a2b", "#1d2327")
_FUSED = ("fused/skip@10", "fused/ndcg@10")  # across, up
_SLOTS = 16  # most important features that are shown


def colours(ranking: Ranking) -> dict[str, str]:
    """Task -> its colour in every chart."""
    return {task: _COLOURS[n % len(_COLOURS)] for n, task in enumerate(ranking.tasks)}


def task_weights(ranking: Ranking) -> str:
    """λ of each task over training."""
    lines = {task: points for task in ranking.tasks if (points := ranking.curves.get(f"train/{task}_weight"))}
    if not lines:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for task, points in lines.items():
            axes.plot(*zip(*points), color=colours(ranking)[task], linewidth=1.4)
        axes.set_title("Weight λ of each task's loss")
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)

    return draw(paint, title="Weights of the tasks over training", height=2.8, phone_height=2.8, width=5.2)


def gates(ranking: Ranking) -> str:
    """Which experts each task uses: mean gate weights, a row per task, a column per expert."""
    of_tasks = ranking.fusion.get("gates", {})
    if not of_tasks:
        return ""
    weights = list(of_tasks.values())

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        highest = max(max(row) for row in weights)
        axes.pcolormesh(weights, cmap="GnBu", vmin=0, vmax=1.25 * highest, edgecolors="white", linewidth=2)
        axes.invert_yaxis()
        for y, row in enumerate(weights):
            for x, weight in enumerate(row):
                axes.annotate(f"{weight:.2f}", (x + 0.5, y + 0.5), ha="center", va="center", fontsize=8.5)
        axes.set_yticks([y + 0.5 for y in range(len(of_tasks))], list(of_tasks))
        axes.set_xticks([x + 0.5 for x in range(len(weights[0]))], [f"{x + 1}" for x in range(len(weights[0]))])
        axes.set_xlabel("expert")
        axes.set_title("Mean gate weight")
        axes.grid(visible=False)

    return draw(paint, title="Experts that each task uses", height=2.8, phone_height=2.8, width=5.2)


def slots(ranking: Ranking) -> str:
    """Mean importance α of each feature's slot, the highest first."""
    ordered = sorted(ranking.fusion.get("slots", ()), key=lambda slot: -slot[1])
    if not ordered:
        return ""
    shown = ordered[:_SLOTS]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.barh([_words(name) for name, _ in shown], [weight for _, weight in shown], height=0.6, color=_COLOURS[0])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelcolor=INK)
        axes.grid(axis="y", visible=False)
        axes.set_title(f"Mean α, {len(shown)} of {len(ordered)} slots")

    return draw(paint, title="Importance of the features", height=3.8, phone_height=4.2, width=5.2)


def calibration(ranking: Ranking) -> str:
    """Share that came true against what was predicted, before and after calibration; a panel for each."""
    diagrams = ranking.reliability.get("model", {})
    if not diagrams:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (key, title) in zip(
            side_by_side(figure, 2, narrow),
            (("uncalibrated", "Before calibration"), ("calibrated", "After calibration")),
        ):
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            for task in [t for t in ranking.tasks if t in diagrams]:
                bins = diagrams[task][key]
                total = sum(bins["examples"])
                kept = [n for n, size in enumerate(bins["examples"]) if size >= 0.002 * total]
                predicted, observed = ([bins[name][n] for n in kept] for name in ("predicted", "observed"))
                axes.plot(predicted, observed, "o-", color=colours(ranking)[task], markersize=3, linewidth=1.2)
            axes.set_title(title)
            axes.set_xlabel("predicted probability")
            axes.set_ylabel("share that came true")

    return draw(paint, title="Calibration", height=3.2, phone_height=6.0)


def trade_off(ranking: Ranking) -> str:
    """The fused list's NDCG@10 against skip@10 as the penalty of skips grows, on the test days."""
    points = [{**trade["test"], "penalty": trade["penalty"]} for trade in ranking.fusion.get("trade_off", ())]
    points = [point for point in points if {"ndcg", "skip"} <= point.keys()]
    if not points:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        xs, ys = [p["skip"] for p in points], [p["ndcg"] for p in points]
        axes.plot(xs, ys, "o-", color=_COLOURS[0], markersize=5, linewidth=1.4)
        labelled: set[tuple[float, float]] = set()
        for point in points:
            at = (point["skip"], point["ndcg"])
            if at not in labelled:
                axes.annotate(f"{point['penalty']:g}", at, (5, 5), textcoords="offset points", fontsize=8, color=MUTED)
            labelled.add(at)
        for prefix, colour in (("", INK), ("lightgbm/", _COLOURS[1])):
            here = [ranking.test[f"{prefix}{metric}"] for metric in _FUSED if f"{prefix}{metric}" in ranking.test]
            if len(here) == len(_FUSED):
                axes.plot(*here, "s" if prefix else "o", color=colour, markersize=10, fillstyle="none")
        axes.set_xlabel("Skip@10")
        axes.set_title("NDCG@10")
        axes.margins(0.12, 0.14)
        axes.locator_params(nbins=6)

    return draw(paint, title="What fewer skips cost the fused list", height=3.2, phone_height=3.2, width=5.2)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", ": ")
