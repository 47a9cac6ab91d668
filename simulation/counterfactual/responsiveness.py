"""Counterfactual responsiveness: how much less of the same a recommender shows after a "no".

Wang et al., RecSys '23, section 4. Each user follows a trajectory to the k-th item, where the history branches. S is
how alike a branch's next slate is to that item, as the share of its content cluster or creator, and the branch's
responsiveness is mean S_branch / mean S_baseline - 1 over users: -0.6 is 60% less of the same.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from metrics.intervals import flat, relative_change
from runtime import cores
from runtime.errors import DataError
from runtime.progress import progress
from simulation.counterfactual.branching import items_to_act_on, slates_after
from simulation.counterfactual.courses import Branch, branch_columns, room
from simulation.counterfactual.histories import Histories
from simulation.counterfactual.plans import Plan
from simulation.counterfactual.similarity import EMBEDDING, KINDS, TRUTH, VECTORS
from simulation.counterfactual.trajectories import Slates, Trajectories
from simulation.exported.recommender import Recommender

FILTERED = "filtered"  # the branch that does what the first does, and is never shown what is barred
LEAST_USERS = 10  # that an interval may rest on, as metrics/two_samples.py has it
_BOUNDS = ("/low", "/high")
_CHUNK_USERS = 250
_CHUNK_SCORES = 1 << 23  # scores a chunk holds at once: 32 MiB


@dataclass(frozen=True)
class Outcome:
    """What U users did and were shown. Entries of items and slates are indices of the item table.

    past: the events before the branch and the k-th item, where the history branches; slates [n, distances, U, size]
    after each of n branches; valid [n, U]: whether there was an item for each action of the branch: as many left in the
    user's cluster, as many other clusters; other [U]: the item of another cluster that branches act on first, 0 where
    none does.
    """

    branches: tuple[Branch, ...]
    distances: tuple[int, ...]
    past: Histories
    slates: np.ndarray
    valid: np.ndarray
    other: np.ndarray


def chunk_users(users: int, rows: int) -> int:
    """How many of `users` to simulate in one call, each with a score for each of `rows` item vectors."""
    return min(users, _CHUNK_USERS, max(1, _CHUNK_SCORES // rows))


def simulate(
    recommender: Recommender,
    trajectories: Trajectories,
    branches: Sequence[Branch],
    *,
    slates: Slates,
    shown: Slates | None = None,
    distances: Sequence[int] = (1,),
    later: Plan | None = None,
    path_of: str = "",
    barred: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Outcome:
    """Follows the trajectories with the recommender and branches at the k-th item.

    Args:
      slates: what users choose from; shown: what is looked at after the branches, the same by default.
      distances: in how many steps to look, ascending, from 1.
      later: what users do after the branch where a distance is more than 1: a plan of at least the last distance items.
      path_of: the name of a branch from whose slates users take those items in all branches, which then differ in
        nothing but the branch itself; "": in each from its own.
      barred: (users [b], their k-th items [b]) -> what they are never shown [b, N+1] in one more branch, FILTERED, the
        last, in which they do what they do in the first: a recommender that is told nothing, behind a filter.

    Chunks of users of one shape, so one compilation, and as many at a time as there are cores: XLA's top-k on a CPU,
    most of the work, uses one. Errors: DataError where the recommender's queries are not finite; ValueError where
    `later` is too short.
    """
    total, distances = trajectories.num_users, tuple(distances)
    if distances[-1] - 1 > (0 if later is None else later.place.shape[1]):
        raise ValueError(f"distances {distances}: `later` has to say what users do until then")
    size = chunk_users(total, len(recommender.item_vectors))
    item_vectors = jax.device_put(recommender.item_vectors)
    cluster = np.zeros(len(item_vectors), np.int32)
    if "cluster" in recommender.items.columns:
        cluster = recommender.items["cluster"].to_numpy().astype(np.int32)
    if barred is not None:
        branches = [*branches, replace(branches[0], name=FILTERED)]
    (own, others), actions = room(branches), branch_columns(branches)

    def run(start: int) -> tuple[np.ndarray, ...]:
        users = np.minimum(np.arange(start, start + size), total - 1)  # the last chunk repeats its last user
        walk = trajectories.walk(recommender, item_vectors, users, slates)
        counts = {"own": own, "others": others, "num_clusters": int(cluster.max())}
        items = items_to_act_on(walk, item_vectors, jnp.asarray(cluster), **counts, slates=slates)
        nothing = np.zeros((size, 0), np.int32)
        after = (nothing,) * 3 if later is None else (later.place[users], *later.events(users))
        slates_then, queries = slates_after(
            walk,
            item_vectors,
            items,
            actions,
            after,
            step=recommender.step,
            slates=shown or slates,
            distances=distances,
            path_of=[branch.name for branch in branches].index(path_of) if path_of else None,
            barred=None if barred is None else jnp.asarray(barred(users, np.asarray(walk.last))),
        )
        return tuple(np.asarray(part) for part in (*walk.columns, walk.last, items, slates_then, queries))

    with ThreadPoolExecutor(cores.count()) as pool, progress(label="counterfactual", total=total, unit="user") as bar:
        results = []
        for result in pool.map(run, range(0, total, size)):
            results.append(result)
            bar.update(min(size, total - bar.n))
    *of_user, slates_then, queries = zip(*results, strict=True)
    if not all(np.isfinite(block).all() for block in queries):
        raise DataError("the user tower gave queries that are not finite: the model has diverged; train it again")
    item, dwell, feedback, last, acted = (np.concatenate(blocks)[:total] for blocks in of_user)
    there = np.pad(acted > 0, ((0, 0), (0, 1)), constant_values=True)  # of place -1, no action, there is always one
    return Outcome(
        branches=tuple(branches),
        distances=distances,
        past=Histories(item, dwell, feedback, last),
        slates=np.concatenate(slates_then, axis=2)[:, :, :total],
        other=acted[:, own] if others else np.zeros_like(last),
        valid=np.stack([there[:, places].all(axis=1) for places in actions[0]]),
    )


def summary(
    similarities: Mapping[str, np.ndarray],
    names: Sequence[str],
    *,
    baselines: Sequence[int],
    seed: int,
    samples: int,
    prefix: str = "",
) -> dict[str, float]:
    """Metrics of similarity arrays [n, U] whose rows are the branches `names`, each compared with row `baselines[n]`.

    `<branch>/<kind>` with `/low` and `/high` (95% bootstrap over users, paired, from LEAST_USERS on: of fewer it knows
    no spread), `similarity/<branch>/<kind>` the mean,
    `users/<kind>` how many users have one (`users/<branch>/<kind>` where a branch has fewer), all behind `prefix`. A
    relative change is left out where the baseline's mean is 0 or less: nothing was similar, so nothing can become less
    so.
    """
    metrics: dict[str, float] = {}
    for kind, rows in similarities.items():
        known = ~np.isnan(rows[0])
        metrics[f"{prefix}users/{kind}"] = int(known.sum())
        for n, (name, row, baseline) in enumerate(zip(names, rows, baselines, strict=True)):
            there = ~np.isnan(row)  # unknown is unknown in the baseline too: it is the item's own label, or its cluster
            if not there.any():
                continue
            if there.sum() < known.sum():
                metrics[f"{prefix}users/{name}/{kind}"] = int(there.sum())
            metrics[f"{prefix}similarity/{name}/{kind}"] = float(row[there].mean())
            before = rows[baseline][there]
            if n != baseline and before.mean() > 0:
                change = relative_change(before, row[there], seed=seed, samples=samples)
                figures = flat({f"{name}/{kind}": change}, prefix)
                of_few = there.sum() < LEAST_USERS
                metrics |= {key: value for key, value in figures.items() if not (of_few and key.endswith(_BOUNDS))}
    return metrics


def lines(metrics: Mapping[str, float], branches: Sequence[str], *, prefix: str = "") -> list[str]:
    """One line for each branch and kind, for the terminal."""
    rows = []
    for name in (*branches, FILTERED):
        for kind in (*KINDS, TRUTH, EMBEDDING, VECTORS):
            if (key := f"{prefix}{name}/{kind}") in metrics:
                low, high = (metrics.get(key + bound) for bound in _BOUNDS)
                bounds = "of too few users" if low is None else f"[{low:+.1%}, {high:+.1%}]"
                rows.append(f"{prefix + name:<32} {kind:<9} {metrics[key]:+8.1%}  {bounds}")
    return rows
