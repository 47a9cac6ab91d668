"""The two kinds of synthetic feed, and which of them a config describes.

In a clustered feed taste is a share of interest in each cluster, and a cluster's items differ in popularity and quality
alone (simulation/world/clustered/). In a latent one it is a point of a sphere, of which clusters and creators are poor
readings (simulation/world/latent/); a config of it has a section `latent`. Whatever tells them apart is in here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from simulation.world import population
from simulation.world.behaviour import People
from simulation.world.clustered import feed as clustered
from simulation.world.clustered import truth as clustered_truth
from simulation.world.happened import Feed
from simulation.world.latent import feed as latent
from simulation.world.latent import truth as latent_truth
from simulation.world.latent.catalogue import draw_items
from simulation.world.latent.people import draw_latent_users
from simulation.world.population import Catalogue


class Truth(Protocol):
    """What is known of a feed because it was made, as tables beside the world, and back again: a module `truth`."""

    def items(self, catalogue: Any) -> dict[str, Any]:
        """Columns of truth/items beside those of every feed."""

    def users(self, feed: Feed, by_id: np.ndarray) -> pl.DataFrame:
        """truth/users, in the order of their ids, `by_id` [U]."""

    def aversions(self, feed: Feed) -> dict[str, Any]:
        """Columns of truth/aversions, what was turned against, beside who did and when."""

    def read_catalogue(self, base: dict[str, np.ndarray], known: pl.DataFrame) -> Catalogue:
        """The catalogue of truth/items, `base` being its columns that every feed has."""

    def read_people(self, known: pl.DataFrame, found: pl.DataFrame, catalogue: Any, config: Any) -> Any:
        """The people of truth/users at the log's end, with all their aversions `found`."""

    def at_moments(
        self, people: Any, rows_of: np.ndarray, timestamp_ms: np.ndarray, found: pl.DataFrame, world: Any
    ) -> Any:
        """`people` [n], a row each, as they were just before moments of the users `rows_of` [n] of the log.

        `found`: the aversions that had set in, `place` being the row.
        """


@dataclass(frozen=True)
class Kind:
    """What one kind of feed does in its own way.

    check(config) raises UsageError for settings that only it has; draw_catalogue(rng, config) and
    draw_users(rng, catalogue, config) draw items, and people before their first event.
    live(rng, catalogue, config, draw_lengths=, advance=) draws people who live through the days of `config` on what the
    platform shows them: draw_lengths(rng), how many events each has, int [U], descending; advance(n), n more passed.
    """

    check: Callable[[Any], None]
    draw_catalogue: Callable[[np.random.Generator, Any], Catalogue]
    draw_users: Callable[[np.random.Generator, Any, Any], People]
    live: Callable[..., Feed]
    truth: Truth


CLUSTERED = Kind(clustered.check, population.draw_catalogue, population.draw_users, clustered.live, clustered_truth)
LATENT = Kind(latent.check, draw_items, draw_latent_users, latent.live, latent_truth)


def of(config: Any) -> Kind:
    """The kind of feed that `config` (configs/world.py) describes."""
    return LATENT if "latent" in config else CLUSTERED
