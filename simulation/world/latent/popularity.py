"""How popular each item of the latent feed is at each moment: fame, which stays, and bursts, which come and go.

    log a_i(t) = fame_i + Σ_b h_b exp(−(t − t_b) / τ),    t_b <= t, h ~ Exp(height), τ = `burst_days`

The first burst is the upload's; later ones come at `burst_rate` a day. Its correlation over d days is that of fame for
good and exp(−d / τ) for the rest. It is what the platform makes of an item, whatever users do.
"""

from typing import Any

import numpy as np

STEPS_A_DAY = 4


def upload_days(rng: np.random.Generator, items: int, config: Any) -> np.ndarray:
    """When each item was uploaded [N], days after the log's start, below 0 before it.

    A share `new_a_day` of the catalogue appears on each of the log's days; the others are older, by `age_days` on
    average.
    """
    new = rng.random(items) < config.popularity.new_a_day * config.days
    return np.where(
        new, rng.uniform(0, config.days, size=items), -rng.exponential(config.popularity.age_days, size=items)
    )


def popularity_path(
    rng: np.random.Generator, creator: np.ndarray, quality: np.ndarray, uploaded: np.ndarray, config: Any
) -> tuple[np.ndarray, np.ndarray]:
    """(fame [N], log a at the beginning of each quarter of a day [S, N], float32; -inf before the upload's step)."""
    p, items = config.popularity, len(creator)
    by_creator, own = rng.normal(size=config.num_creators)[creator], rng.normal(size=items)
    fame = p.fame_sigma * (np.sqrt(p.fame_of_creator) * by_creator + np.sqrt(1 - p.fame_of_creator) * own)
    fame += p.fame_quality * quality
    steps = np.arange(config.days * STEPS_A_DAY) / STEPS_A_DAY  # [S] days
    before = 5 * p.burst_days  # bursts before that are forgotten
    number = rng.poisson(p.burst_rate * (config.days + before), size=items)
    item = np.concatenate([np.repeat(np.arange(items), number), np.arange(items)])
    at = np.concatenate([rng.uniform(-before, config.days, size=number.sum()), uploaded])
    height = rng.exponential(p.burst_height, size=len(item))
    height[number.sum() :] += p.upload_height
    height *= at >= uploaded[item]
    path = np.tile(fame.astype(np.float32), (len(steps), 1))
    for s, t in enumerate(steps):
        now = at <= t
        decay = height[now] * np.exp((at[now] - t) / p.burst_days)
        path[s] += np.bincount(item[now], weights=decay, minlength=items).astype(np.float32)
        path[s, uploaded > t] = -np.inf
    return fame, path


def step_of(days: np.ndarray, config: Any) -> np.ndarray:
    """The row of the path for moments [n], days after the log's start; after its end, the last."""
    return np.clip((days * STEPS_A_DAY).astype(np.int64), 0, config.days * STEPS_A_DAY - 1)
