"""Rows of a table over training seeds: means with bounds, and what one row gains over another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics import intervals
from satisfaction.click_ranks import Ranks, per_user

Users = dict[str, NDArray[np.float64]]
"""Metric -> its value for each seed and user, [S, Q]."""


def by_user(seeds: Sequence[Ranks]) -> Users:
    """Every metric of each seed and user; `full/…` is among all items of the corpus."""
    each = [per_user(r.sampled) | {f"full/{name}": value for name, value in per_user(r.full).items()} for r in seeds]
    return {name: np.stack([values[name] for values in each]) for name in each[0]}


def row_figures(name: str, users: Users, main: Users | None) -> dict[str, float]:
    """`<name>/<metric>` with 95% bounds over users and seeds, of several seeds their standard deviation `/seeds_std`.

    With the main row's values also `gain_over/<name>/<metric>`: what it gains, paired over users, not over seeds.
    """
    means = {metric: intervals.over_users_and_seeds(values) for metric, values in users.items()}
    figures = intervals.flat(means, f"{name}/")
    if len(next(iter(users.values()))) > 1:
        spread = {metric: values.mean(axis=1).std(ddof=1) for metric, values in users.items()}
        figures |= {f"{name}/{metric}/seeds_std": float(value) for metric, value in spread.items()}
    if main is not None:
        gains = {m: intervals.paired_over_users_and_seeds(values, main[m]) for m, values in users.items()}
        figures |= intervals.flat(gains, f"gain_over/{name}/")
    return figures
