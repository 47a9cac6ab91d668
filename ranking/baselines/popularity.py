"""The popularity baseline: how often an item has drawn each feedback so far, the same for every user."""

from collections.abc import Sequence

import numpy as np

from data.impressions import ranked_positions
from data.rates import Rates
from data.timelines import Timelines
from ranking.predictions import KnownProbabilities
from ranking.tasks import Labels

PRIOR_COUNT = 20.0  # impressions that the rate of all items weighs


def popularity(timelines: Timelines, tasks: Sequence[str], labels: Labels) -> KnownProbabilities:
    """(Σ y + m·p) / (n + m) of the item's impressions strictly before the moment, p the rate of training impressions.

    The rows beside it count so too, up to the moment that they are asked at.

    Args: labels of every event of the log, [E, K] in the order of the tasks.
    """
    train = ranked_positions(timelines, "train")
    is_known = labels.where & (timelines.timestamp_ms > 0)[:, None]
    values = np.where(is_known, labels.values, np.nan).astype(np.float64)  # [E, K]
    number = is_known[train].sum(axis=0)
    prior = np.where(number > 0, np.nansum(values[train], axis=0) / np.maximum(number, 1), 0.5)
    rates = Rates(timelines.item, values, timelines.timestamp_ms, prior_rate=prior, prior_count=PRIOR_COUNT)
    so_far = rates.at(timelines.item, timelines.timestamp_ms)[:, : len(tasks)]
    return KnownProbabilities(tuple(tasks), so_far.astype(np.float32))
