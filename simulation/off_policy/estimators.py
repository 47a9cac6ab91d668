"""Off-policy estimates of a policy's reward rate from exposures whose propensities are known.

n exposures of items a_i in contexts x_i, drawn with propensity μ(a_i), rewards r_i, the evaluated policy π:

    w_i   = π(a_i | x_i) / μ(a_i)
    IPS   = 1/n Σ w_i r_i                                          (Horvitz and Thompson, 1952)
    SNIPS = Σ w_i r_i / Σ w_i                                      (Swaminathan and Joachims, NeurIPS '15)
    DR    = 1/n Σ [ Σ_y π(y | x_i) q(x_i, y) + w_i (r_i − q(x_i, a_i)) ]    (Dudík et al., ICML '11)

IPS and DR are unbiased where π(y | x) > 0 implies μ(y) > 0; DR with any reward model q that has not seen the r_i. All
three are ratios of sums, so their intervals are the bootstrap over users of `metrics/intervals.py`. A bootstrap that
has seen two dislikes, or none, knows nothing of those it has missed: so each interval is widened, where it is narrower,
to Wilson's score interval of the SNIPS rate at the effective number of exposures, laid around the estimate. Rewards are
therefore 0 or 1.
"""

from collections.abc import Mapping

import numpy as np

from metrics.intervals import Interval, ratios
from metrics.two_samples import share

ESTIMATORS = ("ips", "snips", "dr")


def estimate(
    weights: np.ndarray,
    rewards: Mapping[str, np.ndarray],
    predicted: Mapping[str, tuple[np.ndarray, np.ndarray]],
    users: np.ndarray,
    *,
    samples: int,
    seed: int,
) -> dict[str, Interval]:
    """`<reward>/<estimator>` with 95% intervals; NaN where no exposure is of an item that the policy shows.

    Args:
      weights: w [n]. rewards: name -> r [n], 0 or 1. users: whose exposures they are [n], any ints.
      predicted: name -> (Σ_y π(y | x) q(x, y) [n], q(x, a) [n]).
    """
    groups, user = np.unique(users, return_inverse=True)

    def by_user(values: np.ndarray) -> np.ndarray:
        return np.bincount(user, weights=values, minlength=len(groups))

    exposures, weight = by_user(np.ones(len(weights))), by_user(weights)
    pairs = {}
    for name, reward in rewards.items():
        of_policy, of_item = predicted[name]
        weighted = by_user(weights * reward)
        pairs[f"{name}/ips"] = (weighted, exposures)
        pairs[f"{name}/snips"] = (weighted, weight)
        pairs[f"{name}/dr"] = (by_user(of_policy + weights * (reward - of_item)), exposures)
    intervals = ratios(pairs, samples=samples, seed=seed)
    effective = effective_size(weights)
    return {
        f"{name}/{estimator}": _widened(intervals[f"{name}/{estimator}"], intervals[f"{name}/snips"].value, effective)
        for name in rewards
        for estimator in ESTIMATORS
    }


def effective_size(weights: np.ndarray) -> float:
    """(Σ w)² / Σ w²: how many exposures of the policy itself these are worth (Kish, 1965); 0 where all weights are."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _widened(interval: Interval, rate: float, effective: float) -> Interval:
    least = share(rate * effective, effective)
    if not np.isfinite(least.value):
        return Interval(np.nan, np.nan, np.nan)
    below, above = interval.value + least.low - rate, interval.value + least.high - rate
    return Interval(interval.value, min(interval.low, below), max(interval.high, above))
