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
    # Users with a full history first: they have a click in each level.
    enough = before - known.offsets[asked] >= clicks
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(enough))[:users]
    shown = []
    for q in drawn:
        row = {name: array[0] for name, array in model.histories.before(before[q : q + 1]).items()}
        real = row["item"] > 0
        count = int(real.sum())
        place = np.arange(before[q] - count, before[q])
        event = known.event[place]
        level = _levels(np.asarray(scores.satisfaction)[event], model.num_levels)
        shown.append(
            {
                "user": _plain(timelines.users["user_id"][int(asked[q])]),
                "clicks": [
                    {
                        "item": _plain(timelines.items["item_id"][int(timelines.item[e])]),
                        "cluster": _plain(timelines.items["cluster_id"][int(timelines.item[e])])
                        if "cluster_id" in timelines.items.columns
                        else None,
                        "reactions": [name for name in _REACTIONS if has(timelines.feedback[e : e + 1], name)[0]],
                        "satisfaction": float(scores.satisfaction[e]),
                        "level": int(level[n]) + 1,
                    }
                    for n, e in reversed(list(enumerate(event)))
                ][:clicks],
            }
        )
    return shown


def _levels(imputed: np.ndarray, num_levels: int) -> np.ndarray:
    scores, visible = jnp.asarray(imputed, jnp.float32)[None], jnp.ones((1, 1, len(imputed)), bool)
    return np.asarray(level_of(scores, visible=visible, num_levels=num_levels))[0, 0]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
