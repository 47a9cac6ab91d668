"""The popularity baseline: how often an item drew each feedback on the training days, the same for every user."""

from collections.abc import Sequence

import numpy as np

from data.impressions import ranked_positions
from data.rates import smoothed_by_group
from data.timelines import Timelines
from ranking.predictions import KnownProbabilities
from ranking.tasks import Labels

PRIOR_COUNT = 20.0  # impressions that the rate of all items weighs


def popularity(timelines: Timelines, tasks: Sequence[str], labels: Labels) -> KnownProbabilities:
    """(Σ y + m·p) / (n + m) of the item's training impressions, p the rate of all items.

    Args: labels of every event of the log, [E, K] in the order of the tasks.
    """
    train = ranked_positions(timelines, "train")
    rates = np.empty((timelines.num_items + 1, len(tasks)), np.float32)
    for k in range(len(tasks)):
        known = train[labels.where[train, k]]
        values = labels.values[known, k].astype(np.float64)
        rate = values.mean() if len(values) else 0.5
        rates[:, k] = smoothed_by_group(
            timelines.item[known], values, num_groups=len(rates), prior_rate=rate, prior_count=PRIOR_COUNT
        )
    return KnownProbabilities(tuple(tasks), rates[timelines.item])
