"""The popularity baseline: how often an item drew each feedback on the training days, the same for every user."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.impressions import ranked_positions
from data.rates import smoothed_by_group
from data.timelines import Timelines
from ranking.tasks import Labels

PRIOR_COUNT = 20.0  # impressions that the rate of all items weighs


class Popularity:
    """Predicts (Σ y + m·p) / (n + m) of the item's training impressions, p the rate of all items."""

    def __init__(self, timelines: Timelines, tasks: Sequence[str], labels: Labels):
        """Args: labels of every event of the log, [E, K] in the order of the tasks."""
        self.tasks = tuple(tasks)
        train = ranked_positions(timelines, "train")
        self._item = timelines.item
        self._rates = np.empty((timelines.num_items + 1, len(self.tasks)), np.float32)
        for k in range(len(self.tasks)):
            known = train[labels.where[train, k]]
            values = labels.values[known, k].astype(np.float64)
            rate = values.mean() if len(values) else 0.5
            self._rates[:, k] = smoothed_by_group(
                timelines.item[known], values, num_groups=len(self._rates), prior_rate=rate, prior_count=PRIOR_COUNT
            )

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K] of the impressions at event positions [n]."""
        return self._rates[self._item[positions]]
