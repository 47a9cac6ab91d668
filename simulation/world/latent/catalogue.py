"""The items of the latent feed: what they are, a point on a sphere, and what a log is told of it, a label and a name.

    v_i = unit(√g · c_genre + √r · e_creator + √(1 − g − r) · ε_i),    c, e on the sphere, ε ~ N(0, I / D)

with g = `genre_share`, r = `creator_share`. A creator publishes mostly in one genre. What stands in the log as the
item's cluster is the genre, except that in a share `label_coarse` of the items it is label 0, which says nothing, and
in a share `label_wrong` the label of another genre.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.world.latent.popularity import popularity_path, upload_days
from simulation.world.population import DAY_MS, Catalogue


@dataclass(frozen=True)
class LatentCatalogue(Catalogue):
    """Items, N of them, and what no log has of them."""

    vector: np.ndarray  # [N, D], on the sphere
    genre: np.ndarray  # [N] from 1 on, of which `cluster` is a reading
    path: np.ndarray  # [S, N] log popularity at each step of the log's time, -inf before the upload


def draw_items(rng: np.random.Generator, config: Any) -> LatentCatalogue:
    """Draws the catalogue of `config` (configs/world.py, a latent world)."""
    items, creators, space = config.num_items, config.num_creators, config.latent
    genres = config.num_clusters - 1
    share = genre_shares(rng, genres, space.genre_overlap)
    main = rng.choice(genres, size=creators, p=share)
    output = rng.lognormal(sigma=1.0, size=creators)
    extra = rng.choice(creators, size=items - creators, p=output / output.sum())
    creator = rng.permutation(np.concatenate([np.arange(creators), extra]))
    aside = rng.random(items) < config.second_cluster
    genre = np.where(aside, rng.choice(genres, size=items, p=share), main[creator])

    within = 1 - space.genre_share - space.creator_share
    centre, hand = (on_sphere(rng.standard_normal((n, space.dim))) for n in (genres, creators))
    own = rng.standard_normal((items, space.dim)) / np.sqrt(space.dim)
    vector = on_sphere(
        np.sqrt(space.genre_share) * centre[genre]
        + np.sqrt(space.creator_share) * hand[creator]
        + np.sqrt(within) * own
    )
    quality = rng.normal(size=items)
    uploaded = upload_days(rng, items, config)
    duration = rng.lognormal(np.log(config.duration_median_ms), config.duration_sigma, size=items)
    fame, path = popularity_path(rng, creator, quality, uploaded, config)
    return LatentCatalogue(
        creator=creator,
        cluster=labels(rng, genre + 1, config),
        duration_ms=np.clip(duration, *config.duration_range_ms).astype(np.int64),
        uploaded_ms=config.start_ms + (uploaded * DAY_MS).astype(np.int64),
        quality=quality,
        clickbait=rng.beta(1.0, 4.0, size=items),
        popularity=np.exp(fame),
        vector=vector.astype(np.float32),
        genre=genre + 1,
        path=path,
    )


def genre_shares(rng: np.random.Generator, genres: int, overlap: float) -> np.ndarray:
    """Shares [genres] of a Dirichlet distribution under which two items are of one genre with probability `overlap`.

    E Σ p² = (a + 1) / (a G + 1) gives a = (1 − overlap) / (overlap G − 1).
    """
    return rng.dirichlet(np.full(genres, (1 - overlap) / max(overlap * genres - 1, 1e-3)))


def labels(rng: np.random.Generator, genre: np.ndarray, config: Any) -> np.ndarray:
    """The cluster [N] that a log has of items of a genre [N], from 1 to `num_clusters` − 1: right, coarse, or wrong."""
    wrong, coarse = config.latent.label_wrong, config.latent.label_coarse
    uniform = rng.random(len(genre))
    # One of the others, each as likely.
    other = 1 + (genre - 1 + rng.integers(1, max(config.num_clusters - 1, 2), len(genre))) % (config.num_clusters - 1)
    return np.where(uniform < coarse, 0, np.where(uniform < coarse + wrong, other, genre))


def on_sphere(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., D] at length 1."""
    return vectors / np.sqrt(np.einsum("...d,...d->...", vectors, vectors))[..., None]
