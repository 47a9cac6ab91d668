"""How likely each reaction is, given all that is true of a user and an item: the feed's behaviour model without luck.

`simulation/world/behaviour.py` draws reactions; this says how often each would be drawn. A play lasts at most as long
as the item, and before that is an engaged watch or a glance:

    P(play ≥ t) = [t ≤ duration] · (e · P(watch ≥ t) + (1 − e) · (d · P(glance ≥ t − delay) + (1 − d) · P(glance ≥ t)))

with e and d the probabilities to engage and to dislike, and log-normal plays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from data.feedback import LONG_VIEW_MS, SKIP_BELOW_MS
from simulation.world.behaviour import Environment, Inclinations, inclinations

TASKS = ("EVV", "FVV", "GVV", "long_view", "click", "like", "dislike")


def chances(
    tasks: Sequence[str],
    environment: Environment,
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    *,
    above_ms: NDArray[np.floating],
) -> NDArray[np.float64]:
    """P(task) of users [n] with items [n], for each of `tasks`, of TASKS: [n, K].

    Args: above_ms [n, 2], the watch times above which a play of the item is EVV, and FVV.
    """
    b = environment.config.behaviour
    inclined = inclinations(environment, users, items)
    duration = environment.catalogue.duration_ms[items]

    def watched(at_least_ms: NDArray[np.floating]) -> NDArray[np.float64]:
        return (at_least_ms <= duration) * _longer(at_least_ms, inclined, b)

    def chance(task: str) -> NDArray[np.float64]:
        match task:
            case "EVV" | "FVV":  # play times are whole milliseconds
                return watched(np.floor(above_ms[:, ("EVV", "FVV").index(task)]) + 1)
            case "GVV":
                return 1 - watched(np.full(len(items), SKIP_BELOW_MS))
            case "long_view":
                return watched(np.minimum(duration, LONG_VIEW_MS))
            case "click":
                return inclined.engage
            case "like":
                return b.like * inclined.engage * inclined.satisfied * (1 - inclined.dislike)
            case "dislike":
                return inclined.dislike
        raise ValueError(f"no chance of '{task}': of {', '.join(TASKS)}")

    return np.stack([chance(task) for task in tasks], axis=1)


def _longer(least: NDArray[np.floating], inclined: Inclinations, b: Any) -> NDArray[np.float64]:
    # P(play ≥ least), were the item endless.
    beyond = _log(least - b.engaged_at_ms) - np.log(b.watch_ms) - b.watch_sour * inclined.sour
    watch = ndtr(-beyond / b.watch_sigma)

    def glance(least: NDArray[np.floating]) -> NDArray[np.float64]:
        return (least <= b.engaged_at_ms) * ndtr(-(_log(least) - np.log(b.glance_ms)) / b.glance_sigma)

    late = inclined.dislike * glance(least - b.dislike_delay_ms) + (1 - inclined.dislike) * glance(least)
    return inclined.engage * watch + (1 - inclined.engage) * late


def _log(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.log(values, out=np.full(np.shape(values), -np.inf), where=values > 0)
