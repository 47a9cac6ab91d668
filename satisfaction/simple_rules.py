"""Popularity and item-kNN, each at its best on the validation clicks: what a model has to beat first.

The rules of metrics/simple_rules.py, asked just before a click, of what was known then:

    n_j   clicks on item j of the whole log, or those of late, each counting half after so many days
    near  the different items of the user's last clicks

Which days, how many clicks are read and the power: those of `RULES` that have the best MRR on the validation clicks
among 99 items. Rules get a budget of tuning as models do.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from metrics import ranking, simple_rules
from metrics.simple_rules import Parts, Rule, Scores, Settings, grid
from runtime.progress import chunks
from satisfaction.click_ranks import ScoreFn
from satisfaction.protocol import draw_negatives
from satisfaction.saqrec.clicks import Clicks
from satisfaction.saqrec.popularity import HALF_LIVES, before_periods

NEIGHBOURS = 2_000
_SCORES = 1 << 24  # of some users at a time
DAYS = (*HALF_LIVES, 0)  # after which a click counts half, 0 for never
READ = (3, 5, 10, 20, 50, 0)  # last clicks, 0 for all
RULES = {
    "popularity": Rule(simple_rules.popularity, grid(days=DAYS)),
    "item_knn": Rule(simple_rules.item_knn, grid(read=READ)),
    "item_knn_popularity": Rule(
        simple_rules.item_knn_popularity, grid(read=READ, days=DAYS, power=(0.125, 0.25, 0.5, 1.0))
    ),
}


@dataclasses.dataclass(frozen=True)
class Known:
    """What was known when the first clicks of a split were asked for."""

    clicks: Clicks
    counts: NDArray[np.float32]  # [P, n + 1, DAYS], before each period
    period: NDArray[np.int32]  # [C]
    similarities: sp.csr_matrix  # [n + m + 1, n + 1]

    def parts(
        self, users: NDArray[np.int64], before: NDArray[np.int64], items: NDArray[np.integer] | None = None
    ) -> Parts:
        """What the rules are made of just before some clicks [B], of all items [B, n + 1], or of some [B, K]."""

        def popularity(days: float) -> Scores:
            return of_items(self.counts[self.period[before], :, DAYS.index(days)])

        def near(read: float) -> Scores:
            row, place = ranges.last(self.clicks.offsets[users], before, int(read))
            item = self.clicks.item[place]
            return of_items(simple_rules.nearness(row, item, self.similarities, num_rows=len(users)))

        def of_items(scores: Scores) -> Scores:
            return scores if items is None else np.take_along_axis(scores, items, axis=1)

        return Parts(near, popularity)


def known(clicks: Clicks, timelines: Timelines, *, split: str) -> Known:
    """All clicks before those of `split`: before the test split's the validation clicks too."""
    user = clicks.user()
    before = np.arange(len(clicks.item)) < clicks.starts(split)[user]
    counts, period = before_periods(clicks, timelines, before)
    counts = np.roll(counts, -1, axis=-1)  # of all time last, in the place of what earlier history counts
    dated = before & (clicks.target > 0) & (period > 0)
    counts[..., -1] = simple_rules.counts(clicks.item[dated], num_items=clicks.num_items)
    columns = len(clicks.corpus)
    histories = simple_rules.interactions(
        user[before], clicks.item[before], num_users=clicks.num_users, num_items=columns - 1
    )
    similarities = simple_rules.item_neighbours(histories, neighbours=min(NEIGHBOURS, columns - 1))
    return Known(clicks, counts, period, similarities[:, : clicks.num_items + 1])


def choose(clicks: Clicks, timelines: Timelines) -> dict[str, Settings]:
    """Rule -> its settings of the best MRR on the validation clicks; the first of `RULES` where there are none.

    The 99 items beside each are not those beside the test clicks.
    """
    users, before = clicks.targets("valid")
    if not len(users):
        return simple_rules.choose(RULES, ())
    past, negatives = known(clicks, timelines, split="valid"), draw_negatives(clicks, users, seed=1)
    candidates = np.concatenate([clicks.item[before][:, None], negatives], axis=1)  # [Q, 100]
    size = max(1, min(512, _SCORES // (clicks.num_items + 1)))
    parts = (past.parts(users[rows], before[rows], candidates[rows]) for rows in chunks(len(users), size))
    return simple_rules.choose(RULES, ((at, _reciprocal_rank) for at in parts))


def _reciprocal_rank(scores: Scores) -> NDArray[np.float64]:
    # Of the click, which is the first of the candidates [B, 100].
    return ranking.reciprocal_rank(ranking.target_places(scores, np.zeros((len(scores), 1), np.int64)))


def scorers(clicks: Clicks, timelines: Timelines, chosen: Mapping[str, Settings], *, split: str) -> dict[str, ScoreFn]:
    """Row -> score of each rule at its `chosen` settings, with all that is known before `split`."""
    past = known(clicks, timelines, split=split)

    def score(rule: str, users: NDArray[np.int64], before: NDArray[np.int64]) -> Scores:
        return RULES[rule].scores(past.parts(users, before), **chosen[rule])

    return {rule: functools.partial(score, rule) for rule in chosen}


def tuned(clicks: Clicks, timelines: Timelines, *, split: str, refit: bool) -> dict[str, ScoreFn]:
    """`scorers` as chosen on the validation clicks, which they know, as `refit` models do, or not."""
    known_before = split if refit else "valid"
    return scorers(clicks, timelines, choose(clicks, timelines), split=known_before)
