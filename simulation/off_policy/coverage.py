"""Coverage: how often the intervals of off-policy estimates hold a truth that is known.

On the synthetic feed exposures can be drawn again and again. Each seed draws moments of a fixed pool, whose users and
pasts stay the same, an item for each, and the user's reaction; the truth is the policy's own rate over that pool. So
this checks the chance of exposures and reactions. It is silent on the chance of who the people are: the intervals
resample users, as for a rate of all people there could be. Each redraw is of `config.exposures` exposures, however many
the log has.
"""

import math
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from data.timelines import Timelines
from metrics.two_samples import share
from runtime.progress import progress
from simulation.off_policy.contexts import Contexts, Policy
from simulation.off_policy.exposures import REWARDS, Exposures
from simulation.off_policy.reward_model import RewardModel
from simulation.off_policy.truth import TruthAt


def coverage(
    truth: TruthAt,
    shown: Policy,
    pool: Contexts,
    models: Mapping[str, RewardModel],
    *,
    timelines: Timelines,
    seeds: int,
    config: ConfigDict,
) -> dict[str, float]:
    """`<reward>/<estimator>/coverage`: share of `seeds` new sets of random exposures whose interval holds the truth.

    Of those sets in which the estimate is defined, as it is not where none of the exposures is in a slate: `/defined`,
    their share. With `/low` and `/high` (Wilson, 95%), `/bias`, mean estimate / truth − 1, where that is a number, and
    `<reward>/pool_truth`. `shown` is the policy in the contexts `pool`, `truth` what is known of them.
    """
    rates = truth.value(np.random.default_rng([config.seed, 2]), shown, draws=config.truth_draws)
    drawn = []
    catalogue = timelines.num_there(timelines.timestamp_ms[pool.position])
    for seed in progress(range(seeds), label="coverage", unit="seed"):
        rng = np.random.default_rng([config.seed, 3, seed])
        rows = rng.integers(len(pool), size=config.exposures)
        items = timelines.by_upload[rng.integers(catalogue[rows])]
        reactions = truth.react(rng, rows, items)
        rewards = {name: getattr(reactions, name).astype(np.float64) for name in REWARDS}
        exposures = Exposures(pool.user[rows], items, rewards, catalogue[rows])
        drawn.append(exposures.estimates(shown.at(rows), models, samples=config.bootstrap_samples, seed=seed))
    figures = {f"{name}/pool_truth": rate for name, rate in rates.items()}
    for name in drawn[0]:
        rate = rates[name.split("/")[0]]
        intervals = [estimates[name] for estimates in drawn if np.isfinite(estimates[name]).all()]
        figures[f"{name}/defined"] = len(intervals) / seeds
        if not intervals:
            continue
        covered = share(sum(interval.low <= rate <= interval.high for interval in intervals), len(intervals))
        ends = ("coverage", "coverage/low", "coverage/high")
        figures |= {f"{name}/{end}": number for end, number in zip(ends, covered, strict=True)}
        bias = sum(interval.value for interval in intervals) / len(intervals) / rate - 1 if rate else math.nan
        figures |= {f"{name}/bias": bias} if math.isfinite(bias) else {}
    return figures
