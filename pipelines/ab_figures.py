"""Charts of the A/B section. A chart without its numbers is an empty string."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipelines import charts
from pipelines.ab_evidence import AbEvidence
from pipelines.charts import COLOURS, INK, MUTED
from pipelines.published import LIVE

_DAYS = ("dislike_rate", "repeated_dislike_rate", "viewers", "enjoyment")
_EXPOSURE = {"low_exposure": "Low exposure", "high_exposure": "High exposure"}


def by_day(evidence: AbEvidence) -> str:
    """Relative change by day with its band, the published change of the whole experiment dashed (figure 2 of Wang)."""
    colour = COLOURS.get(evidence.treatment, INK)
    panels = [
        (name, evidence.definitions[name]["title"], evidence.by_day[name])
        for name in _DAYS
        if name in evidence.by_day and name in evidence.definitions
    ]
    panels = [(name, title, days) for name, title, days in panels if any(v is not None for v in days["value"])]
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes_of = figure.subplots(len(panels) if narrow else 2, 1 if narrow else 2, squeeze=False).flat
        for axes, (name, title, days) in zip(axes_of, panels, strict=False):
            known = [n for n, value in enumerate(days["value"]) if value is not None]
            x = [n + 1 for n in known]
            values, low, high = ([days[part][n] for n in known] for part in ("value", "low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(x, values, "-o", color=colour, linewidth=1.6, markersize=3.5)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            published = LIVE.get(evidence.treatment, {}).get(name)
            if published:
                axes.axhline(published.change, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.set_title(title)
            axes.set_xlabel("day")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        for axes in list(axes_of)[len(panels) :]:
            axes.set_visible(False)

    return charts.draw(
        paint, title="Relative change by simulated day", height=4.6, phone_height=2.2 * len(panels), width=8.2
    )


def long_run(evidence: AbEvidence) -> str:
    """Diversity entropy by how often users dislike, for each arm and exposure group (figure 4 of Pan)."""
    colours = {"control": COLOURS["no_dislike_signal"], "treatment": COLOURS.get(evidence.treatment, INK)}
    arms = {arm: groups for arm, groups in evidence.long_run.items() if arm in colours}
    groups = [group for group in _EXPOSURE if any(found[group]["bins"] for found in arms.values())]
    if not groups:
        return ""

    def one(axes: Axes, bins: list[dict[str, Any]], colour: str) -> None:
        x = [row["dislikes"] for row in bins]
        for row in bins:
            axes.plot([row["dislikes"]] * 2, [row["low"], row["high"]], color=colour, linewidth=1, alpha=0.6)
        axes.plot(x, [row["entropy"] for row in bins], "-o", color=colour, linewidth=1.4, markersize=4)

    def paint(figure: Figure, narrow: bool) -> None:
        shape = (len(groups), 1) if narrow else (1, len(groups))
        for axes, group in zip(figure.subplots(*shape, squeeze=False).flat, groups, strict=True):
            for arm, found in arms.items():
                one(axes, found[group]["bins"], colours[arm])
            axes.set_title(_EXPOSURE[group])
            axes.set_xlabel("dislikes per 100 impressions")
            axes.set_ylabel("entropy, nats")

    return charts.draw(paint, title="Diversity by how often users dislike", height=2.8, phone_height=4.6)
