"""The comparison of the alternatives as a table, for the terminal and as a page. Work of benchmarks.alternatives."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.alternatives_runs import Row

HEADINGS = ("content", "creator", "recall@100", "norm p50", "norm p99", "norm max", "negative term", "diverged")
_COLUMNS = (
    ("long_watch+dislike/content", "{:+.1%}"),
    ("long_watch+dislike/creator", "{:+.1%}"),
    ("recall@100", "{:.3f}"),
    ("grad_norm/p50", "{:.3g}"),
    ("grad_norm/p99", "{:.3g}"),
    ("grad_norm/max", "{:.3g}"),
    ("valid/negative_gradient_norm", "{:.3g}"),
)
_PANELS = {
    "Gradient norm before clipping, largest of 50 steps": "train/grad_norm_max",
    "Gradient norm of the negative term": "valid/negative_gradient_norm",
    "Mean p of the negative labels": "train/negative_p",
}


def cells(metrics: Mapping[str, float]) -> list[str]:
    """One row of the table as text."""
    found = [form.format(metrics[name]) if name in metrics else "–" for name, form in _COLUMNS]
    step = metrics.get("diverged_at_step")
    return [*found, "no" if step is None else f"at step {step:g}"]


def table(measured: Mapping[str, Mapping[str, float]]) -> str:
    """For the terminal."""
    lines = [f"{'':<30}" + "".join(f"{heading:>15}" for heading in HEADINGS)]
    lines += [f"{name:<30}" + "".join(f"{cell:>15}" for cell in cells(metrics)) for name, metrics in measured.items()]
    return "\n".join(lines)


def page(measured: Mapping[str, Mapping[str, float]], rows: "Sequence[Row]") -> str:
    """The table and the gradient norms over training as one self-contained page."""
    import html

    from matplotlib import colormaps
    from matplotlib.figure import Figure

    from benchmarks.alternatives_runs import curve
    from pipelines.charts import draw

    colours = {row.name: colormaps["tab10"](n % 10) for n, row in enumerate(rows)}

    def paint(figure: Figure, narrow: bool) -> None:
        panels = figure.subplots(len(_PANELS) if narrow else 1, 1 if narrow else len(_PANELS), squeeze=False).flat
        for axes, (title, metric) in zip(panels, _PANELS.items(), strict=True):
            for row in rows:
                points = [(step, value) for step, value in curve(row, metric) if value > 0]
                if points:
                    axes.plot(*zip(*points, strict=True), color=colours[row.name], linewidth=1.3, label=row.name)
            axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel("step")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 5, fontsize=8)

    chart = draw(paint, title="Gradient norms over training", height=3.6, phone_height=9.5, width=13.0)
    head = "".join(f"<th>{heading}</th>" for heading in ("", *HEADINGS))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells(metrics))}</tr>"
        for name, metrics in measured.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Heed · alternatives to the not-to-recommend loss</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1d2327; max-width: 1160px; margin: 0 auto; padding: 32px 18px; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }}
td, th {{ padding: 6px 12px; text-align: right; border-bottom: 1px solid #dfe3e6; white-space: nowrap; }}
td:first-child {{ text-align: left; }}
.scroll {{ overflow-x: auto; }} .chart svg {{ width: 100%; height: auto; }} .chart .narrow {{ display: none; }}
p {{ max-width: 46rem; color: #5f6a72; }}
@media (max-width: 620px) {{ .chart .wide {{ display: none; }} .chart .narrow {{ display: block; }} }}
</style></head><body>
<h1>Alternatives to the not-to-recommend loss</h1>
<p>Content, creator: change of similar items after one dislike (Wang et al., RecSys ’23, section 4). Norms: of the
gradient before clipping, percentiles over all steps. Negative term: the norm of its gradient alone on one batch, at the
best epoch. The number after -w is the weight of the negative labels.</p>
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<figure style="margin: 2rem 0">{chart}</figure>
</body></html>
"""
