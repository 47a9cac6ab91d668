"""Negative feedback and diversity in the long run: what users who say no more often are shown.

Pan et al., CIKM '23, section 3.3 and figure 4: "We calculate the 'diversity entropy' of each time window containing 100
videos from user history", with users in a low-exposure and a high-exposure group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.intervals import bootstrap, mean
from simulation.ab_test.metrics import Sums

_GROUPS = ("low_exposure", "high_exposure")
_ENDS = {"": "slope", "/low": "low", "/high": "high"}


def relation(sums: Sums, *, bins: Sequence[float], samples: int, seed: int) -> dict[str, Any]:
    """Mean diversity entropy by how often users dislike, for each exposure group of one arm's users [n, days].

    Users with a full window count, each with the mean entropy of its windows. Exposure: below, or at and above, the
    median impressions of these users. Bins: dislikes per 100 impressions, from bins[i] up to, and without, bins[i + 1],
    the last without end. {group: {"bins": [{"from", "users", "dislikes", "entropy", "low", "high"}], "slope", "low",
    "high"}}, slope: nats per dislike in 100 impressions, by least squares.
    """
    total = {name: values.sum(axis=1) for name, values in sums.items()}
    counts = total["windows"] > 0
    shown = total["impressions"][counts]
    rate = 100 * total["dislikes"][counts] / np.maximum(shown, 1)
    entropy = total["window_entropy"][counts] / np.maximum(total["windows"][counts], 1)
    high = shown >= np.median(shown) if len(shown) else np.zeros(0, bool)
    options = {"samples": samples, "seed": seed}
    found = {}
    for group, where in zip(_GROUPS, (~high, high), strict=True):
        x, y = rate[where], entropy[where]
        bin_of = np.searchsorted(np.asarray(bins, np.float64), x, side="right") - 1
        rows = []
        for n, edge in enumerate(bins):
            inside = bin_of == n
            if inside.any():
                level = mean(y[inside], **options)
                rows.append(
                    {
                        "from": float(edge),
                        "users": int(inside.sum()),
                        "dislikes": float(x[inside].mean()),
                        "entropy": level.value,
                        "low": level.low,
                        "high": level.high,
                    }
                )
        slope = bootstrap(_slope, np.ones_like(x), x, y, x * x, x * y, **options)
        found[group] = {"bins": rows, **{k: _number(v) for k, v in zip(("slope", "low", "high"), slope, strict=True)}}
    return found


def flat(relations: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """`<arm>/<group>/slope` with `/low` and `/high`, of {arm: `relation`}; where users dislike alike there is none."""
    figures: dict[str, float] = {}
    for arm, groups in relations.items():
        for group, found in groups.items():
            ends = {f"{arm}/{group}/slope{end}": found[key] for end, key in _ENDS.items()}
            figures |= ends if None not in ends.values() else {}
    return figures


def lines(relations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each arm and exposure group that has a slope, for the terminal."""
    return [
        f"{f'Diversity, {group}'.replace('_', ' '):<32} {arm:<24} {found['slope']:+8.3f}  "
        f"[{found['low']:+.3f}, {found['high']:+.3f}]  nats per dislike in 100 impressions"
        for arm, groups in relations.items()
        for group, found in groups.items()
        if None not in (found["slope"], found["low"], found["high"])
    ]


def _slope(n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, xy: np.ndarray) -> np.ndarray:
    # Least squares from sums over users; NaN where all dislike alike.
    spread = n * xx - x * x
    return np.divide(n * xy - x * y, spread, out=np.full(spread.shape, np.nan), where=spread > 1e-9)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON has no NaN
