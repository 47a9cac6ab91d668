"""The closer look at the served model's response, as charts: what further events leave of one no."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, PercentFormatter

from pipelines.report.charts import COLOURS, MUTED, draw, side_by_side
from pipelines.report.intervals import Point, interval
from pipelines.systems.response.evidence import Response
from pipelines.systems.response.stages import MODELS, signals
from pipelines.systems.retrieval.models import DISLIKE, KINDS
from simulation.counterfactual.courses import Branch, distances

Places = Mapping[int, str]  # x -> the name of a change, without its kind
_SOLID, _DASHED = "-", "--"


@dataclass(frozen=True)
class _Line:
    signals: str
    style: str
    points: Sequence[tuple[int, Point]]


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
    style = _DASHED if response.experiment == "forgetting_state" else _SOLID
    looked_at = distances(response.config, int(response.metrics.get("events_read", 0)))
    return {style: {at: f"{'' if at == 1 else f'after_{at}/'}{DISLIKE}" for at in looked_at}}


_Panel = tuple[str, Callable[[Response], dict[str, Places]]]
_STEPS: dict[str, _Panel] = {
    "in_a_row": ("Dislikes in a row", by_length),
    "memory": ("Later, after one dislike", by_distance),
}
_SINCE: dict[str, _Panel] = {
    "elsewhere": ("Other clusters since", by_others),
    "undo": ("Likes since", by_likes),
}
_FORGETTING: dict[str, _Panel] = dict.fromkeys(
    ("forgetting", "forgetting_state"), ("Later, and all else the same", by_distance)
)


def steps(responses: Sequence[Response], pipeline: Mapping[str, Any]) -> str:
    """Change by dislikes in a row and by items later, a line per model, by the kind that stands for all."""
    return _chart(responses, pipeline, _STEPS, title="Change in similar items by dislikes and by time")


def since(responses: Sequence[Response], pipeline: Mapping[str, Any]) -> str:
    """What is left of the change after dislikes of other clusters and after likes of the same."""
    return _chart(responses, pipeline, _SINCE, title="Change in similar items by what was said since")


def forgetting(responses: Sequence[Response], pipeline: Mapping[str, Any]) -> str:
    """What is left of the change after events that are the same without the dislike, beyond those a model reads."""
    return _chart(responses, pipeline, _FORGETTING, title="Change in similar items until it is forgotten")


def models(responses: Sequence[Response]) -> list[str]:
    """The models that the lines are of, the served one first."""
    drawn = {**_STEPS, **_SINCE, **_FORGETTING}
    there = {response.model for response in responses if response.experiment in drawn}
    return [name for name in MODELS if name in there]


def _chart(
    responses: Sequence[Response],
    pipeline: Mapping[str, Any],
    experiments: Mapping[str, _Panel],
    *,
    title: str,
) -> str:
    kind = next((kind for kind in KINDS if any(f"{DISLIKE}/{kind}" in one.metrics for one in responses)), "")
    panels: dict[str, list[_Line]] = {}
    ends: dict[str, int] = {}  # where a panel's models cease to read what happened
    for experiment, (name, places) in experiments.items():
        for response in (one for one in responses if one.experiment == experiment):
            for style, of_line in places(response).items():
                points = [(x, p) for x, key in of_line.items() if (p := interval(response.metrics, f"{key}/{kind}"))]
                if points:
                    panels.setdefault(name, []).append(_Line(signals(pipeline, response.model), style, points))
            if response.config.get("beyond") and "events_read" in response.metrics:
                ends[name] = int(response.metrics["events_read"])
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (name, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items()):
            for line in lines:
                places, values = [x for x, _ in line.points], [point.value for _, point in line.points]
                axes.plot(places, values, f"o{line.style}", color=COLOURS[line.signals], linewidth=1.4, markersize=5)
                for place, point in line.points:
                    axes.plot([place, place], [point.low, point.high], color=COLOURS[line.signals], linewidth=1)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            if name in ends:
                axes.axvline(ends[name] + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.xaxis.set_major_locator(FixedLocator(legible_ticks([x for line in lines for x, _ in line.points])))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_title(f"{name} ({kind})")

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
