"""Full-corpus evaluation of anything that scores items, on the held-out days, beside the simple baselines.

One query per user, at the moment the split begins: the history is every event before it, the candidates are all items
that the user has not met yet, the targets are the unmet items that the user then reacts to within the split. For
positives higher is better; held-out skips and dislikes are targets too, and there a top place is a mistake:

    skip@100    = skipped items that stand in their user's top 100 / skipped items, all users pooled
    dislike@100 = the same of disliked items

Items that tie are in random order, and every figure is its mean over those orders (metrics/ranking.py); the slates of
coverage and diversity take the lower index first.

Users with skips but no positives count there, and only there. Nothing at or after the split's start is read but as a
target. Figures that the log cannot give (dislike@100 without a held-out dislike) are left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data import ranges
from data.feedback import has
from data.reading import Reader, Reading
from data.timelines import Timelines
from metrics import baselines, diversity, intervals, ranking
from metrics.intervals import Interval
from runtime.errors import DataError
from runtime.progress import chunks, progress

RECALL_AT = (10, 50, 100)
NDCG_AT = (10, 100)
SLATE = 100  # the top k of skip@k, dislike@k, coverage and diversity

# The baselines' settings: the best compromise between the validation days of KuaiRand-Pure and of the synthetic feeds,
# out of 200 or 1000 neighbours, powers 0.25 and 0.5, and histories of positives, of everything met, and of everything
# met but what was turned down.
POPULARITY_DAYS = 7
POPULARITY_POWER = 0.25
NEIGHBOURS = 200
KNN_HISTORY = 500  # events of a user that item-kNN reads: its time grows with their square
TURNED_DOWN = ("skip", "dislike")

_SCORES_HELD = 1 << 23  # scores in memory at a time

ScoreFn = Callable[[NDArray[np.int64]], ArrayLike]
"""Scores of every item for some users: user indices [B] -> [B, N + 1]; column 0, the padding, is ignored."""


class Evaluation(NamedTuple):
    """metrics: flat name -> number, bounds under `/low` and `/high`. per_user: see `evaluate`."""

    metrics: dict[str, float]
    per_user: dict[str, NDArray[Any]]


def evaluate(
    score: ScoreFn,
    timelines: Timelines,
    *,
    split: str,
    positive: Sequence[str] = ("click",),
    label: str = "evaluate",
    samples: int = 1000,
) -> Evaluation:
    """Recall, NDCG, MRR, skip@100, dislike@100, coverage and diversity of `score` on `split`.

    Args:
      positive: feedback names; an item with any of them is a target to find. label: of the progress bar.
      samples: bootstrap resamples over users.
    Returns:
      `per_user` arrays [Q], a row for each user with a target of any kind: `user`; `targets`, `skips` and `dislikes`,
      how many of each; and every metric of a user under its name, NaN where the user has no such target. skip@100 and
      dislike@100 hold hits there, so that for any of them Σ after / Σ before − 1 is the relative change of the metric.
    Errors: DataError where the split has no positive, the corpus is too small or a score is not finite.
    """
    if timelines.num_items <= max(RECALL_AT):
        raise DataError(
            f"{timelines.path}: {timelines.num_items} items; the top {max(RECALL_AT)} tell models apart only among "
            "more of them: give a log of more items"
        )
    kinds = {"targets": tuple(positive), "skips": ("skip",), "dislikes": ("dislike",)}
    users, items, kind = _targets(timelines, split, kinds.values())
    found, skipped, disliked = (kind == number for number in range(3))
    if not found.any():
        raise DataError(
            f"{timelines.path}: no {' or '.join(positive)} of an unmet item in the {split} split; prepare it with an "
            f"earlier --config.{split}_start, or name other positives"
        )
    places, slates = _rank(score, timelines, users, items, kind >= 0, split=split, label=label)

    per_user = {f"recall@{k}": ranking.recall(places, k, where=found) for k in RECALL_AT}
    per_user |= {f"ndcg@{k}": ranking.ndcg(places, k, where=found) for k in NDCG_AT}
    per_user["mrr"] = ranking.reciprocal_rank(places, where=found)
    per_user |= _diversity(slates, timelines.items["cluster"].to_numpy())
    pairs = {name: (np.nan_to_num(values), ~np.isnan(values)) for name, values in per_user.items()}
    for name, where in ((f"skip@{SLATE}", skipped), (f"dislike@{SLATE}", disliked)):
        hits = ranking.hits(places, SLATE, where=where)
        per_user[name] = np.where(where.any(axis=1), hits, np.nan)
        pairs[name] = (hits, where.sum(axis=1))
    figures = intervals.ratios(pairs, samples=samples)
    figures[f"coverage@{SLATE}"] = diversity.coverage(slates, num_items=timelines.num_items)

    counts = {name: (kind == number).sum(axis=1) for number, name in enumerate(kinds)}
    totals = {"users": float(len(users))} | {name: float(count.sum()) for name, count in counts.items()}
    return Evaluation(totals | intervals.flat(figures), {"user": users, **counts, **per_user})


def compare(
    before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], *, samples: int = 1000
) -> dict[str, Interval]:
    """Relative change of each metric from one model's `per_user` to another's, −0.1 being 10% less; coverage has none.

    Paired: both models are seen on the same drawn users, so the intervals are of the change alone.
    Errors: ValueError where the two are not of the same users, that is of another split or log.
    """
    if not np.array_equal(before["user"], after["user"]):
        raise ValueError("per-user figures of different users: compare two models on the same split of the same log")
    changes = {}
    for name in [name for name in before if name in after and name not in ("user", "targets", "skips", "dislikes")]:
        defined = ~np.isnan(before[name])
        change = intervals.relative_change(before[name][defined], after[name][defined], samples=samples)
        if np.isfinite(change.value):
            changes[name] = change
    return changes


def model_scorer(
    encode: Callable[[dict[str, NDArray[np.int32]]], ArrayLike],
    item_vectors: ArrayLike,
    timelines: Timelines,
    *,
    split: str,
    reading: Reading,
) -> ScoreFn:
    """q · v_j, with q = encode(what `reading` reads of the events before the split) [B, D], item_vectors [N + 1, D]."""
    before, vectors = timelines.bounds(split)[0], np.asarray(item_vectors)
    reader = Reader(timelines.feedback, reading)

    def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(encode(timelines.histories(users, before[users], reader))) @ vectors.T

    return score


def baseline_scorers(timelines: Timelines, *, split: str, positive: Sequence[str] = ("click",)) -> dict[str, ScoreFn]:
    """Prefix of its metrics -> scorer, of the three baselines.

    They read everything before the split, so on the test days also the validation days, which a model may not: if that
    favours anybody, it is them. Popularity counts positives of the last days; item-kNN takes as together whatever one
    user met and did not turn down.
    """
    user, start = timelines.user_of_event(), timelines.bounds(split)[0]
    position = np.arange(len(timelines.item))
    known = position < start[user]
    since = timelines.manifest[f"{split}_start_ms"] - POPULARITY_DAYS * 86_400_000
    recent = known & has(timelines.feedback, *positive) & (timelines.timestamp_ms >= since)
    counts = baselines.popularity(timelines.item[recent], num_items=timelines.num_items)
    taken = known & ~has(timelines.feedback, *TURNED_DOWN) & (position >= start[user] - KNN_HISTORY)
    histories = baselines.interactions(
        user[taken], timelines.item[taken], num_users=timelines.num_users, num_items=timelines.num_items
    )
    similarities = baselines.item_neighbours(histories, neighbours=NEIGHBOURS)

    def knn(users: NDArray[np.int64]) -> NDArray[np.float32]:
        return baselines.knn_scores(histories[users], similarities)

    return {
        f"popularity_{POPULARITY_DAYS}d": lambda users: np.broadcast_to(counts, (len(users), len(counts))),
        "item_knn": knn,
        "item_knn_popularity": lambda users: baselines.times_popularity(knn(users), counts, power=POPULARITY_POWER),
    }


def _targets(
    timelines: Timelines, split: str, kinds: Iterable[Sequence[str]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    # The held-out items of each kind, by user: users [Q], items [Q, M] and which kind each is of [Q, M], -1 padding.
    pairs = [timelines.held_out(split, names) for names in kinds]
    user, item = (np.concatenate(column) for column in zip(*pairs, strict=True))
    kind = ranges.owners([len(items) for _, items in pairs])
    users, row = np.unique(user, return_inverse=True)
    items, kinds_of = (ranges.padded(row, values, num_rows=len(users)) for values in (item, kind))
    return users, items, kinds_of


def _rank(
    score: ScoreFn,
    timelines: Timelines,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    where: NDArray[np.bool_],
    *,
    split: str,
    label: str,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # Places of the targets [Q, M, 2] and the top 100 [Q, SLATE] among what each user has not met, in batches of users.
    before, columns = timelines.bounds(split)[0], timelines.num_items + 1
    places, slates = np.empty((*items.shape, 2)), np.empty((len(users), SLATE), np.int64)
    with progress(label=label, total=len(users), unit="user") as bar:
        for rows in chunks(len(users), max(1, min(512, _SCORES_HELD // columns))):
            batch = users[rows]
            scores = np.asarray(score(batch))
            if scores.shape != (len(batch), columns):
                raise ValueError(f"scores {scores.shape} where [users, items + 1] is {(len(batch), columns)}")
            if not np.isfinite(scores[:, 1:]).all():
                raise DataError(f"{label}: a score is not finite; the model has diverged, train it again")
            eligible = ~timelines.met(batch, before[batch])
            places[rows] = ranking.target_places(scores, items[rows], eligible=eligible, where=where[rows])
            slates[rows] = ranking.top_k(scores, SLATE, eligible=eligible)
            bar.update(len(batch))
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
