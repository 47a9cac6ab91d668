"""The closer look at the served model's response, as rows and as lines of a chart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, PercentFormatter

from pipelines import charts
from pipelines.charts import COLOURS, MUTED, Point
from pipelines.evidence import Evidence
from pipelines.findings import DISLIKE, KINDS, interval
from pipelines.response_evidence import Response
from pipelines.response_stages import RANKED, REFERENCE, SERVED
from pipelines.tables import Row

_PANELS = {"in_a_row": "Dislikes in a row, of one cluster", "memory": "Recommendations later, after one dislike"}


@dataclass(frozen=True)
class Table:
    """Headings of the columns after the first, and rows."""

    headings: Sequence[str]
    rows: Sequence[Row]
    note: str


def signals(evidence: Evidence, model: str) -> str:
    """The signals of the served model or of its reference."""
    served = evidence.pipeline["serve"]
    return served if model == SERVED else evidence.pipeline["sweeps"][served]["reference"]


def steps(responses: Iterable[Response], evidence: Evidence) -> str:
    """Change by dislikes in a row and by items later, a line per model, by the kind that stands for all."""
    panels: dict[str, list[tuple[str, list[tuple[int, Point]]]]] = {}
    found = list(responses)
    kind = next((kind for kind in KINDS if any(f"{DISLIKE}/{kind}" in one.metrics for one in found)), "")
    for experiment, title in _PANELS.items():
        for response in found:
            if response.experiment == experiment and (line := _line(response, kind)):
                panels.setdefault(title, []).append((signals(evidence, response.model), line))
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (title, lines) in zip(charts.side_by_side(figure, len(panels), narrow), panels.items()):
            for name, line in lines:
                places, points = [place for place, _ in line], [point for _, point in line]
                axes.plot(places, [point.value for point in points], "o-", color=COLOURS[name], linewidth=1.4)
                for place, point in line:
                    axes.plot([place, place], [point.low, point.high], color=COLOURS[name], linewidth=1)
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.xaxis.set_major_locator(FixedLocator(sorted({place for _, line in lines for place, _ in line})))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_title(f"{title} ({kind})")

    return charts.draw(
        paint, title="Change in similar items by dislikes and by time", height=2.6, phone_height=2.3 * len(panels)
    )


def sweep(responses: Iterable[Response]) -> Table | None:
    """The paper's dislike at other k and slate sizes, of the served model: a row per k and kind, a column per size."""
    response = _one(responses, "sweeps", SERVED)
    if response is None:
        return None
    config = response.config
    sizes, lengths = sorted({*config["sweep_slate_size"], config["slate_size"]}), {*config["sweep_k"], config["k"]}
    rows = [
        Row(f"{k} items before, by {kind}", cells, emphasis=k == config["k"])
        for kind in KINDS
        for k in sorted(lengths)
        if any(cells := [interval(response.metrics, _key(config, k=k, size=size, kind=kind)) for size in sizes])
    ]
    return Table([f"first {size}" for size in sizes], rows, "Shaded: the length of everything above.")


def ranked(responses: Iterable[Response], evidence: Evidence) -> Table | None:
    """After retrieval alone beside after the ranker too, of the served model."""
    response, model = _one(responses, RANKED, SERVED), evidence.chosen(evidence.pipeline["serve"])
    if response is None or model is None:
        return None
    known = [kind for kind in KINDS if f"{DISLIKE}/{kind}" in response.metrics]
    # The sweep holds the same dislike on the same slates, by vectors too.
    swept = _one(responses, "sweeps", SERVED)
    alone = swept.metrics if swept else model.counterfactual
    rows = [
        Row(label, [interval(metrics, f"{DISLIKE}/{kind}") for kind in known])
        for label, metrics in (("Retrieval alone", alone), ("Then ranked", response.metrics))
    ]
    users, size = response.config["users"], response.config["slate_size"]
    return Table([f"by {kind}" for kind in known], rows, f"Ranked: {users:,} users, the first {size} in its order.")


def _line(response: Response, kind: str) -> list[tuple[int, Point]]:
    config = response.config
    if response.experiment == "memory":
        keys = {d: f"{'' if d == 1 else f'after_{d}/'}{DISLIKE}/{kind}" for d in config["distances"]}
    else:
        keys = {_times(branch): f"{branch}/{kind}" for branch in config["branches"]}
    return [(place, point) for place, key in keys.items() if (point := interval(response.metrics, key))]


def _times(branch: str) -> int:
    return int(branch.partition("*")[2] or 1)


def _key(config: Any, *, k: int, size: int, kind: str) -> str:
    # As simulation.counterfactual names what was measured otherwise than usual.
    prefix = "" if k == config["k"] else f"k_{k}/"
    return f"{prefix}{'' if size == config['slate_size'] else f'slate_{size}/'}{DISLIKE}/{kind}"


def _one(responses: Iterable[Response], experiment: str, model: str) -> Response | None:
    return next((one for one in responses if (one.experiment, one.model) == (experiment, model)), None)


def models(responses: Iterable[Response]) -> list[str]:
    """The models that the lines of `steps` are of, the served one first."""
    there = {response.model for response in responses if response.experiment in _PANELS}
    return [name for name in (SERVED, REFERENCE) if name in there]
