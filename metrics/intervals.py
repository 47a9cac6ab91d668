"""Confidence intervals over users: everything a ratio of sums, every interval the same bootstrap.

Users are drawn with replacement, so that a user's events, which hang together, come or stay away together (Efron and
Tibshirani, 1993, chapter 13: percentile intervals). Comparing two models, both are seen on the same drawn users, which
takes out what users differ by: intervals of differences are much narrower than the difference of two intervals.

All functions take per-user arrays [U] and are deterministic in (inputs, seed). Time and memory: samples × U draws, in
blocks of 4 million. Without users, or where the statistic is 0 / 0, the figures are NaN.

What is no ratio of sums (the AUC) is a function of how often each user is drawn: `resampled` gives its values, those of
two models on the same drawn users, and `of_resamples` the interval of one, or of the difference of two.

A training has a seed, and another seed gives other figures. What a method gains, and not one training of it, has an
interval over users and seeds: `over_users_and_seeds`, `paired_over_users_and_seeds`, and for what is no mean over users
`over_seeds`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

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
    return of_resamples(statistic(*sums(columns, samples=samples, seed=seed)), level=level)


def resampled(
    statistic: Callable[[NDArray[np.float64]], ArrayLike], num_users: int, *, samples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """`statistic` of all users, then of each resample: [1 + samples], or [1 + samples, M] of M statistics together.

    `statistic` maps how often each user is drawn [R, U] to [R] or [R, M], NaN where it is undefined. Equal num_users,
    samples and seed draw the same users, so that two such arrays may be subtracted: the paired difference.
    """
    own = np.asarray(statistic(np.ones((1, num_users))), np.float64)
    return np.concatenate([own, *(statistic(times) for times in draws(num_users, samples=samples, seed=seed))])


def of_resamples(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """The figure and its percentile interval of what `resampled` gives, or of the difference of two such arrays."""
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: between 0 and 1")
    values = np.asarray(values, np.float64)
    value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not np.isfinite(value) or not len(drawn):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def ratios(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], *, samples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """`ratio` of many (numerators, denominators) at the cost of one: all are seen on the same drawn users."""
    both = sums([column for pair in pairs.values() for column in pair], samples=samples, seed=seed)
    return {name: of_resamples(divide(*both[2 * n : 2 * n + 2]), level=level) for n, name in enumerate(pairs)}


def mean(values: ArrayLike, *, where: ArrayLike | None = None, **options) -> Interval:
    """Mean over the users in `where` [U] (all by default). `options` are those of `bootstrap`, here and below."""
    values = np.asarray(values, np.float64)
    where = np.ones(values.shape, bool) if where is None else np.asarray(where, bool)
    return bootstrap(divide, np.where(where, values, 0.0), where, **options)


def ratio(numerators: ArrayLike, denominators: ArrayLike, **options) -> Interval:
    """Σ_u numerators / Σ_u denominators: a pooled share, such as hits of all users over items of all users."""
    return bootstrap(divide, numerators, denominators, **options)


def difference_of_ratios(
    before: tuple[ArrayLike, ArrayLike], after: tuple[ArrayLike, ArrayLike], **options
) -> Interval:
    """`ratio` of after − `ratio` of before, each (numerators, denominators): two pooled shares of the same users."""
    return bootstrap(lambda a, b, c, d: divide(c, d) - divide(a, b), *before, *after, **options)


def relative_change(before: ArrayLike, after: ArrayLike, **options) -> Interval:
    """Σ_u after / Σ_u before − 1 with the same users drawn in both: −0.1 is 10% less.

    For a pooled share give the numerators: the denominators are the same on both sides and cancel.
    """
    return bootstrap(lambda old, new: divide(new, old) - 1, before, after, **options)


def difference(before: ArrayLike, after: ArrayLike, **options) -> Interval:
    """Mean over users of after − before."""
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    return mean(change, **options)


def over_seeds(values: ArrayLike, *, seed: int = 0, row: int = 0) -> NDArray[np.float64]:
    """The mean over S trainings of what `resampled` gives for each, [S, 1 + samples]: over users and seeds.

        first  v̄ = mean_s v_s,    in resample r  mean_s v_s(r) + t(r) · sd_s(v_s) / √S

    Users are drawn, seeds are not: of three values a percentile interval holds the truth three times in four. Instead
    the mean over seeds has Student's distribution, t(r) of S − 1 degrees of freedom, so that few seeds give wide
    intervals; the difference of two rows then has that of Behrens and Fisher. One training (or a rule, which has no
    seed) has an interval over users alone.

    Args:
      row: another number for each of the rows that are subtracted: their trainings differ by chance independently.
    Returns:
      [1 + samples], for `of_resamples`, or to be subtracted first.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"values {values.shape} are [S, 1 + samples], of at least one seed")
    seeds, means = len(values), values.mean(axis=0)
    if seeds > 1:
        chance = np.random.default_rng([seed, row]).standard_t(seeds - 1, size=len(means) - 1)
        means[1:] += chance * values[:, 0].std(ddof=1) / np.sqrt(seeds)
    return means


def over_users_and_seeds(
    values: Mapping[str, ArrayLike], *, samples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Mean of each of `values` [S, U], a row of users for each training; the interval of `over_seeds`.

    All are seen on the same drawn users, at the cost of one. Of two rows whose trainings belong together seed by seed,
    such as a model and what it was started from, give the differences; of others take `paired_over_users_and_seeds`.
    """
    means = _means_of_seeds(values, samples=samples, seed=seed)
    return {name: of_resamples(over_seeds(one, seed=seed), level=level) for name, one in means.items()}


def paired_over_users_and_seeds(
    before: Mapping[str, ArrayLike],
    after: Mapping[str, ArrayLike],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Mean of each of after [S, U] − before [S', U]: paired by users, who are the same in both, and not by seeds.

    The interval of `over_seeds`. A rule without seed is one row, [1, U]. Errors: ValueError for other users, or NaN.
    """
    for name, values in before.items():
        if np.shape(values)[1:] != np.shape(after[name])[1:]:
            shapes = f"before {np.shape(values)} and after {np.shape(after[name])}"
            raise ValueError(f"{name}: {shapes} are [seeds, users] of the same users")
    old, new = (_means_of_seeds(values, samples=samples, seed=seed) for values in (before, after))
    gains = {name: over_seeds(new[name], seed=seed, row=1) - over_seeds(old[name], seed=seed) for name in before}
    return {name: of_resamples(gain, level=level) for name, gain in gains.items()}


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


def draws(users: int, *, samples: int, seed: int | np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each of U users is drawn in each resample of U users, with replacement: blocks of rows of [samples, U].

    seed: a number, or a source of chance that goes on from where it stands. Errors: ValueError for no sample.
    """
    if samples < 1:
        raise ValueError(f"samples = {samples}: at least 1")
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // max(1, users))
    for start in range(0, samples, rows):
        block = min(rows, samples - start)
        if not users:
            yield np.zeros((block, 0))
            continue
        chosen = rng.integers(users, size=(block, users)) + users * np.arange(block)[:, None]
        times = np.bincount(chosen.ravel(), minlength=block * users).reshape(block, users)
        yield times.astype(np.float64)


def flat(figures: Mapping[str, Interval], prefix: str = "") -> dict[str, float]:
    """name -> number and bounds as `name/low`, `name/high`, as metrics.json has them; undefined figures left out."""
    return {
        f"{prefix}{name}{end}": float(number)
        for name, figure in figures.items()
        if np.isfinite(figure.value)
        for end, number in zip(("", "/low", "/high"), figure, strict=True)
    }


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """numerator / denominator, NaN where that is 0: what is undefined, as every function here has it."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def sums(columns: Sequence[ArrayLike], *, samples: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
    """Of C columns [U] their sums over the users, then over each resample of the users: [C, 1 + samples].

    Errors: ValueError for NaN and infinity.
    """
    data = np.stack([np.asarray(column, np.float64) for column in columns])  # [C, U]
    if data.ndim != 2:
        raise ValueError(f"a per-user array is [U], not {data.shape[1:]}")
    if not np.isfinite(data).all():
        raise ValueError("a per-user array holds NaN or infinity: mask such users out with `where`")
    drawn = [times @ data.T for times in draws(data.shape[1], samples=samples, seed=seed)]
    return np.concatenate([data.sum(axis=1)[None], *drawn]).T


def _means_of_seeds(values: Mapping[str, ArrayLike], *, samples: int, seed: int) -> dict[str, NDArray[np.float64]]:
    # Each [S, U] -> [S, 1 + samples]: of each seed the mean over all users and over each resample of them.
    rows = {name: np.asarray(one) for name, one in values.items()}
    if any(one.ndim != 2 for one in rows.values()):
        raise ValueError(f"values {[one.shape for one in rows.values()]} are each [seeds, users]")
    together = np.concatenate([*rows.values()])  # [ΣS, U]
    *totals, users = sums([*together, np.ones(together.shape[1])], samples=samples, seed=seed)
    means = np.stack([divide(total, users) for total in totals])  # [ΣS, 1 + samples]
    ends = np.cumsum([len(one) for one in rows.values()])
    return dict(zip(rows, np.split(means, ends[:-1]), strict=True))
