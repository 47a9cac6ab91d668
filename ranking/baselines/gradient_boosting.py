"""LightGBM, one model for each task, on the features of tree_features.py: what a practitioner would use instead.

Learns from the training days; the validation days say when to stop. The settings are of a plateau on the validation
days of KuaiRand-Pure. Tried one by one, each on EVV or on GVV: 15 leaves at a rate of 0.08, a rate of 0.03 with 15% of
the features a tree, 60% of them, 400 examples a leaf with a penalty of 30, and no ids. Each moved AUC by at most .002
and GAUC by at most .006, none both upwards.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.impressions import ranked_positions
from data.timelines import Timelines
from ranking.baselines import tree_features
from ranking.log_statistics import LogStatistics
from ranking.tasks import Labels
from runtime.errors import UsageError
from runtime.progress import progress

SETTINGS: dict[str, Any] = {
    "objective": "cross_entropy",  # the logloss of labels in [0, 1]
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "cat_smooth": 50.0,
    "cat_l2": 50.0,
    "min_data_per_group": 200,
    "num_threads": 1,  # on two busy cores, two threads wait for each other: 39 times slower
}
MAX_ROUNDS = 600
PATIENCE = 40  # rounds without a better logloss on the validation days


class GradientBoosting:
    """Trained trees for each of `tasks`, in their order; predicts as ranking.checkpoint.Ranker does."""

    def __init__(self, tasks: Sequence[str], boosters: Sequence[Any], timelines: Timelines, statistics: LogStatistics):
        self.tasks = tuple(tasks)
        self.boosters = tuple(boosters)
        self._timelines, self._statistics = timelines, statistics

    def predict(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, K] of the impressions at event positions [n]."""
        values = tree_features.build(self._timelines, self._statistics, np.asarray(positions, np.int64)).values
        return np.stack([booster.predict(values) for booster in self.boosters], axis=1).astype(np.float32)


def fit(
    timelines: Timelines,
    statistics: LogStatistics,
    tasks: Sequence[str],
    labels: Labels,
    *,
    settings: dict[str, Any] | None = None,
    max_rounds: int = MAX_ROUNDS,
    seed: int = 0,
) -> GradientBoosting:
    """Trees for each task; `settings` are added to SETTINGS.

    Args: labels of every event of the log, [E, K] in the order of the tasks.
    Errors: UsageError where LightGBM cannot be loaded, with what is missing.
    """
    lightgbm = _lightgbm()
    train, valid = ranked_positions(timelines, "train"), ranked_positions(timelines, "valid")
    table = tree_features.build(timelines, statistics, np.concatenate([train, valid]))
    categories = [table.names.index(name) for name in table.categories]
    parts = {"train": (table.values[: len(train)], train), "valid": (table.values[len(train) :], valid)}
    options = {**SETTINGS, "verbosity": -1, "seed": seed, "deterministic": True, **(settings or {})}
    boosters = []
    for column in progress(range(len(tasks)), label="lightgbm", unit="task"):
        data: Any = None
        for values, positions in parts.values():
            where = labels.where[positions, column]
            data, trained = (
                lightgbm.Dataset(
                    values[where],
                    labels.values[positions, column][where],
                    # By place: LightGBM refuses names with commas, colons, quotes or brackets.
                    categorical_feature=categories,
                    reference=data,
                    params=options,
                ),
                data,
            )
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        boosters.append(lightgbm.train(options, trained, max_rounds, valid_sets=[data], callbacks=[stop]))
    return GradientBoosting(tasks, boosters, timelines, statistics)


def _lightgbm() -> Any:
    try:
        import lightgbm
    except OSError as error:  # its library is there, and a library that it needs is not
        raise UsageError(
            f"LightGBM cannot be loaded ({error}): install the OpenMP runtime (Debian, Ubuntu: apt install libgomp1; "
            "Fedora: dnf install libgomp), or leave this row out with --nolightgbm"
        ) from None
    return lightgbm
