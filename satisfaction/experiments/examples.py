"""A few users' clicks with the satisfaction that is imputed to each, for a person to look at."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from data.feedback import has
from data.timelines import Timelines
from satisfaction.saqrec.levels import level_of
from satisfaction.saqrec.trained import Aligned
from satisfaction.unbiased.imputed import Scores

_REACTIONS = ("long_view", "like", "dislike", "skip")


def examples(
    model: Aligned, scores: Scores, timelines: Timelines, *, split: str, seed: int, users: int = 3, clicks: int = 8
) -> list[dict[str, Any]]:
    """Of `users` drawn users the last `clicks` clicks before `split`, newest first.

    Each entry has `user` and `clicks`, of each the item's id, cluster, what the user did, the imputed satisfaction and
    its level, 1 the most satisfying.
    """
    known = model.histories.clicks
    asked, before = known.targets(split)
    # Of users with so many clicks alone: they have one in each level.
    enough = before - known.offsets[asked] >= clicks
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(enough))[:users]
    shown = []
    for q in drawn:
        begin = max(known.offsets[asked[q]], before[q] - model.histories.length)
        events = known.event[begin : before[q]]
        levels = _levels(np.asarray(scores.satisfaction)[events], model.num_levels)
        newest = list(zip(events, levels, strict=True))[: -clicks - 1 : -1]
        shown.append(
            {
                "user": timelines.users["user_id"][int(asked[q])],
                "clicks": [
                    _click(timelines, event)
                    | {"satisfaction": float(scores.satisfaction[event]), "level": int(level) + 1}
                    for event, level in newest
                ],
            }
        )
    return shown


def _click(timelines: Timelines, event: int) -> dict[str, Any]:
    item, of_cluster = int(timelines.item[event]), "cluster_id" in timelines.items.columns
    return {
        "item": timelines.items["item_id"][item],
        "cluster": timelines.items["cluster_id"][item] if of_cluster else None,
        "reactions": [name for name in _REACTIONS if has(timelines.feedback[event], name)],
    }


def _levels(imputed: np.ndarray, num_levels: int) -> np.ndarray:
    scores, visible = jnp.asarray(imputed, jnp.float32)[None], jnp.ones((1, 1, len(imputed)), bool)
    return np.asarray(level_of(scores, visible=visible, num_levels=num_levels))[0, 0]
