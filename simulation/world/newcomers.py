"""New people of a synthetic feed: drawn as those of its log were, from other seeds, and with a past of their own.

They live through the log's days on the same items under the same logging policy, so that at the end of these days they
have what the log's people have: a history, and aversions that have set in. Nothing of them is in any log that a model
was trained on, and each is there once: an experiment on them may resample people.
"""

from functools import partial

import numpy as np
import polars as pl
from ml_collections import ConfigDict

from data import ranges
from runtime.progress import chunks, progress
from simulation.world import kinds
from simulation.world.behaviour import People
from simulation.world.happened import Feed
from simulation.world.population import lengths_apart
from simulation.world.state import World, joined, of_tables
from simulation.world.tables import tables, truth

_CHUNK = 4_000  # people who live in lock-step


def child(seed: np.random.SeedSequence, number: int) -> np.random.SeedSequence:
    """The seed of that number below `seed`: independent of it, of its other children, and of any plain integer seed."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number))


def draw_people(world: World, count: int, seed: np.random.SeedSequence) -> People:
    """`count` new people of the world before their first event, without aversions, in random order."""
    return kinds.of(world.config).draw_users(np.random.default_rng(seed), world.catalogue, _config(world, count))


def newcomers(world: World, count: int, seed: np.random.SeedSequence, *, quiet: bool = False) -> World:
    """The world at the end of its log's days with `count` other people in place of its own, the most active not first.

    The same seed gives the same people. How many events they have is drawn for each apart, where a log of a given
    size scales those of all: the distribution is the same.
    """
    total = round(count * world.config.num_events / world.config.num_users)
    parts = []
    with progress(label="past of new people", total=total, unit="event", quiet=quiet) as bar:
        for n, part in enumerate(chunks(count, _CHUNK)):
            config = _config(world, part.stop - part.start)
            rng = np.random.default_rng(child(seed, n))
            lengths = partial(lengths_apart, config=config)
            feed = kinds.of(config).live(rng, world.catalogue, config, draw_lengths=lengths, advance=bar.update)
            parts.append(as_world(feed, config))
    return _together(parts, _config(world, count))


def as_world(feed: Feed, config: ConfigDict) -> World:
    """A feed at the end of its log: what `open_world` reads of the feed's tables and truth."""
    return of_tables(tables(feed), truth(feed, config), config)


def _config(world: World, count: int) -> ConfigDict:
    # As many events a person as in the log.
    config = ConfigDict(world.config.to_dict())
    config.num_users, config.num_events = count, round(count * world.config.num_events / world.config.num_users)
    return config


def _together(parts: list[World], config: ConfigDict) -> World:
    # The people of all parts, numbered on.
    before = ranges.begins([part.num_users for part in parts])
    aversions = [
        part.aversions.with_columns(pl.col("user_id") + int(first)) for part, first in zip(parts, before, strict=True)
    ]
    return World(
        config=config,
        catalogue=parts[0].catalogue,
        people=joined([part.people for part in parts]),
        log=joined([part.log for part in parts]),
        aversions=pl.concat(aversions),
    )
