"""Popularity and item-kNN, each at its best on the validation clicks: what a model has to beat first.

Three rules, of what was known before the click that is asked for:

    popularity           count_j, all clicks of the log, or recent ones (satisfaction/saqrec/popularity.py)
    item_knn             Σ_i cos(i, j) over the different items i of the user's last L clicks
    item_knn_popularity  (that + 0.001) · (count_j + 1)^power

Which count, L and power: those of `GRID` that have the best MRR on the validation clicks among 99 items. Rules get a
budget of tuning as models do.
"""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from metrics import baselines, ranking
from satisfaction.click_ranks import ScoreFn
from satisfaction.protocol import draw_negatives, places_among
from satisfaction.saqrec.clicks import Clicks
from satisfaction.saqrec.popularity import HALF_LIVES, periods, recent_counts

NEIGHBOURS = 2_000
LENGTHS = (3, 5, 10, 20, 50, 0)  # clicks that are read, 0 for all
POWERS = (0.125, 0.25, 0.5, 1.0)
ALL_TIME = len(HALF_LIVES)  # the column of counts that do not fade
GRID: dict[str, tuple[Mapping[str, float], ...]] = {
    "popularity": tuple({"count": count} for count in range(ALL_TIME + 1)),
    "item_knn": tuple({"length": length} for length in LENGTHS),
    "item_knn_popularity": tuple(
        {"length": length, "count": count, "power": power}
        for length, count, power in itertools.product(LENGTHS, range(ALL_TIME + 1), POWERS)
    ),
}


@dataclasses.dataclass(frozen=True)
class Known:
    """What was known when the first clicks of a split were asked for."""

    clicks: Clicks
    counts: NDArray[np.float32]  # [P, n + 1, HALF_LIVES and one more], before each period
    period: NDArray[np.int32]  # [C]
    similarities: sp.csr_matrix  # [n + m + 1, n + 1]

    def popularity(self, before: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Counts [B, n + 1] at the moments of the clicks `before` [B]."""
        return self.counts[self.period[before], :, count]

    def neighbours(self, users: NDArray[np.int64], before: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Summed cosines [B, n + 1] to the different items of the user's last `length` clicks, 0 for all, `before`."""
        start = self.clicks.offsets[users]
        start = np.maximum(start, before - length) if length else start
        size = before - start
        row, place = ranges.owners(size), ranges.positions(start, size)
        shape = {"num_users": len(users), "num_items": self.similarities.shape[0] - 1}
        histories = baselines.interactions(row, self.clicks.item[place], **shape)
        return baselines.knn_scores(histories, self.similarities)


def known(clicks: Clicks, timelines: Timelines, *, split: str) -> Known:
    """All clicks before those of `split`.

    On the test split the validation clicks are among them, as refitted models have learned them.
    """
    user = clicks.user()
    before = np.arange(len(clicks.item)) < clicks.starts(split)[user]
    period, period_ms = periods(np.asarray(timelines.timestamp_ms)[clicks.event])
    counted, num_periods = before & (clicks.target > 0), int(period.max(initial=0)) + 1
    dated = counted & (period > 0)
    counts = np.empty((num_periods, clicks.num_items + 1, ALL_TIME + 1), np.float32)
    counts[..., ALL_TIME] = baselines.popularity(clicks.item[dated], num_items=clicks.num_items)
    counts[..., :ALL_TIME] = recent_counts(
        clicks.item[counted],
        period[counted],
        num_items=clicks.num_items,
        num_periods=num_periods,
        period_ms=period_ms,
    )[..., 1:]
    columns = len(clicks.corpus)
    histories = baselines.interactions(
        user[before], clicks.item[before], num_users=clicks.num_users, num_items=columns - 1
    )
    similarities = baselines.item_neighbours(histories, neighbours=min(NEIGHBOURS, columns - 1))
    return Known(clicks, counts, period, similarities[:, : clicks.num_items + 1])


def scorer(of: Known, rule: str, options: Mapping[str, float]) -> ScoreFn:
    """The rule at these of its settings in `GRID`."""
    if rule == "popularity":
        return lambda users, before: of.popularity(before, int(options["count"]))
    if rule == "item_knn":
        return lambda users, before: of.neighbours(users, before, int(options["length"]))
    return lambda users, before: baselines.times_popularity(
        of.neighbours(users, before, int(options["length"])),
        of.popularity(before, int(options["count"])),
        power=options["power"],
    )


def choose(clicks: Clicks, timelines: Timelines, *, seed: int = 1) -> dict[str, Mapping[str, float]]:
    """Rule -> its settings of the best MRR on the validation clicks; the first of `GRID` where there are none.

    The 99 items beside each are drawn with `seed`, which is not that of the test clicks.
    """
    users, before = clicks.targets("valid")
    if not len(users):
        return {rule: settings[0] for rule, settings in GRID.items()}
    of, negatives = known(clicks, timelines, split="valid"), draw_negatives(clicks, users, seed=seed)
    candidates = np.concatenate([clicks.item[before][:, None], negatives], axis=1)  # [Q, 100]

    def among(scores: NDArray[np.float32], rows: slice) -> NDArray[np.float32]:
        return np.take_along_axis(scores, candidates[rows], axis=1)  # [B, 100]

    # Settings differ in three parts alone: each is made once, for the candidates only.
    parts: dict[tuple[str, int], list[NDArray[np.float32]]] = {}
    for start in range(0, len(users), 512):
        rows = slice(start, start + 512)
        for length in LENGTHS:
            near = among(of.neighbours(users[rows], before[rows], length), rows)
            parts.setdefault(("length", length), []).append(near)
        for count in range(ALL_TIME + 1):
            parts.setdefault(("count", count), []).append(among(of.popularity(before[rows], count), rows))
    held = {key: np.concatenate(part) for key, part in parts.items()}  # [Q, 100]
    place = np.arange(100)

    def mrr(options: Mapping[str, float]) -> float:
        given = [held[name, int(options[name])] for name in ("length", "count") if name in options]
        scores = given[0] if len(given) == 1 else baselines.times_popularity(*given, power=options["power"])
        places = places_among(scores, np.zeros(len(scores), np.int64), np.broadcast_to(place[1:], scores[:, 1:].shape))
        return float(ranking.reciprocal_rank(places[:, None]).mean())

    return {rule: max(settings, key=mrr) for rule, settings in GRID.items()}


def simple_rules(clicks: Clicks, timelines: Timelines, *, split: str) -> dict[str, ScoreFn]:
    """Row -> score of each rule, as chosen on the validation clicks and with all that is known before `split`."""
    chosen, of = choose(clicks, timelines), known(clicks, timelines, split=split)
    return {rule: scorer(of, rule, options) for rule, options in chosen.items()}
