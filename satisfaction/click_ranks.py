"""How well scorers rank held-out clicks: among 99 sampled items, and among all; by activity, with paired intervals."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.scored import scored
from metrics import intervals, ranking
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


def per_user_among_all(ranks: Ranks) -> dict[str, NDArray[np.float64]]:
    """`per_user` among the sampled items and, under `full/`, among all."""
    full = {f"full/{name}": values for name, values in per_user(ranks.full).items()}
    return per_user(ranks.sampled) | full


def summarize(ranks: Ranks, *, prefix: str = "") -> dict[str, float]:
    """Means over users with 95% bounds."""
    return _means(per_user_among_all(ranks), prefix)


def compare(before: Ranks, after: Ranks, *, prefix: str, samples: int = 1000) -> dict[str, float]:
    """Mean differences after − before, paired over users, with 95% bounds."""
    was, now = per_user_among_all(before), per_user_among_all(after)
    changes = {name: intervals.difference(was[name], now[name], samples=samples) for name in was}
    return intervals.flat(changes, prefix)


def _means(values: Mapping[str, NDArray[np.float64]], prefix: str) -> dict[str, float]:
    pairs = {name: (of_users, np.ones(len(of_users))) for name, of_users in values.items()}
    return intervals.flat(intervals.ratios(pairs), prefix)


def activity_groups(clicks: Clicks, split: str) -> NDArray[np.int64]:
    """0..3 [Q] for G1..G4, quarters of the users by clicks before `split`, few to many (Zhang et al., section 5.4.1).

    Ties keep the order of users, so that the groups are of one size.
    """
    users, target = clicks.targets(split)
    count = target - clicks.offsets[users]
    place = np.empty(len(users), np.int64)
    place[np.argsort(count, kind="stable")] = np.arange(len(users))
    return place * len(GROUPS) // max(len(users), 1)


def by_group(ranks: Ranks, groups: NDArray[np.int64], *, prefix: str = "") -> dict[str, float]:
    """`G1/hr@10`, `G1/ndcg@5`, `G1/mrr`, … with bounds, of the sampled protocol."""
    figures: dict[str, float] = {}
    for number, name in enumerate(GROUPS):
        figures |= _means(per_user(ranks.sampled[groups == number]), f"{prefix}{name}/")
    return figures


def flat_rows(rows: Mapping[str, Ranks], *, main: str, groups: NDArray[Any]) -> dict[str, float]:
    """All figures of metrics.json: the main model's without a prefix, the others' under their name, and what the main
    model gains over each, paired, under `gain_over/<name>/`."""
    figures: dict[str, float] = {}
    for name, ranks in rows.items():
        prefix = "" if name == main else f"{name}/"
        figures |= summarize(ranks, prefix=prefix) | by_group(ranks, groups, prefix=prefix)
        if name != main:
            figures |= compare(ranks, rows[main], prefix=f"gain_over/{name}/")
    return figures
