"""Generates a synthetic feed of either kind, as its config says."""

from functools import partial
from typing import Any

import numpy as np

from runtime.errors import UsageError
from runtime.progress import progress
from simulation import limits
from simulation.world import kinds
from simulation.world.happened import Feed
from simulation.world.population import LEAST_EVENTS, lengths_of_total


def check(config: Any) -> None:
    """Raises UsageError, naming the setting, where `config` (configs/world.py) describes no world."""
    least = {
        "num_users": 1,
        "num_creators": config.num_clusters,
        "num_items": config.num_creators,
        "num_events": LEAST_EVENTS * config.num_users,
        "days": 1,
        "policy.session": 1,
        **dict.fromkeys(("activity_sigma", "duration_sigma"), 0),
    }
    reasons = {
        "num_creators": "one for each cluster",
        "num_items": "one for each creator",
        "num_events": f"{LEAST_EVENTS} for each user",
    }
    limits.at_least(config, least, reasons)
    limits.probabilities(config, "second_cluster", "policy.random")
    limits.probabilities(config, *(f"behaviour.{name}" for name in ("like", "comment", "follow", "share", "dislike")))
    if not 0 < config.behaviour.dislike_sour < 1:
        raise UsageError(f"--config.behaviour.dislike_sour={config.behaviour.dislike_sour}: between 0 and 1")
    if not config.readiness > 0:
        raise UsageError(f"--config.readiness={config.readiness}: above 0")
    shortest, longest = config.duration_range_ms
    if not 0 < shortest <= longest:
        raise UsageError(f"--config.duration_range_ms={tuple(config.duration_range_ms)}: the shortest and the longest")
    kinds.of(config).check(config)


def simulate(config: Any) -> Feed:
    """Generates the feed of `config` (configs/world.py); the same config gives the same feed, to the bit."""
    rng, kind = np.random.Generator(np.random.PCG64(config.seed)), kinds.of(config)
    catalogue, lengths = kind.draw_catalogue(rng, config), partial(lengths_of_total, config=config)
    with progress(label="synthetic feed", total=config.num_events, unit="event") as bar:
        return kind.live(rng, catalogue, config, draw_lengths=lengths, advance=bar.update)
