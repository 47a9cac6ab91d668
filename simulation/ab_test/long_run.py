"""Negative feedback and diversity in the long run: what users who say no more often are shown.

Pan et al., CIKM '23, section 3.3 and figure 4: "We calculate the 'diversity entropy' of each time window containing 100
videos from user history", with users in a low-exposure and a high-exposure group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.intervals import Interval, bootstrap, mean
from simulation.ab_test.metrics import Sums, known

_GROUPS = ("low_exposure", "high_exposure")
_SLOPE = ("slope", "low", "high")
LEAST_USERS = 30  # for a slope


def relation(sums: Sums, *, bins: Sequence[float], samples: int, seed: int) -> dict[str, Any]:
    """Mean diversity entropy by how often users dislike, for each exposure group of one arm's users [n, days].

    Users with a full window count, each with the mean entropy of its windows. Exposure: below, or at and above, the
    median impressions of these users. Bins: dislikes per 100 impressions, from bins[i] up to, and without, bins[i + 1],
    the last without end. {group: {"bins": [{"from", "users", "dislikes", "entropy", "low", "high"}], "slope", "low",
    "high"}}, slope: nats per dislike in 100 impressions, by least squares; None in groups of fewer than LEAST_USERS, of
    whom a line and its bootstrap would be those of a handful, and where all dislike alike.
    """
    total = {name: values.sum(axis=1) for name, values in sums.items()}
    counts = total["windows"] > 0
    shown = total["impressions"][counts]
    rate = 100 * total["dislikes"][counts] / np.maximum(shown, 1)
    entropy = total["window_entropy"][counts] / np.maximum(total["windows"][counts], 1)
    high = shown >= np.median(shown) if len(shown) else np.zeros(0, bool)
    options = {"samples": samples, "seed": seed}
    groups = {}
    for group, where in zip(_GROUPS, (~high, high), strict=True):
        x, y = rate[where], entropy[where]
        bin_of = np.searchsorted(np.asarray(bins, np.float64), x, side="right") - 1
        rows = []
        for n, edge in enumerate(bins):
            inside = bin_of == n
            if inside.any():
                level = mean(y[inside], **options)
                row = {"from": float(edge), "users": int(inside.sum()), "dislikes": float(x[inside].mean())}
                rows.append({**row, "entropy": level.value, "low": level.low, "high": level.high})
        slope = Interval(np.nan, np.nan, np.nan)
        if len(x) >= LEAST_USERS:
            slope = bootstrap(_slope, np.ones_like(x), x, y, x * x, x * y, **options)
        groups[group] = {"bins": rows, **{end: known(number) for end, number in zip(_SLOPE, slope, strict=True)}}
    return groups


def slopes(relations: Mapping[str, Mapping[str, Any]]) -> dict[str, Interval]:
    """`<arm>/<group>/slope` of {arm: `relation`}, where there is one."""
    return {
        f"{arm}/{group}/slope": Interval(*(related[end] for end in _SLOPE))
        for arm, groups in relations.items()
        for group, related in groups.items()
        if None not in [related[end] for end in _SLOPE]
    }


def lines(relations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each arm and exposure group that has a slope, for the terminal."""
    rows = []
    for name, slope in slopes(relations).items():
        arm, group, _ = name.rsplit("/", 2)
        title = f"Diversity, {group.replace('_', ' ')}"
        bounds = f"[{slope.low:+.3f}, {slope.high:+.3f}]"
        rows.append(f"{title:<32} {arm:<24} {slope.value:+8.3f}  {bounds}  nats per dislike in 100 impressions")
    return rows


def _slope(n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, xy: np.ndarray) -> np.ndarray:
    # Least squares from sums over users; NaN where all dislike alike.
    spread = n * xx - x * x
    return np.divide(n * xy - x * y, spread, out=np.full(spread.shape, np.nan), where=spread > 1e-9)
