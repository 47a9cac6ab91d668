"""Full-corpus evaluation of anything that scores items, on the held-out days, by two ways of asking.

What is asked, and what are targets, is in retrieval/queries.py: `next_days`, a query a user, and `next_item`, a query
for each held-out reaction, whose figures are named `next_item/…`. For positives higher is better; held-out skips and
dislikes are targets too, and there a top place is a mistake:

    skip@100    = skipped items that stand in their user's top 100 / skipped items, all users pooled
    dislike@100 = the same of disliked items

of those who had said no, disliked something, before they were asked (next_days alone):

    recall@100/said_no = Recall@100, mean over these users alone, `users/said_no` of them

and of next_item dislike@10 too, and

    delta_hr@10 = recall@10 − dislike@10, which are the hit ratios of positives and of dislikes

Of `next_item` all figures are means over queries; either way intervals are over users. Items that tie are in random
order, and every figure is its mean over those orders (metrics/ranking.py); the slates of coverage and diversity, of
`next_days`, take the lower index first.

Users with skips but no positives count there, and only there; users all of whose items come after the days have begun
in next_item alone. Nothing after a query is read but as a target. Figures
that the log cannot give (dislike@100 without a held-out dislike) are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from data.events_read import Reader, Reading
from data.scored import scored
from data.timelines import Timelines
from metrics import diversity, intervals, ranking
from metrics.intervals import Interval
from retrieval import compiled_ranks
from retrieval.queries import Moments, Queries, ScoreFn
from runtime.errors import DataError

RECALL_AT = (10, 50, 100)
NDCG_AT = (10, 100)
SLATE = 100  # the top k of skip@k, dislike@k, coverage and diversity
_MISTAKES = {f"skip@{SLATE}": "skips", f"dislike@{SLATE}": "dislikes"}
_HR = 10  # of delta_hr@10
_SAID_NO = f"recall@{SLATE}/said_no"


class Evaluation(NamedTuple):
    """metrics: flat name -> number, bounds under `/low` and `/high`. per_user: see `evaluate`."""

    metrics: dict[str, float]
    per_user: dict[str, NDArray[Any]]


def evaluate(
    scorers: Mapping[str, ScoreFn],
    queries: Mapping[str, Queries],
    timelines: Timelines,
    *,
    label: str = "evaluate",
    samples: int = 1000,
) -> Evaluation:
    """Recall, NDCG, MRR, skip@100 and dislike@100 of one recommender by each way of asking; coverage and diversity.

    Args:
      scorers: its scores for each of `queries`, those of `queries.asked`. label: of the progress bar.
      samples: bootstrap resamples over users.
    Returns:
      `per_user` arrays [U], a row for each user with a target of any kind: `user`; `targets`, `skips` and `dislikes`,
      how many of each; and every metric of a user under its name, NaN where the user has no such target. skip@100,
      dislike@100 and all of next_item hold sums over targets there, so that for any of them Σ after / Σ before − 1 is
      the relative change of the metric.
    Errors: DataError where a score is not finite, or the corpus is too small.
    """
    if timelines.num_items <= max(RECALL_AT):
        raise DataError(
            f"{timelines.path}: {timelines.num_items} items; the top {max(RECALL_AT)} tell models apart only among "
            "more of them: give a log of more items"
        )
    metrics: dict[str, float] = {}
    users = queries[""].moments.user
    per_user: dict[str, NDArray[Any]] = {"user": users}
    for prefix, of in queries.items():
        named = f"{label}, {prefix.strip('/')}" if prefix else label
        places, slates = _rank(scorers[prefix], of, label=named, slate=0 if prefix else SLATE)
        counts = {name: of.of(name).sum(axis=1) for name in of.names}
        if prefix:
            figures_of_users, pairs = _pooled(places, of, users)
        else:
            figures_of_users, pairs = _by_user(places, of)
            variety = _diversity(slates, timelines.items["cluster"].to_numpy())
            figures_of_users |= counts | variety
            pairs |= {name: _mean_of(values) for name, values in variety.items()}
        figures = intervals.ratios(pairs, samples=samples)
        if prefix:
            found, mistaken = pairs[f"recall@{_HR}"], pairs[f"dislike@{_HR}"]
            figures[f"delta_hr@{_HR}"] = intervals.difference_of_ratios(mistaken, found, samples=samples)
        else:
            # Of the items that are there: by their place in the order of uploads they are the numbers up to that many.
            there = int(timelines.num_there(of.moments.time_ms).max())
            numbers = timelines.upload_place[np.maximum(slates, 0)] + 1
            figures[f"coverage@{SLATE}"] = diversity.coverage(numbers, num_items=there)
        totals = {"users": len(np.unique(of.moments.user))} | {name: count.sum() for name, count in counts.items()}
        if of.drawn_from:
            totals["users/drawn_from"] = of.drawn_from
        if of.uploaded_later.any():
            totals["targets/uploaded_later"] = of.uploaded_later.sum()
        if _SAID_NO in pairs:
            totals["users/said_no"] = pairs[_SAID_NO][1].sum()
        totals_and_figures = {name: float(total) for name, total in totals.items()} | intervals.flat(figures)
        metrics |= {prefix + name: value for name, value in totals_and_figures.items()}
        per_user |= {prefix + name: values for name, values in figures_of_users.items()}
    return Evaluation(metrics, per_user)


def compare(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]]) -> dict[str, Interval]:
    """Relative change of each metric from one model's `per_user` to another's, −0.1 being 10% less; coverage has none.

    Paired: both models are seen on the same drawn users, so the intervals are of the change alone.
    Errors: ValueError where the two are not of the same users, that is of another split or log.
    """
    if not np.array_equal(before["user"], after["user"]):
        raise ValueError("per-user figures of different users: compare two models on the same split of the same log")
    changes = {}
    for name in [name for name in before if name in after and name not in ("user", "targets", "skips", "dislikes")]:
        defined = ~np.isnan(before[name])
        change = intervals.relative_change(before[name][defined], after[name][defined])
        if np.isfinite(change.value):
            changes[name] = change
    return changes


class ModelScorer:
    """q · v_j, q = encode(what `reading` reads of the events before the moment) [B, D], item_vectors [N + 1, D].

    `compiled`: scored, counted and ranked in one program (retrieval/compiled_ranks.py), by default where there is an
    accelerator.
    """

    def __init__(
        self,
        encode: Callable[[dict[str, NDArray[np.int32]]], ArrayLike],
        item_vectors: ArrayLike,
        timelines: Timelines,
        *,
        reading: Reading,
        compiled: bool | None = None,
    ) -> None:
        self.item_vectors: NDArray[Any] = np.asarray(item_vectors)
        self.compiled = jax.default_backend() != "cpu" if compiled is None else compiled
        self._encode, self._timelines, self._reader = encode, timelines, Reader(timelines.feedback, reading)

    def __call__(self, moments: Moments) -> NDArray[np.float32]:
        """Scores of every item, [B, N + 1]."""
        return self.queries(moments) @ self.item_vectors.T

    def queries(self, moments: Moments) -> NDArray[np.float32]:
        """[B, D]."""
        # Filled up to a power of two by its last row: each other size would be compiled anew.
        size = len(moments.user)
        filled = moments.rows(np.minimum(np.arange(1 << (size - 1).bit_length()), size - 1))
        queries = np.asarray(self._encode(self._timelines.histories(filled.user, filled.before, self._reader)))
        return queries[:size]


def _by_user(places: NDArray[np.float64], of: Queries) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    # Figures of each user, and what is summed up for those of all: means over users, pooled shares of mistakes.
    figures: dict[str, NDArray[Any]] = _quality(places, of.of("targets"))
    if (of.said_no & of.of("targets").any(axis=1)).any():
        figures[_SAID_NO] = np.where(of.said_no, figures[f"recall@{SLATE}"], np.nan)
    pairs: dict[str, Any] = {name: _mean_of(values) for name, values in figures.items()}
    for name, kind in _MISTAKES.items():
        where = of.of(kind)
        hits = ranking.hits(places, SLATE, where=where)
        figures[name] = np.where(where.any(axis=1), hits, np.nan)
        pairs[name] = (hits, where.sum(axis=1))
    return figures, pairs


def _quality(places: NDArray[np.float64], where: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    # Of each query, [Q]; NaN where it has no target.
    recall = {f"recall@{k}": ranking.recall(places, k, where=where) for k in RECALL_AT}
    ndcg = {f"ndcg@{k}": ranking.ndcg(places, k, where=where) for k in NDCG_AT}
    return {**recall, **ndcg, "mrr": ranking.reciprocal_rank(places, where=where)}


def _mean_of(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.nan_to_num(values), ~np.isnan(values)


def _pooled(
    places: NDArray[np.float64], of: Queries, users: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    # Sums over the queries of each of `users`, which are rising, and how many there are of its kind.
    row = np.searchsorted(users, of.moments.user)
    figures: dict[str, NDArray[Any]] = {}
    pairs: dict[str, Any] = {}

    def add(name: str, values: NDArray[np.float64], kind: str) -> None:
        where = of.of(kind)[:, 0]
        count = np.bincount(row[where], minlength=len(users))
        total = np.bincount(row[where], weights=values[where], minlength=len(users))
        figures[name], pairs[name] = np.where(count > 0, total, np.nan), (total, count)

    everything = np.ones(of.items.shape, bool)
    for name, values in _quality(places, everything).items():
        add(name, values, "targets")
    for name, kind in _MISTAKES.items():
        add(name, ranking.hits(places, SLATE, where=everything), kind)
    add(f"dislike@{_HR}", ranking.hits(places, _HR, where=everything), "dislikes")
    return figures, pairs


def _rank(score: ScoreFn, of: Queries, *, label: str, slate: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # Places of the targets [Q, M, 2] and the top `slate` among what may be shown, some at a time.
    if isinstance(score, ModelScorer) and score.compiled:
        vectors = jax.device_put(score.item_vectors)
        return compiled_ranks.rank(score.queries, vectors, of, label=label, slate=slate)
    size = len(of.moments.user)
    places, slates = np.empty((*of.items.shape, 2)), np.empty((size, slate), np.int64)

    def of_rows(rows: slice) -> ArrayLike:
        return score(of.moments.rows(rows))

    for rows, scores in scored(of_rows, size, columns=of.timelines.num_items + 1, label=label, unit="query"):
        batch = of.rows(rows)
        scores, met = batch.of_what_is_there(scores), batch.met()
        places[rows] = ranking.target_places(scores, batch.items, excluded=met, where=batch.kind >= 0)
        if slate:
            slates[rows] = ranking.top_k(scores, slate, excluded=met)
    return places, slates


def _diversity(slates: NDArray[np.int64], clusters: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
    # Of each user's slate; nothing where the log has no clusters. Items of unknown cluster are one more cluster.
    if not clusters.any():
        return {}
    shown, where = clusters[np.maximum(slates, 0)], slates > 0
    return {
        f"distinct_clusters@{SLATE}": diversity.distinct(shown, where=where),
        f"cluster_entropy@{SLATE}": diversity.entropy(shown, where=where),
    }
