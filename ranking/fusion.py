"""The fused score of a ranker: Σ_k γ_k y_k, with γ < 0 for what should not happen (Pan et al., CIKM '23, 2.4.2).

γ by hand, or chosen on the validation days. Order does not change when all γ are scaled alike, so Σ|γ_k| = 1 here.
The objective is stated, and the choice is made in one pool of candidates:

    NDCG@10 of what is wanted − penalty · skip@10 + weight · satisfaction@10,

means over the users' lists of impressions in the order of the score (metrics/lists.py). Wanted are long views, or what
counts as positive in a log without any (`Traits.wanted_feedback`); the last term, of how satisfied people would say
that they are (the labels of the task `satisfaction`), is there only where it is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics import lists
from runtime.errors import UsageError

NEGATIVE_TASKS = ("GVV", "dislike")
TOP = 10
PENALTIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the trade-off curve
POOL = 400  # candidates for γ


class Lists(NamedTuple):
    """What E impressions were, and in which of `num_lists` lists, such as a user's, each stands: [E] each.

    satisfaction in [0, 1]: None where it is not asked for.
    """

    wanted: ArrayLike
    skip: ArrayLike
    list_of: ArrayLike
    num_lists: int
    satisfaction: ArrayLike | None = None


class ListQuality(NamedTuple):
    """NDCG@10 of what is wanted, the share of the first 10 that was skipped, and their mean satisfaction; NaN where no
    list tells."""

    ndcg: float
    skip: float
    satisfaction: float = float("nan")


class Trade(NamedTuple):
    """The γ [K] that is best on the validation days at a penalty, and what it gives there."""

    penalty: float
    weights: NDArray[np.float64]
    quality: ListQuality


def signs(tasks: Sequence[str]) -> NDArray[np.float64]:
    """−1 for tasks that should not happen, 1 for the others, [K]."""
    return np.array([-1.0 if task in NEGATIVE_TASKS else 1.0 for task in tasks])


def fuse(probabilities: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Σ_k γ_k y_k of probabilities [..., K] and γ [K]: [...]."""
    return np.asarray(probabilities, np.float64) @ np.asarray(weights, np.float64)


def parse(entries: Sequence[str], tasks: Sequence[str]) -> NDArray[np.float64]:
    """γ [K] of --gamma, entries like `GVV=-1`, 0 for tasks without one, scaled to Σ|γ_k| = 1.

    Errors: UsageError names an entry that is no TASK=NUMBER, an unknown or repeated task, or that all are 0.
    """
    given: dict[str, float] = {}
    for entry in entries:
        task, equals, number = entry.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = np.nan
        if not equals or not np.isfinite(value):
            raise UsageError(f"--gamma={entry}: written TASK=NUMBER, like {tasks[0]}=1")
        if task in given:
            raise UsageError(f"--gamma={entry}: {task} is given twice; name each task once")
        given[task] = value
    return weights(given, tasks)


def weights(given: Mapping[str, float], tasks: Sequence[str], *, flag: str = "--gamma") -> NDArray[np.float64]:
    """γ [K] in the order of the tasks; as `parse`."""
    for task in given:
        if task not in tasks:
            raise UsageError(f"{flag}={task}: the model has no such task; it has {', '.join(tasks)}")
    for task, value in given.items():
        if task in NEGATIVE_TASKS and value > 0:
            raise UsageError(f"{flag}={task}={value:g}: would rank first what should not happen; give it a negative γ")
    gamma = np.array([given.get(task, 0.0) for task in tasks])
    if not gamma.any():
        raise UsageError(f"{flag}: every weight is 0, which orders nothing; give one, like {tasks[0]}=1")
    return gamma / np.abs(gamma).sum()


def quality_of_lists(scores: ArrayLike, shown: Lists) -> ListQuality:
    """Means over the lists that order can change, each in the order of the scores [E]."""
    ranks = lists.ranks_within(scores, shown.list_of)
    size = {"num_groups": shown.num_lists, "k": TOP}
    ndcg = lists.ndcg(ranks, shown.wanted, shown.list_of, **size)
    skipped = lists.share_of_top(ranks, shown.skip, shown.list_of, **size)
    if shown.satisfaction is None:
        return ListQuality(_mean(ndcg), _mean(skipped))
    satisfied = lists.share_of_top(ranks, shown.satisfaction, shown.list_of, **size)
    return ListQuality(_mean(ndcg), _mean(skipped), _mean(satisfied))


def trade_off(
    probabilities: ArrayLike,
    shown: Lists,
    *,
    tasks: Sequence[str],
    penalties: Sequence[float] = PENALTIES,
    satisfaction_weight: float = 0.0,
    pool: int = POOL,
) -> list[Trade]:
    """The best γ for each penalty, from one pool: each task alone, all alike, and random shares with the right signs.

    Args: probabilities [E, K] of the impressions of validation days. skip@10 and satisfaction@10 count 0 where no
    list has over 10 impressions. Deterministic.
    Where no list has something wanted beside something else, nor an order skips less, none is better than another: γ is
    then alike for all.
    """
    probabilities = np.asarray(probabilities, np.float64)
    shares = np.random.default_rng(0).dirichlet(np.full(len(tasks), 0.7), pool) if len(tasks) > 1 else np.ones((1, 1))
    candidates = np.concatenate([np.eye(len(tasks)), np.full((1, len(tasks)), 1 / len(tasks)), shares]) * signs(tasks)
    measured = [quality_of_lists(fuse(probabilities, gamma), shown) for gamma in candidates]
    ndcg, skipped, satisfied = np.nan_to_num(np.array(measured)).T
    gained = ndcg + satisfaction_weight * satisfied
    alike = len(tasks)
    tells = [gained.any() or (penalty > 0 and np.ptp(skipped) > 0) for penalty in penalties]
    best = [
        int(np.argmax(gained - penalty * skipped)) if some else alike
        for penalty, some in zip(penalties, tells, strict=True)
    ]
    return [Trade(penalty, candidates[at], measured[at]) for penalty, at in zip(penalties, best, strict=True)]


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
