"""What a model has to beat first: rules that count, each at its best on the validation days of the log at hand.

    popularity_1d, popularity_7d  n_j, the positive events of item j in the last day, or week, before the moment
    item_knn             Σ_i cos(i, j) over the different items i that the user last met and did not turn down
    item_knn_popularity  (that + 0.001) · (n_j + 1)^power
    counts               P(c | user) · P(g | c, user) · P(j | g), of j's cluster c, and creator and cluster g

    with  P(c | user)    = (events of the user in c + m P(c)) / (events of the user + m)
          P(g | c, user) = (events of the user in g + m' P(g | c)) / (events of the user in c + m')
          P(j | g)       = (n_j + 1) / Σ_{i in g} (n_i + 1), from which P(c) and P(g | c) are summed up

How many events are read, the days of n, the power, m and m': those of `RULES` that have the highest Recall on the
validation days, for each way of asking its own. With 0 days n counts since ever. Who is near whom is counted of each
user's last events before the split. A log without clusters, or creators, has one of each.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data import ranges
from data.feedback import has
from data.timelines import Timelines
from metrics import ranking, simple_rules
from metrics.simple_rules import Parts, Rule, Scores, Settings, grid
from retrieval.queries import Moments, Queries, ScoreFn, asked
from retrieval.trends import Positives
from runtime.errors import DataError
from runtime.progress import chunks

NEIGHBOURS = 200
MOST_READ = 500  # events of a user that count towards who is near whom: its time grows with their square
TURNED_DOWN = ("skip", "dislike")
_HOUR = 3_600_000
CUT = 100  # settings are chosen by Recall at this
_QUERIES, _SCORES = 2_000, 1 << 29  # of the validation days that settings are chosen by, at most


def similarities(timelines: Timelines, end: NDArray[np.integer]) -> sp.csr_matrix:
    """cos(i, j) of who met which items and did not turn them down, before `end` [U] of each: [N + 1, N + 1]."""
    user, position = timelines.user_of_event(), np.arange(len(timelines.item))
    taken = ~has(timelines.feedback, *TURNED_DOWN)
    near = taken & (position < end[user]) & (position >= end[user] - MOST_READ)
    met = simple_rules.interactions(
        user[near], timelines.item[near], num_users=timelines.num_users, num_items=timelines.num_items
    )
    return simple_rules.item_neighbours(met, neighbours=NEIGHBOURS)


class Log:
    """What the rules know of a log when `split` begins.

    On the test days they know the validation days, as refitted models do. With the moment of a query they go on: its
    history is what the user has met by then, and n what all users have liked by the hour.
    """

    def __init__(self, timelines: Timelines, *, split: str, positive: Sequence[str]):
        self._timelines = timelines
        self.num_items = timelines.num_items
        before, self._begin = timelines.until(split)
        self._taken = np.flatnonzero(~has(timelines.feedback, *TURNED_DOWN))  # rising positions
        self._positives = Positives(timelines, positive)
        self._similarities = similarities(timelines, before)
        cluster, creator = (self._codes(name) for name in ("cluster", "creator"))
        # Items of one cluster and creator are a group: codes of both [N + 1], and the cluster of each group.
        both = cluster.astype(np.int64) * (creator.max() + 1) + creator
        groups, self.group = np.unique(both, return_inverse=True)
        self.cluster, self.cluster_of_group = cluster, groups // (creator.max() + 1)
        self._members = {code: _members(of_item) for code, of_item in (("cluster", cluster), ("group", self.group))}
        # Days on which many ask at one hour are counted once; few, as each is a number for every item.
        self._counted = functools.lru_cache(maxsize=8)(self._count)

    def _codes(self, name: str) -> NDArray[np.int32]:
        items = self._timelines.items
        return items[name].fill_null(0).to_numpy() if name in items.columns else np.zeros(len(items), np.int32)

    def popularity(self, moments: Moments, days: float) -> Scores:
        """n [B, N + 1]: positives of each item in the last `days` before the hour of each moment, 0 for ever."""
        by_hour, row = self.by_hour(moments, days)
        return by_hour[row]

    def by_hour(self, moments: Moments, days: float) -> tuple[Scores, NDArray[np.int64]]:
        """The n of `popularity` before each hour in which somebody asks, [H, N + 1], and the hour of each moment."""
        hours, row = np.unique((moments.time_ms - self._begin) // _HOUR, return_inverse=True)
        return np.stack([self._counted(int(hour), days) for hour in hours]), row

    def summed(self, values: Scores, code: str) -> Scores:
        """Values [H, N + 1] summed over the items of each "cluster" or "group": [H, C] or [H, G]."""
        return np.asarray(values @ self._members[code])

    def _count(self, hour: int, days: float) -> Scores:
        return self._positives.before(self._begin + hour * _HOUR, (days,))[:, 0]

    def history(self, moments: Moments, read: float) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Row and item of the last `read` events before each moment that were not turned down."""
        begin, end = (
            np.searchsorted(self._taken, at) for at in (self._timelines.offsets[moments.user], moments.before)
        )
        row, place = ranges.last(begin, end, int(read))
        return row, self._timelines.item[self._taken[place]]

    def near(self, moments: Moments, read: float) -> Scores:
        """Σ_i cos(i, j) over the different items i of the histories, [B, N + 1]."""
        return simple_rules.nearness(*self.history(moments, read), self._similarities, num_rows=len(moments.user))


class PartsAt(Parts):
    """What the rules are made of at some moments; for `counts`, events and likes by group too."""

    def __init__(self, log: Log, moments: Moments):
        super().__init__(*(functools.partial(part, moments) for part in (log.near, log.popularity)))
        self.log, self._moments = log, moments
        self.met = functools.cache(self._met_by_code)
        self.priors = functools.cache(self._liked_by_code)

    def _met_by_code(self, read: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        # Events of each user's history: all [B, 1], by cluster [B, C], by group [B, G].
        row, item = self.log.history(self._moments, read)
        size = len(self._moments.user)

        def counted(code: NDArray[Any]) -> NDArray[np.int64]:
            codes = code.max() + 1
            return np.bincount(row * codes + code[item], minlength=size * codes).reshape(size, codes)

        total = np.bincount(row, minlength=size)[:, None]
        return total, counted(self.log.cluster), counted(self.log.group)

    def _liked_by_code(self, days: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.int64]]:
        # Before each hour P(j | g) of each item [H, N + 1], P(g | c) [H, G], P(c) [H, C]; and the hours [B].
        by_hour, row = self.log.by_hour(self._moments, days)
        liked = by_hour + np.float32(1)
        liked[:, 0] = 0.0
        of_cluster, of_group = (self.log.summed(liked, code) for code in ("cluster", "group"))
        by_item = liked / np.maximum(of_group, 1.0)[:, self.log.group]
        within = of_group / np.maximum(of_cluster, 1.0)[:, self.log.cluster_of_group]
        return by_item, within, of_cluster / of_cluster.sum(axis=1, keepdims=True), row


def counts(parts: PartsAt, *, read: float, days: float, m: float, m_creator: float) -> Scores:
    """P(c | user) · P(g | c, user) · P(j | g), [B, N + 1]."""
    total, in_cluster, in_group = parts.met(read)
    by_item, within, prior, hour = parts.priors(days)
    by_cluster = (in_cluster + m * prior[hour]) / (total + m)  # [B, C]
    # P(c | user) / (events of the user in c + m'), which all groups of a cluster share.
    shared = (by_cluster / (in_cluster + m_creator))[:, parts.log.cluster_of_group]
    by_group = shared * (in_group + m_creator * within[hour])  # [B, G]
    scores = by_group.astype(np.float32)[:, parts.log.group]
    scores *= by_item[hour]
    return scores


READ = (10, 2, 5, 50, 500)  # last events: of what comes just next the last two may say most; 10 if none can be chosen
RULES = {
    "popularity_1d": Rule(simple_rules.popularity, grid(days=(1,))),
    "popularity_7d": Rule(simple_rules.popularity, grid(days=(7,))),
    "item_knn": Rule(simple_rules.item_knn, grid(read=READ)),
    "item_knn_popularity": Rule(
        simple_rules.item_knn_popularity, grid(read=READ, days=(1, 7, 0), power=(0.125, 0.25, 0.5, 1.0))
    ),
    "counts": Rule(counts, grid(read=(50, 500), days=(7, 0), m=(3, 30), m_creator=(3, 30))),
}


def tuned(
    timelines: Timelines, prefixes: Sequence[str], *, split: str, positive: Sequence[str]
) -> dict[str, dict[str, ScoreFn]]:
    """Rule -> its scorer for each way of asking: as the validation days have chosen it, knowing all before `split`."""
    log = Log(timelines, split=split, positive=positive)
    before = log if split == "valid" else Log(timelines, split="valid", positive=positive)
    try:
        validation = asked(timelines, split="valid", positive=positive)
    except DataError:  # these days have nothing to choose by
        validation = {}
    scorers: dict[str, dict[str, ScoreFn]] = {rule: {} for rule in RULES}
    for prefix in prefixes:
        for rule, settings in choose(before, validation.get(prefix)).items():
            scorers[rule][prefix] = functools.partial(score, log, rule, settings)
    return scorers


def score(log: Log, rule: str, settings: Settings, moments: Moments) -> Scores:
    """Scores [B, N + 1] by a rule of `RULES` at these settings; column 0 is padding."""
    return RULES[rule].scores(PartsAt(log, moments), **settings)


def choose(log: Log, queries: Queries | None) -> dict[str, Settings]:
    """Rule -> those of its settings in `RULES` that have the highest Recall@100 of `queries`, of the validation days.

    The first where there are no queries. `log` is what is known before these days.
    """
    if queries is None:
        return simple_rules.choose(RULES, ())
    settings = sum(len(rule.grid) for rule in RULES.values())
    most = min(_QUERIES, max(1, _SCORES // (settings * (log.num_items + 1))))
    drawn = queries.drawn("targets", most)
    batches = (drawn.rows(rows) for rows in chunks(len(drawn.items), 64))
    return simple_rules.choose(RULES, ((PartsAt(log, of.moments), _recall(of)) for of in batches))


def _recall(queries: Queries) -> Callable[[Scores], NDArray[np.float64]]:
    # Scores [B, N + 1] -> Recall@CUT of each query, among the items that could be shown.
    met, where = queries.met(), queries.of("targets")

    def recall(scores: Scores) -> NDArray[np.float64]:
        scores = queries.of_what_is_there(scores)
        places = ranking.target_places(scores, queries.items, excluded=met, where=where)
        return ranking.recall(places, CUT, where=where)

    return recall


def _members(code: NDArray[np.integer]) -> sp.csr_matrix:
    # Which items have each code, [N + 1, codes].
    return sp.csr_matrix((np.ones(len(code), np.float32), (np.arange(len(code)), code)))
