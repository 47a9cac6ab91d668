"""A/A tests: how often a test finds a difference where there is none, from one population under one policy.

The users of one arm are split at random into halves, as if they were two arms, again and again. An interval of 95%
should leave out zero in 5% of the splits, whatever the metric.
"""

from collections.abc import Mapping

import numpy as np

from metrics.two_samples import share
from runtime.progress import progress
from simulation.ab_metrics import Metric, Sums, changes

ALPHA = 0.05  # the share of false positives that intervals of 95% should have


def false_positives(
    metrics: Mapping[str, Metric], sums: Sums, *, tests: int, samples: int, seed: int
) -> dict[str, float]:
    """`<metric>` = share of `tests` random halvings of the users [n, days] whose interval leaves out zero.

    With `/low` and `/high` (Wilson, 95%) of the share itself, and `mean`, the mean over metrics: these are of the same
    splits and not independent, so it has no interval. A metric that is undefined in a split is out of that split.
    """
    rng = np.random.default_rng(seed)
    users = len(sums["impressions"])
    found, defined = dict.fromkeys(metrics, 0), dict.fromkeys(metrics, 0)
    for n in progress(range(tests), label="A/A tests", unit="test"):
        order = rng.permutation(users)
        halves = [{name: values[part] for name, values in sums.items()} for part in np.array_split(order, 2)]
        for name, (change,) in changes(metrics, *halves, samples=samples, seed=seed + 1 + n).items():
            if np.isfinite([change.low, change.high]).all():
                defined[name] += 1
                found[name] += not change.low <= 0 <= change.high
    figures: dict[str, float] = {}
    for name in metrics:
        if defined[name]:
            figures[name], figures[f"{name}/low"], figures[f"{name}/high"] = share(found[name], defined[name])
    if figures:
        figures["mean"] = float(np.mean([figures[name] for name in metrics if name in figures]))
    return figures
