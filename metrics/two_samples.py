"""Intervals for an A/B test: two groups of different users, every figure a ratio of sums over users.

Where `metrics/intervals.py` pairs two models on the same users, here nobody is in both groups, so each group is
resampled on its own (Efron and Tibshirani, 1993, chapter 8: the two-sample problem). A figure's many
columns (metrics, days) are seen on the same drawn users, at the cost of one matrix product.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.intervals import Interval, divide, of_resamples, sums


def relative_changes(
    control: tuple[ArrayLike, ArrayLike],
    treatment: tuple[ArrayLike, ArrayLike],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    least_users: int = 10,
) -> list[Interval]:
    """(Σ_t numerators / Σ_t denominators) / (Σ_c numerators / Σ_c denominators) − 1 for each of M figures.

    NaN where it is undefined. Percentile bootstrap, users of the two groups drawn independently; resamples in which a
    figure is undefined are left out of its interval.

    Args:
      control, treatment: (numerators [U, M], denominators [U, M]) of the users in each group; finite.
      samples: resamples. seed: equal inputs and seeds give equal bounds.
      least_users: a figure with fewer users behind its numerator or denominator, in either group, is undefined: of a
        handful a bootstrap knows no spread, and of none it would claim to be certain.
    """
    if not 0 < level < 1 or samples < 1:
        raise ValueError(f"level = {level}, samples = {samples}: level between 0 and 1, at least 1 sample")
    rng = np.random.default_rng(seed)
    before, after = (_ratios(group, samples=samples, rng=rng) for group in (control, treatment))
    behind = [np.count_nonzero(part, axis=0) for group in (control, treatment) for part in group]
    known = np.min(behind, axis=0) >= least_users  # [M]
    changes = np.where(known, divide(after, before) - 1, np.nan)  # [1 + samples, M]
    return [of_resamples(change, level=level) for change in changes.T]


def share(hits: float, trials: float, *, level: float = 0.95) -> Interval:
    """hits / trials with Wilson's score interval (Wilson, 1927), which holds for few trials and shares near 0 or 1.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n). NaN for less than one trial.
    """
    if trials < 1:
        return Interval(np.nan, np.nan, np.nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return Interval(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def _ratios(group: tuple[ArrayLike, ArrayLike], *, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    # [1 + samples, M]: of the users themselves, then of each resample.
    numerators, denominators = (np.asarray(part, np.float64) for part in group)
    if numerators.ndim != 2 or numerators.shape != denominators.shape:
        raise ValueError(f"numerators {numerators.shape} and denominators {denominators.shape} are both [U, M]")
    top, bottom = np.split(sums([*numerators.T, *denominators.T], samples=samples, seed=rng), 2)  # [M, 1 + samples]
    return divide(top, bottom).T
