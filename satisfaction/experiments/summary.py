"""Tables of trained models: means over training seeds with bounds, and what one row gains over another."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metrics import intervals
from satisfaction.click_ranks import GROUPS, Ranks, per_user

Users = dict[str, NDArray[np.float64]]
"""Metric -> its value for each seed and user, [S, Q]."""


def by_user(seeds: Sequence[Ranks]) -> Users:
    """Every metric of each seed and user, among the sampled items; `full/…` is among all items of the corpus."""
    each = [
        per_user(ranks.sampled) | {f"full/{name}": values for name, values in per_user(ranks.full).items()}
        for ranks in seeds
    ]
    return {name: np.stack([values[name] for values in each]) for name in each[0]}


def row_figures(name: str, users: Users, main: Users | None) -> dict[str, float]:
    """`<name>/<metric>` with 95% bounds over users and seeds, of several seeds their standard deviation `/seeds_std`.

    Without a name they are `<metric>`. With the main row's values also `gain_over/<name>/<metric>`: what it gains,
    paired over users, not over seeds.
    """
    prefix = f"{name}/" if name else ""
    figures = intervals.flat(intervals.over_users_and_seeds(users), prefix)
    if len(next(iter(users.values()))) > 1:
        spread = {metric: values.mean(axis=1).std(ddof=1) for metric, values in users.items()}
        figures |= {f"{prefix}{metric}/seeds_std": float(value) for metric, value in spread.items()}
    if main is not None:
        figures |= intervals.flat(intervals.paired_over_users_and_seeds(users, main), f"gain_over/{prefix}")
    return figures


def figures_by_activity(rows: Mapping[str, Ranks], *, main: str, groups: NDArray[np.int64]) -> dict[str, float]:
    """`row_figures` of one training each, the main row's without a name, and below them those among the sampled items
    of each of GROUPS: `G1/hr@10`, `<row>/G1/mrr`, …. `groups` [Q]."""
    users = {name: by_user([ranks]) for name, ranks in rows.items()}
    figures: dict[str, float] = {}
    for name, values in users.items():
        figures |= row_figures("", values, None) if name == main else row_figures(name, values, users[main])
        sampled = {metric: each for metric, each in values.items() if not metric.startswith("full/")}
        for number, group in enumerate(GROUPS):
            inside = {metric: each[:, groups == number] for metric, each in sampled.items()}
            figures |= row_figures(group if name == main else f"{name}/{group}", inside, None)
    return figures


def table(
    metrics: Mapping[str, float],
    rows: Mapping[str, str],
    columns: Sequence[str],
    *,
    title: str = "",
    gains: Sequence[str] = (),
    gain_over: str = "gain_over/",
) -> str:
    """A Markdown table; a dash where there is no figure.

    Args:
      rows: name -> what stands before the names of its metrics. columns: metrics that are shown.
      gains: those of which it is shown what the main row gains over each, with bounds: `gain_over` + row + metric.
    """
    heads = [title, *columns, *(f"gain in {metric}" for metric in gains)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, prefix in rows.items():
        values = [metrics.get(prefix + metric) for metric in columns]
        cells = [name, *("–" if value is None else f"{value:.4f}" for value in values)]
        for key in (f"{gain_over}{name}/{metric}" for metric in gains):
            value, low, high = (metrics.get(name, np.nan) for name in (key, f"{key}/low", f"{key}/high"))
            cells.append("" if np.isnan(value) else f"{value:+.4f} [{low:+.4f}, {high:+.4f}]")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
