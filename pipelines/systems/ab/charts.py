"""Charts of the A/B section; each is an empty string where its numbers are missing."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.report.charts import MUTED, colour_of, draw, percent, side_by_side
from pipelines.systems.ab.published import PUBLISHED
from pipelines.systems.ab.results import Test

_OF_SKIPS = ("skip_label", "skip_and_dislike_label")  # these arms have their own figure in the paper, 2b
# metric -> whether it is a figure of those arms, or else of the others
SIGNAL_DAYS = {"dislike_rate": False, "repeated_dislike_rate": False, "viewers": False, "enjoyment": True}
RANKED_DAYS = dict.fromkeys(("true_satisfaction", "watch_time", "viewers", "dislike_rate"), False)
EXPOSURE = {"low_exposure": "Low exposure", "high_exposure": "High exposure"}


def by_day(test: Test, days: Mapping[str, bool]) -> str:
    """Relative change of each arm by day with its band, the published change of the whole experiment dashed; a panel
    for each metric of `days`, which says whether it is one of the arms that learn from skips.

    Figure 2 of Wang: dislikes for the arms that know of dislikes (a), enjoyment for those that learn from skips (b).
    """
    panels = {name: lines for name, of_skips in days.items() if (lines := _lines(test, name, of_skips=of_skips))}
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes_of = list(figure.subplots(len(panels) if narrow else 2, 1 if narrow else 2, squeeze=False).flat)
        for axes, (name, lines) in zip(axes_of, panels.items(), strict=False):
            for arm, days in lines.items():
                _line(axes, days, colour_of(arm))
                for published in PUBLISHED.get(arm, {}).get(name, ())[:1]:
                    dashes: Any = (0, (4, 3))
                    axes.axhline(published.change, color=colour_of(arm), linewidth=1, linestyle=dashes)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.set_title(test.definitions[name]["title"])
            axes.set_xlabel("day")
            axes.set_xlim(0.8, 0.2 + max(len(days["value"]) for days in lines.values()))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            percent(axes.yaxis)
        for axes in axes_of[len(panels) :]:
            axes.set_visible(False)

    return draw(paint, title="Relative change by simulated day", height=4.6, phone_height=2.2 * len(panels), width=8.2)


def long_run(test: Test) -> str:
    """Diversity entropy by how often users dislike, for each arm and exposure group (figure 4 of Pan)."""
    arms = {arm: test.long_run[arm] for arm in test.arms if arm in test.long_run}
    groups = [group for group in EXPOSURE if any(groups_of_arm[group]["bins"] for groups_of_arm in arms.values())]
    if not groups:
        return ""

    def one(axes: Axes, bins: Sequence[dict[str, Any]], colour: str) -> None:
        x = [row["dislikes"] for row in bins]
        for row in bins:
            axes.plot([row["dislikes"]] * 2, [row["low"], row["high"]], color=colour, linewidth=1, alpha=0.6)
        axes.plot(x, [row["entropy"] for row in bins], "-o", color=colour, linewidth=1.4, markersize=4)

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, group in zip(side_by_side(figure, len(groups), narrow), groups, strict=True):
            for arm, groups_of_arm in arms.items():
                one(axes, groups_of_arm[group]["bins"], colour_of(arm))
            axes.set_title(EXPOSURE[group])
            axes.set_xlabel("dislikes per 100 impressions")
            axes.set_ylabel("entropy, nats")

    return draw(paint, title="Diversity by how often users dislike", height=2.8, phone_height=4.6)


def _lines(test: Test, metric: str, *, of_skips: bool) -> dict[str, Any]:
    # {arm: value, low, high by day} of the arms whose figure this is; of all where there are none of that kind.
    if metric not in test.definitions:
        return {}
    arms = [arm for arm in test.treated if (arm in _OF_SKIPS) == of_skips] or test.treated
    by_arm = {arm: test.by_day[arm][metric] for arm in arms if metric in test.by_day.get(arm, {})}
    return {arm: days for arm, days in by_arm.items() if any(value is not None for value in days["value"])}


def _line(axes: Axes, days: dict[str, list[Any]], colour: str) -> None:
    known = [n for n, value in enumerate(days["value"]) if value is not None]
    x = [n + 1 for n in known]
    values, low, high = ([days[part][n] for n in known] for part in ("value", "low", "high"))
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(x, values, "-o", color=colour, linewidth=1.6, markersize=3.5)
