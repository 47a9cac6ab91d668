"""How well scorers rank held-out clicks: among 99 sampled items, and among all; and who clicks how much."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.scored import scored
from metrics import ranking
from satisfaction.protocol import places_among
from satisfaction.saqrec.clicks import Clicks

HR_AT = (1, 5, 10)
NDCG_AT = (5, 10)
GROUPS = ("G1", "G2", "G3", "G4")

ScoreFn = Callable[[NDArray[np.int64], NDArray[np.int64]], ArrayLike]
"""Scores of every item of the corpus: (users [B], click asked for [B]) -> [B, n + 1]; column 0 is ignored."""


class Ranks(NamedTuple):
    """Of each user with a test click: its places, as metrics/ranking.py has them, among 1 + 99 items, and among all
    items the user has not clicked yet."""

    sampled: NDArray[np.float64]  # [Q, 2]
    full: NDArray[np.float64]  # [Q, 2]


def rank(score: ScoreFn, clicks: Clicks, negatives: NDArray[np.int32], *, split: str, label: str) -> Ranks:
    """Ranks of each user's first click of `split`. Errors: DataError for a score not finite."""
    users, target = clicks.targets(split)
    ranks = Ranks(np.empty((len(users), 2)), np.empty((len(users), 2)))

    def of_rows(rows: slice) -> ArrayLike:
        return score(users[rows], target[rows])

    for rows, scores in scored(of_rows, len(users), columns=clicks.num_items + 1, label=label, unit="user"):
        items = clicks.item[target[rows]]
        ranks.sampled[rows] = places_among(scores, items, negatives[rows])
        row, clicked = clicks.clicked(users[rows], target[rows])
        others = clicked != items[row]  # a click on an item clicked before counts
        excluded = (row[others], clicked[others])
        ranks.full[rows] = ranking.target_places(scores, items[:, None], excluded=excluded)[:, 0]
    return ranks


def per_user(places: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """HR@{1, 5, 10}, NDCG@{5, 10} and the reciprocal rank of one target a user, each [Q], of its places [Q, 2]."""
    column = places[:, None]  # [Q, 1, 2]
    figures = {f"hr@{k}": ranking.hit_rate(column, k) for k in HR_AT}
    figures |= {f"ndcg@{k}": ranking.ndcg(column, k) for k in NDCG_AT}
    return figures | {"mrr": ranking.reciprocal_rank(column)}


def activity_groups(clicks: Clicks, split: str) -> NDArray[np.int64]:
    """0..3 [Q] for G1..G4, quarters of the users by clicks before `split`, few to many (Zhang et al., section 5.4.1).

    Ties keep the order of users, so that the groups are of one size.
    """
    users, target = clicks.targets(split)
    count = target - clicks.offsets[users]
    place = np.empty(len(users), np.int64)
    place[np.argsort(count, kind="stable")] = np.arange(len(users))
    return place * len(GROUPS) // max(len(users), 1)
