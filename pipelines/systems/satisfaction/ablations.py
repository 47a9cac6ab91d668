"""What each part of SAQRec is worth: a table for each click loss, what it says, and the sweeps of Figure 4 (Zhang et
al., CIKM '24).
"""

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.report.charts import MUTED, draw, side_by_side
from pipelines.report.intervals import apart, interval
from pipelines.report.tables import Row, marked, row
from pipelines.systems.satisfaction.results import Protocol
from pipelines.systems.satisfaction.tables import COLUMNS, ROWS, gains_in_mrr, listed
from satisfaction.experiments.variants import FULL, GROUPS

# click loss -> its name, its colour
LOSSES = {
    "exact": ("Exact softmax", "#0b6e63"),
    "sampled": ("Sampled softmax", "#4a7fb0"),
    "bce": ("Binary cross entropy, the paper’s", "#b4642d"),
}
ROWS_OF = {
    FULL: "SAQRec, full",
    "no_unbiased": "without unbiased satisfaction",
    "no_sid": "without disentanglement (SID)",
    "no_mlse": "without levels (MLSE)",
    "no_mtl": "without satisfaction task (MTL)",
    "no_popularity": "without recent popularity (not in the paper)",
    **{name: ROWS[name] for name in ("gru_softmax", "item_knn", "popularity")},
}
GAINS = ("mrr", "hr@10")
VALID = "valid/mrr"
_SWEPT = {
    "levels": "levels, N_I",
    "mix": "epoch of the first label correction, N_mix",
    "beta": "weight of the satisfaction task, β",
}


@dataclass(frozen=True)
class Ablations:
    """One click loss: figures a row, then what the full model gains over it."""

    loss: str
    rows: list[tuple[Row, Row]]
    verdict: str


def losses(protocol: Protocol) -> list[str]:
    """The click losses that were trained, in the order in which they are shown."""
    return [loss for loss in LOSSES if f"{loss}/{FULL}/mrr" in protocol.ablations]


def tables(protocol: Protocol) -> list[Ablations]:
    """A table for each click loss; none where the pipeline has no such stage."""
    return [_of_loss(protocol, loss) for loss in losses(protocol)]


def _of_loss(protocol: Protocol, loss: str) -> Ablations:
    metrics = protocol.ablations
    known = {name: label for name, label in ROWS_OF.items() if f"{loss}/{name}/mrr" in metrics}
    figures = [
        row(label, metrics, [f"{loss}/{name}/{metric}" for metric in (*COLUMNS, VALID)], emphasis=name == FULL)
        for name, label in known.items()
    ]
    gains = [
        row(label, metrics, [f"{loss}/gain_over/{name}/{metric}" for metric in GAINS]) for name, label in known.items()
    ]
    return Ablations(LOSSES[loss][0], list(zip(marked(figures), gains)), _verdict(protocol, loss))


def _verdict(protocol: Protocol, loss: str) -> str:
    # On the ablations alone: the baselines have their sentences beside the main table.
    names = [name for name in GROUPS["ablations"] if f"{loss}/{name}/mrr" in protocol.ablations]
    relations = (
        "is better, beyond the interval, than the one",
        "cannot be told from the one",
        "is worse, beyond the interval, than the one",
    )
    compared = apart(gains_in_mrr(protocol.ablations, names, f"{loss}/", ROWS_OF))
    parts = [f"{relation} {listed(points)}" for relation, points in zip(relations, compared) if points]
    return f"In MRR the full model {'; it '.join(parts)}." if parts else ""


def legend(protocol: Protocol) -> dict[str, str]:
    """Click loss in words -> colour."""
    return dict(LOSSES[loss] for loss in losses(protocol))


def sweeps(protocol: Protocol) -> str:
    """MRR of each setting minus that of the full model, paired over users, a panel for each setting that was swept."""
    panels = {}
    for group in _SWEPT:
        lines = {loss: line for loss in losses(protocol) if (line := _line(protocol, loss, group))}
        if lines:
            panels[group] = lines
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (group, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items(), strict=True):
            for loss, points in lines.items():
                colour = LOSSES[loss][1]
                for x, low, _, high in points:
                    axes.plot([x, x], [low, high], color=colour, linewidth=1, alpha=0.6)
                xs, ys = [x for x, *_ in points], [value for _, _, value, _ in points]
                axes.plot(xs, ys, "o-", color=colour, markersize=4, linewidth=1.2)
            axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_xlabel(_SWEPT[group])
            axes.set_title("MRR, minus the full model’s")
            if group == "beta":
                axes.set_xscale("log")
            else:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    title = "MRR by number of levels, begin of label correction and weight of satisfaction"
    return draw(paint, title=title, height=2.9, phone_height=2.4 * len(panels), width=8.6)


def _line(protocol: Protocol, loss: str, group: str) -> list[tuple[float, float, float, float]]:
    # (setting, low, value, high) of what the setting has more than the full model: the gain over it, turned round.
    points = []
    for name, settings in GROUPS[group].items():
        gain = interval(protocol.ablations, f"{loss}/gain_over/{name}/mrr")
        if gain is not None:
            (setting,) = settings.values()
            points.append((float(setting), -gain.high, -gain.value, -gain.low))
    return points
