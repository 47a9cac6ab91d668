"""Charts of the response section: what further events leave of one no."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from pipelines.report.charts import MUTED, colour_of, draw, percent, side_by_side
from pipelines.report.intervals import Point, interval
from pipelines.systems.response.results import Response
from pipelines.systems.response.stages import MODELS, signals
from pipelines.systems.retrieval.models import DISLIKE, KINDS
from simulation.counterfactual.courses import Branch, distances

Places = Mapping[int, str]  # x -> the name of a change, without its kind
_SOLID, _DASHED = "-", "--"
WITH_STATE = ("forgetting_state", "lasting")
"""Experiments of a server that keeps the model's state, drawn dashed."""


def by_length(response: Response) -> dict[str, Places]:
    """Line style -> x -> change: by how many times it was done."""
    return {_SOLID: {branch.length: branch.name for branch in _branches(response)}}


def by_likes(response: Response) -> dict[str, Places]:
    """By what came after the first action."""
    return {_SOLID: {branch.length - 1: branch.name for branch in _branches(response)}}


def by_others(response: Response) -> dict[str, Places]:
    """By other clusters since: solid where they were disliked, dashed where they were not; both begin without any."""
    return {
        style: {branch.others: branch.name for branch in _branches(response) if branch.disliked - 1 == count(branch)}
        for style, count in ((_SOLID, lambda branch: branch.others), (_DASHED, lambda branch: 0))
    }


def by_distance(response: Response) -> dict[str, Places]:
    """By how many recommendations later: dashed where a server keeps a state."""
    style = _DASHED if response.experiment in WITH_STATE else _SOLID
    looked_at = distances(response.config, int(response.metrics.get("events_read", 0)))
    return {style: {at: f"{'' if at == 1 else f'after_{at}/'}{DISLIKE}" for at in looked_at}}


# Chart -> what a screen reader says, and experiment -> panel and its lines: what a no comes to by dislikes in a row and
# by items later, after dislikes of other clusters and likes of the same, and until it is forgotten.
_Panel = tuple[str, Callable[[Response], dict[str, Places]]]
_LATER: _Panel = ("Later, and all else the same", by_distance)
CHARTS: Mapping[str, tuple[str, Mapping[str, _Panel]]] = {
    "steps": (
        "Change in similar items by dislikes and by time",
        {"in_a_row": ("Dislikes in a row", by_length), "memory": ("Later, after one dislike", by_distance)},
    ),
    "since": (
        "Change in similar items by what was said since",
        {"elsewhere": ("Other clusters since", by_others), "undo": ("Likes since", by_likes)},
    ),
    "forgetting": (
        "Change in similar items until it is forgotten",
        {
            "forgetting": _LATER,
            "forgetting_state": _LATER,
            "lasting": ("Later, and all that comes of it", by_distance),
        },
    ),
}


def models(responses: Sequence[Response]) -> list[str]:
    """The models that the lines are of, the served one first."""
    drawn = {experiment for _, experiments in CHARTS.values() for experiment in experiments}
    there = {response.model for response in responses if response.experiment in drawn}
    return [name for name in MODELS if name in there]


def chart(name: str, responses: Sequence[Response], pipeline: Mapping[str, Any]) -> str:
    """One of CHARTS, a line per model, by the kind of similarity that stands for all."""
    title, experiments = CHARTS[name]
    kind = next((kind for kind in KINDS if any(f"{DISLIKE}/{kind}" in one.metrics for one in responses)), "")
    panels: dict[str, list[tuple[str, str, list[tuple[int, Point]]]]] = {}  # -> colour, style, points of each line
    ends: dict[str, int] = {}  # where a panel's models cease to read what happened
    for response in (one for experiment in experiments for one in responses if one.experiment == experiment):
        panel, places = experiments[response.experiment]
        for style, of_line in places(response).items():
            points = [(x, p) for x, key in of_line.items() if (p := interval(response.metrics, f"{key}/{kind}"))]
            if points:
                panels.setdefault(panel, []).append((colour_of(signals(pipeline, response.model)), style, points))
        if response.config.get("beyond") and "events_read" in response.metrics:
            ends[panel] = int(response.metrics["events_read"])
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (panel, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items()):
            for colour, style, points in lines:
                values = [point.value for _, point in points]
                axes.plot([x for x, _ in points], values, f"o{style}", color=colour, linewidth=1.4, markersize=5)
                for x, point in points:
                    axes.plot([x, x], [point.low, point.high], color=colour, linewidth=1)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            if panel in ends:
                axes.axvline(ends[panel] + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.xaxis.set_major_locator(FixedLocator(legible_ticks([x for _, _, points in lines for x, _ in points])))
            percent(axes.yaxis)
            axes.set_title(f"{panel} ({kind})")

    return draw(paint, title=title, height=2.6, phone_height=2.3 * len(panels))


def legible_ticks(places: Sequence[int]) -> list[int]:
    """Those of `places` that are further from the one before than a thirtieth of the axis."""
    kept: list[int] = []
    for place in sorted(set(places)):
        if not kept or place - kept[-1] > (max(places) - min(places)) / 30:
            kept.append(place)
    return kept


def _branches(response: Response) -> list[Branch]:
    return [Branch.parse(name) for name in response.config["branches"]]
