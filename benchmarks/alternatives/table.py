"""The comparison of the alternatives as a table, for the terminal and as a page. Work of benchmarks.alternatives."""

import html
from collections.abc import Mapping, Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmarks.alternatives.results import by_label, how, order, over_seeds
from benchmarks.alternatives.runs import Row
from pipelines.report.charts import draw, side_by_side
from pipelines.report.run_folder import curves
from runtime import table as text_table

_COLUMNS = (
    ("content", "long_watch+dislike/content", "{:+.1%}"),
    ("creator", "long_watch+dislike/creator", "{:+.1%}"),
    ("truth", "long_watch+dislike/truth", "{:+.1%}"),
    ("recall@100", "recall@100", "{:.3f}"),
    ("next item", "next_item/recall@100", "{:.3f}"),
    ("dislike@100", "dislike@100", "{:.3f}"),
    ("ΔHR@10", "next_item/delta_hr@10", "{:+.3f}"),
    ("norm p50", "grad_norm/p50", "{:.3g}"),
    ("norm p90", "grad_norm/p90", "{:.3g}"),
    ("norm p99", "grad_norm/p99", "{:.3g}"),
    ("norm max", "grad_norm/max", "{:.3g}"),
    ("negative term", "valid/negative_gradient_norm", "{:.3g}"),
)
_PANELS = {
    "Largest gradient norm before clipping": "train/grad_norm_max",
    "Gradient norm of the negative term": "valid/negative_gradient_norm",
    "Mean p of the negative labels": "train/negative_p",
}
_PALEST = 0.1  # of the strength of the largest weight's colour, below that of the smallest


def rows_of(measured: Mapping[Row, Mapping[str, float]]) -> tuple[list[str], dict[str, list[str]]]:
    """Headings, and of each row its cells as text: of several seeds the mean and, after ±, their spread.

    What no row has, such as a judgement by the truth of a feed whose labels are the truth, is no column.
    """
    found = by_label(measured)
    columns = [column for column in _COLUMNS if any(column[1] in metrics for metrics in measured.values())]
    headings = [*(heading for heading, _, _ in columns), "diverged"]
    return headings, {label: _cells(of_seeds, columns) for label, of_seeds in found.items()}


def _cells(found: Sequence[Mapping[str, float]], columns: Sequence[tuple[str, str, str]]) -> list[str]:
    pooled = over_seeds(found)
    shown = [with_spread(pooled, name, form) for _, name, form in columns]
    diverged = sum(metrics.get("diverged", 0.0) > 0 for metrics in found)
    return [*shown, how(found[0]) if len(found) == 1 else f"{diverged} of {len(found)}"]


def with_spread(pooled: Mapping[str, float], name: str, form: str) -> str:
    """A number of `over_seeds` and, of several seeds, ± its spread; a dash where there is none."""
    if name not in pooled:
        return "–"
    spread = pooled.get(f"{name}/spread")
    return form.format(pooled[name]) + ("" if spread is None else f" ± {form.replace('+', '').format(spread)}")


def ordered(measured: Mapping[Row, Mapping[str, float]]) -> str:
    """In how many seeds the models respond in the order of the paper; "" where that is not asked."""
    seeds = len({row.seed for row in measured})
    held = ", ".join(f"{_in_words(name)} {share * seeds:.0f}" for name, share in order(measured).items())
    if not held:
        return ""
    return f"|no signal| < |input| < |input and label| holds in so many of {seeds} seed(s): {held}"


def _in_words(name: str) -> str:
    *tower, kind = name.split("/")[1:]
    return f"{'on the paper’s tower ' if tower else ''}by {kind}"


def table(measured: Mapping[Row, Mapping[str, float]]) -> str:
    """For the terminal."""
    return f"{text_table.text('', *rows_of(measured))}\n{ordered(measured)}".rstrip()


def colours_of(rows: Sequence[Row]) -> dict[tuple[str, float | None], tuple[float, ...]]:
    """(signals, weight) -> red, green and blue: a colour for each signals, darker for a larger weight."""
    weights: dict[str, set[float | None]] = {}
    for row in rows:
        weights.setdefault(row.signals, set()).add(row.weight)
    # First the strong ones, then the pale ones beside them.
    palette = [colormaps["tab20"](n)[:3] for n in (*range(0, 20, 2), *range(1, 20, 2))]
    found = {}
    for n, (signals, of_signals) in enumerate(weights.items()):
        for place, weight in enumerate(sorted(of_signals, key=lambda weight: weight or 0.0), start=1):
            strength = _PALEST + (1 - _PALEST) * place / len(of_signals)
            found[signals, weight] = tuple(1 - strength * (1 - part) for part in palette[n % len(palette)])
    return found


def page(measured: Mapping[Row, Mapping[str, float]]) -> str:
    """The table and the gradient norms over training as one self-contained page."""
    rows = list(measured)
    colours, logged = colours_of(rows), {row: curves(row.folder("train")) for row in rows}

    def paint(figure: Figure, narrow: bool) -> None:
        panels = zip(side_by_side(figure, len(_PANELS), narrow), _PANELS.items(), strict=True)
        for axes, (title, metric) in panels:
            for row in rows:
                points = [(step, value) for step, value in logged[row].get(metric, ()) if value > 0]
                if points:
                    style = "-" if row.clip_norm is None else "--"
                    colour = colours[row.signals, row.weight]
                    axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.3, label=row.label)
            axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel("step")
        # Every row once, whatever the seeds, in whichever panel it is.
        legend = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if legend:
            columns = 2 if narrow else 5
            figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=columns, fontsize=8)

    chart = draw(paint, title="Gradient norms over training", height=3.9, phone_height=9.9, width=13.0)
    headings, cells = rows_of(measured)
    head = "".join(f"<th>{heading}</th>" for heading in ("", *headings))
    body = "".join(
        f"<tr><td>{html.escape(label)}</td>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for label, row in cells.items()
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
h1 {{ font-size: clamp(1.4rem, 5vw, 2rem); line-height: 1.25; }}
p {{ max-width: 46rem; color: #5f6a72; }}
@media (max-width: 620px) {{ .chart .wide {{ display: none; }} .chart .narrow {{ display: block; }} }}
</style></head><body>
<h1>Alternatives to the not-to-recommend loss</h1>
<p>Content, creator: change of similar items after one dislike (Wang et al., RecSys ’23, section 4); truth: of what,
by the feed’s own truth, an aversion to the item would be about. Next item: Recall@100 just before each positive;
ΔHR@10: the hit ratio of positives there less that of dislikes; dislike@100: disliked items in the top 100. Rows with
paper_tower are of the paper’s own tower; every other that reads dislikes also has Heed’s memory of them. Norms: of
the gradient before clipping, percentiles over all steps. Negative term: the norm of its gradient alone on one batch,
at the best epoch; softmax_negatives and contrastive have no such term, as their disliked items stand among the
negatives of the positives’ own, and separate_histories has that of the encoder which does not serve. The number after
-w is the weight of the negative labels, or of disliked items among the negatives of positives; unclipped: trained
without clipping gradients, dashed in the chart, whose points are of 50 steps each, and of fewer where an epoch ends.
Of several seeds: mean ± standard deviation over the trainings that came to a finite end.</p>
<p>Diverged: the loss or the gradient was not finite; or validation Recall@100 ended below half of its best; or the
training loss ended further below zero than it began above, which is not asked of REINFORCE, whose loss is a number
without a meaning.</p>
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<p>{html.escape(ordered(measured))}</p>
<figure style="margin: 2rem 0">{chart}</figure>
</body></html>
"""
