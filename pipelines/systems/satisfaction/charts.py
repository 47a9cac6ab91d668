"""Charts of the satisfaction section; each is an empty string where its numbers are missing."""

from matplotlib.figure import Figure

from pipelines.report.charts import MUTED, draw
from pipelines.systems.satisfaction.results import Protocol

_ACCENT = "#0b6e63"


def propensity(protocol: Protocol) -> str:
    """What was predicted of who answers beside what came true, in bins of equal counts."""
    predicted, observed = (protocol.reliability.get(name, ()) for name in ("predicted", "observed"))
    points = [(p, o) for p, o in zip(predicted, observed) if p == p and o == o and p is not None and o is not None]
    if not points:
        return ""
    ceiling = 1.08 * max(max(pair) for pair in points)

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.plot([0, ceiling], [0, ceiling], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(*zip(*points), "o-", color=_ACCENT, markersize=4.5, linewidth=1.2)
        axes.set_xlim(0, ceiling)
        axes.set_ylim(0, ceiling)
        axes.set_title("Share that answered")
        axes.set_xlabel("propensity")

    return draw(paint, title="Propensities against who answered", height=3.1, phone_height=3.1, width=5.2)


def level_weights(protocol: Protocol) -> str:
    """Mean weight of each satisfaction level in the user's vector, from the most to the least satisfying clicks."""
    weights: list[float] = []
    while f"level_weight/{len(weights) + 1}" in protocol.test:
        weights.append(protocol.test[f"level_weight/{len(weights) + 1}"])
    if not weights:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.bar(range(1, len(weights) + 1), weights, width=0.62, color=_ACCENT)
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.set_xticks(range(1, len(weights) + 1))
        axes.set_xlabel("satisfaction level, 1 the highest")
        axes.set_title("Mean weight")
        axes.grid(axis="x", visible=False)

    return draw(paint, title="Weights of the satisfaction levels", height=3.1, phone_height=3.1, width=5.2)
