"""The sweeps of Figure 4 (Zhang et al., CIKM '24) as small charts, and their colours."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.ablation_tables import LOSSES, losses
from pipelines.charts import MUTED, draw, side_by_side
from pipelines.findings import interval
from pipelines.satisfaction_evidence import Protocol
from satisfaction.experiments.variants import GROUPS

COLOURS = {"exact": "#0b6e63", "sampled": "#4a7fb0", "bce": "#b4642d"}
_AXES = {
    "levels": "levels, N_I",
    "mix": "epoch of the first label correction, N_mix",
    "beta": "weight of the satisfaction task, β",
}


def legend(protocol: Protocol) -> dict[str, str]:
    """Click loss in words -> colour."""
    return {LOSSES[loss]: COLOURS[loss] for loss in losses(protocol)}


def sweeps(protocol: Protocol) -> str:
    """MRR of each setting minus that of the full model, paired over users, a panel for each setting that was swept."""
    panels = {}
    for group in _AXES:
        lines = {loss: line for loss in losses(protocol) if (line := _line(protocol, loss, group))}
        if lines:
            panels[group] = lines
    if not panels:
        return ""

    def paint(figure: Figure, narrow: bool) -> None:
        for axes, (group, lines) in zip(side_by_side(figure, len(panels), narrow), panels.items(), strict=True):
            for loss, points in lines.items():
                for x, low, _, high in points:
                    axes.plot([x, x], [low, high], color=COLOURS[loss], linewidth=1, alpha=0.6)
                xs, ys = [x for x, *_ in points], [value for _, _, value, _ in points]
                axes.plot(xs, ys, "o-", color=COLOURS[loss], markersize=4, linewidth=1.2)
            axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_xlabel(_AXES[group])
            axes.set_title("MRR, minus the full model’s")
            if group == "beta":
                axes.set_xscale("log")
            else:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    title = "MRR by number of levels, begin of label correction and weight of satisfaction"
    return draw(paint, title=title, height=2.9, phone_height=2.4 * len(panels), width=8.6)


def _line(protocol: Protocol, loss: str, group: str) -> list[tuple[float, float, float, float]]:
    # (setting, low, value, high) of what the setting has more than the full model: the gain over it, turned round.
    found = []
    for name, settings in GROUPS[group].items():
        gain = interval(protocol.ablations, f"{loss}/gain_over/{name}/mrr")
        if gain is not None:
            (setting,) = settings.values()
            found.append((float(setting), -gain.high, -gain.value, -gain.low))
    return found
