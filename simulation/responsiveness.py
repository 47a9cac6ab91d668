"""Counterfactual responsiveness: how much less of the same a recommender shows after a "no".

Wang et al., RecSys '23, section 4. Each user follows a trajectory to the k-th item, where the history branches into one
action each. S is the share of a branch's next slate that has the content cluster (the creator) of that item, and the
branch's responsiveness is mean S_branch / mean S_baseline - 1 over users: -0.6 is 60% less of the same.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import polars as pl

from metrics.intervals import relative_change
from runtime.errors import DataError, UsageError
from runtime.progress import progress
from simulation.actions import Action
from simulation.recommender import Recommender
from simulation.trajectories import Plan, action_columns, follow, slates_after

# similarity -> the column of the item table it compares; 0 there is unknown
KINDS = {"content": "cluster", "creator": "creator"}

_CHUNK_USERS = 250
_CHUNK_SCORES = 1 << 23  # scores a chunk holds at once: 32 MiB


@dataclass(frozen=True)
class Outcome:
    """The k items of each user [U, k], and the slates [n, U, slate_size] after each of n actions on the last of them.

    Entries are indices of the item table.
    """

    branches: tuple[Action, ...]
    history: np.ndarray
    slates: np.ndarray


def chunk_users(users: int, rows: int) -> int:
    """How many of `users` to simulate in one call, each with a score for each of `rows` item vectors."""
    return min(users, _CHUNK_USERS, max(1, _CHUNK_SCORES // rows))


def simulate(recommender: Recommender, plan: Plan, branches: Sequence[Action], *, slate_size: int) -> Outcome:
    """Follows the plan with the recommender and branches at the k-th item.

    Chunks of users of one shape, so one compilation, and as many at a time as there are cores: XLA's top-k on a CPU,
    most of the work, uses one. Errors: DataError where the recommender's queries are not finite.
    """
    size = chunk_users(plan.num_users, len(recommender.item_vectors))
    starts = range(0, plan.num_users, size)
    item_vectors = jnp.asarray(recommender.item_vectors)
    plan_dwell, plan_feedback = (column[plan.action] for column in action_columns(plan.actions))  # [U, k-1]
    dwell, feedback = action_columns(branches)

    def run(start: int) -> tuple[np.ndarray, ...]:
        users = np.minimum(np.arange(start, start + size), plan.num_users - 1)  # the last chunk repeats its last user
        state, history = follow(
            item_vectors,
            *(jnp.asarray(column[users]) for column in (plan.first_item, plan.place, plan_dwell, plan_feedback)),
            start=recommender.start,
            step=recommender.step,
            slate_size=slate_size,
        )
        slates, queries = slates_after(
            item_vectors, state, history, dwell, feedback, step=recommender.step, slate_size=slate_size
        )
        return np.asarray(history), np.asarray(slates), np.asarray(queries)

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress(label="counterfactual", total=plan.num_users, unit="user") as bar,
    ):
        results = []
        for result in pool.map(run, starts):
            results.append(result)
            bar.update(min(size, plan.num_users - bar.n))
    histories, slates, queries = zip(*results, strict=True)
    if not all(np.isfinite(block).all() for block in queries):
        raise DataError("the user tower gave queries that are not finite: the model has diverged; train it again")
    return Outcome(
        branches=tuple(branches),
        history=np.concatenate(histories)[: plan.num_users],
        slates=np.concatenate(slates, axis=1)[:, : plan.num_users],
    )


def similarity(slates: np.ndarray, last: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """S = share of each slate whose label is the last item's; NaN where that label is 0, unknown.

    slates [n, U, slate_size] and last [U] index labels [N+1] -> float64 [n, U].
    """
    wanted = labels[last]  # [U]
    share = (labels[slates] == wanted[:, None]).mean(axis=-1)  # [n, U]
    return np.where(wanted == 0, np.nan, share)


def similarities(outcome: Outcome, items: pl.DataFrame) -> dict[str, np.ndarray]:
    """{kind: similarity [n, U]} for each of KINDS that the item table knows anything about; UsageError where none."""
    known = {kind: column for kind, column in KINDS.items() if column in items.columns and (items[column] != 0).any()}
    if not known:
        raise UsageError(
            "--recommender: its item table knows neither cluster nor creator of any item: nothing to compare"
        )
    last = outcome.history[:, -1]
    return {kind: similarity(outcome.slates, last, items[column].to_numpy()) for kind, column in known.items()}


def summary(
    similarities: Mapping[str, np.ndarray], names: Sequence[str], *, seed: int, samples: int
) -> dict[str, float]:
    """Metrics of similarity arrays [n, U] whose rows are the branches `names`, the baseline first.

    `<branch>/<kind>` with `/low` and `/high` (95% bootstrap over users, paired), `similarity/<branch>/<kind>` the mean,
    `users/<kind>` how many users have one. A relative change is left out where the baseline's mean is 0: nothing was
    similar, so nothing can become less so.
    """
    metrics: dict[str, float] = {}
    for kind, rows in similarities.items():
        rows = rows[:, ~np.isnan(rows[0])]  # unknown is unknown in every branch: it is the item's own label
        metrics[f"users/{kind}"] = rows.shape[1]
        if not rows.size:
            continue
        metrics |= {f"similarity/{name}/{kind}": float(row.mean()) for name, row in zip(names, rows, strict=True)}
        for name, row in zip(names[1:], rows[1:], strict=True):
            change = relative_change(rows[0], row, seed=seed, samples=samples)
            if np.isfinite(change.value):
                key = f"{name}/{kind}"
                metrics |= {key: change.value, f"{key}/low": change.low, f"{key}/high": change.high}
    return metrics


def lines(metrics: Mapping[str, float], branches: Sequence[str]) -> list[str]:
    """One line for each branch and kind, for the terminal."""
    return [
        f"{name:<24} {kind:<8} {metrics[key]:+8.1%}  [{metrics[f'{key}/low']:+.1%}, {metrics[f'{key}/high']:+.1%}]"
        for name in branches
        for kind in KINDS
        if (key := f"{name}/{kind}") in metrics
    ]
