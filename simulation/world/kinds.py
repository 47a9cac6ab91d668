"""The two synthetic feeds, and which of them a config describes.

In the first, taste is a share of interest in each cluster, and a cluster's items differ in popularity and quality alone
(simulation/world/population.py). In the other it is a point of a latent sphere, of which clusters and creators are poor
readings (simulation/world/latent/); a config of it has a section `latent`.
"""

from typing import Any

import numpy as np

from simulation.world import population
from simulation.world.latent.catalogue import LatentCatalogue, draw_items
from simulation.world.latent.people import LatentUsers, draw_latent_users
from simulation.world.population import Catalogue, Users


def is_latent(config: Any) -> bool:
    """Whether `config` (configs/world.py) describes a latent feed."""
    return "latent" in config


def draw_catalogue(rng: np.random.Generator, config: Any) -> Catalogue:
    """The items of `config`'s feed."""
    return draw_items(rng, config) if is_latent(config) else population.draw_catalogue(rng, config)


def draw_users(rng: np.random.Generator, catalogue: Any, config: Any) -> Users | LatentUsers:
    """The people of `config`'s feed before their first event."""
    if isinstance(catalogue, LatentCatalogue):
        return draw_latent_users(rng, catalogue, config)
    return population.draw_users(rng, catalogue, config)
