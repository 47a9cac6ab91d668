"""Confidence intervals over users: everything a ratio of sums, every interval the same bootstrap.

Users are drawn with replacement, so that a user's events, which hang together, come or stay away together (Efron and
Tibshirani, 1993, chapter 13: percentile intervals). Comparing two models, both are seen on the same drawn users, which
takes out what users differ by: intervals of differences are much narrower than the difference of two intervals.

All functions take per-user arrays [U] and are deterministic in (inputs, seed). Time and memory: samples × U draws, in
blocks of 4 million. Without users, or where the statistic is 0 / 0, the figures are NaN.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1 << 22  # draws held at a time


class Interval(NamedTuple):
    """A figure and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[..., NDArray[np.float64]],
    *columns: ArrayLike,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of `statistic(Σ_u columns[0], Σ_u columns[1], …)`.

    Args:
      statistic: maps sums over users, each [R], to [R]. NaN says that it is undefined; such resamples are left out.
      columns: per-user arrays [U]; users are drawn whole, the same ones in every column.
    """
    data = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)  # [U, C]
    if data.ndim != 2:
        raise ValueError(f"columns are per-user arrays [U]; one has shape {data.shape[:1] + data.shape[2:]}")
    if not np.isfinite(data).all():
        raise ValueError("a per-user array holds NaN or infinity: mask such users out with `where`")
    if samples < 1 or not 0 < level < 1:
        raise ValueError(f"samples = {samples} must be at least 1, level = {level} between 0 and 1")
    value = float(statistic(*data.sum(axis=0, keepdims=True).T)[0])
    if not np.isfinite(value):
        return Interval(value, np.nan, np.nan)
    drawn = statistic(*_resampled_sums(data, samples=samples, seed=seed).T)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def mean(values: ArrayLike, *, where: ArrayLike | None = None, **options) -> Interval:
    """Mean over the users in `where` [U] (all by default). `options` are those of `bootstrap`, here and below."""
    values = np.asarray(values, np.float64)
    where = np.ones(values.shape, bool) if where is None else np.asarray(where, bool)
    return bootstrap(_divide, np.where(where, values, 0.0), where, **options)


def ratio(numerators: ArrayLike, denominators: ArrayLike, **options) -> Interval:
    """Σ_u numerators / Σ_u denominators: a pooled share, such as hits of all users over items of all users."""
    return bootstrap(_divide, numerators, denominators, **options)


def relative_change(before: ArrayLike, after: ArrayLike, **options) -> Interval:
    """Σ_u after / Σ_u before − 1 with the same users drawn in both: −0.1 is 10% less.

    For a pooled share give the numerators: the denominators are the same on both sides and cancel.
    """
    return bootstrap(lambda old, new: _divide(new, old) - 1, before, after, **options)


def difference(before: ArrayLike, after: ArrayLike, **options) -> Interval:
    """Mean over users of after − before."""
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    return mean(change, **options)


def jackknife(value: float, without: ArrayLike, *, level: float = 0.95) -> Interval:
    """value ± z · standard error, from the values [U] that it takes when each user is left out (Efron, 1979).

    For figures that are no ratio of sums and that a bootstrap would bias, such as counts of distinct things: a resample
    holds only 63% of the users.
    """
    without = np.asarray(without, np.float64)
    if not len(without):
        return Interval(value, np.nan, np.nan)
    error = np.sqrt((len(without) - 1) * np.var(without))
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(value, value - half, value + half)


def _resampled_sums(data: NDArray[np.float64], *, samples: int, seed: int) -> NDArray[np.float64]:
    users, rng = len(data), np.random.default_rng(seed)
    sums = np.empty((samples, data.shape[1]))
    rows = max(1, _BLOCK // users)
    for start in range(0, samples, rows):
        block = min(rows, samples - start)
        drawn = rng.integers(users, size=(block, users)) + users * np.arange(block)[:, None]
        times = np.bincount(drawn.ravel(), minlength=block * users).reshape(block, users)
        sums[start : start + block] = times @ data
    return sums


def _divide(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)
