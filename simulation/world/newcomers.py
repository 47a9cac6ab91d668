"""New people of a synthetic feed: drawn as those of its log were, from other seeds, and with a past of their own.

They live through the log's days on the same items under the same logging policy, so that at the end of these days they
have what the log's people have: a history, and aversions that have set in. Nothing of them is in any log that a model
was trained on, and each is there once: an experiment on them may resample people.
"""

import dataclasses
from functools import partial

import numpy as np
import polars as pl
from ml_collections import ConfigDict

from data import feedback
from runtime.progress import chunks, progress
from simulation.world.behaviour import logged_bits
from simulation.world.feed import Feed, live
from simulation.world.population import Users, draw_users, lengths_apart
from simulation.world.state import Log, World, take

_CHUNK = 4_000  # people who live in lock-step


def child(seed: np.random.SeedSequence, number: int) -> np.random.SeedSequence:
    """The seed of that number below `seed`: independent of it, of its other children, and of any plain integer seed."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number))


def draw_people(world: World, count: int, seed: np.random.SeedSequence) -> Users:
    """`count` new people of the world before their first event, without aversions, in random order."""
    return draw_users(np.random.default_rng(seed), world.catalogue, _config(world, count))


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
            feed = live(rng, world.catalogue, config, draw_lengths=lengths, advance=bar.update)
            parts.append(as_world(feed, config))
    return _together(parts, _config(world, count))


def as_world(feed: Feed, config: ConfigDict) -> World:
    """A feed at the end of its log: what `open_world` reads of the feed's tables and truth."""
    by_id = np.argsort(feed.user_id)
    outside = feed.user_id[feed.user]  # [E]
    order = np.argsort(outside, kind="stable")  # events of a user lie in order of time
    reactions = feed.reactions
    onset, of_creator = feed.onset, feed.onset_of_creator
    sour_item = feed.item[onset]
    aversions = pl.DataFrame(
        {
            "user_id": outside[onset],
            "timestamp_ms": feed.timestamp_ms[onset],
            "target_id": np.where(of_creator, feed.catalogue.creator[sour_item], feed.catalogue.cluster[sour_item]),
            "of_creator": of_creator,
        }
    )
    return World(
        config=config,
        catalogue=feed.catalogue,
        people=take(feed.people, by_id),
        log=Log(
            offsets=np.searchsorted(outside[order], np.arange(config.num_users + 1)),
            item=feed.item[order],
            timestamp_ms=feed.timestamp_ms[order],
            dwell=feedback.dwell_bucket(reactions.play_ms[order]).astype(np.int32),
            feedback=logged_bits(reactions)[order].astype(np.int32),
            satisfaction=reactions.satisfaction_probability[order],
        ),
        aversions=aversions.sort("user_id", "timestamp_ms", maintain_order=True),
    )


def _config(world: World, count: int) -> ConfigDict:
    # As many events a person as in the log.
    config = ConfigDict(world.config.to_dict())
    config.num_users, config.num_events = count, round(count * world.config.num_events / world.config.num_users)
    return config


def _together(parts: list[World], config: ConfigDict) -> World:
    # The people of all parts, numbered on.
    before = np.cumsum([0, *(part.num_users for part in parts)])
    events = np.cumsum([0, *(part.log.offsets[-1] for part in parts)])
    log = {
        field.name: np.concatenate([getattr(part.log, field.name) for part in parts])
        for field in dataclasses.fields(Log)
        if field.name != "offsets"
    }
    people = {
        field.name: np.concatenate([getattr(part.people, field.name) for part in parts])
        for field in dataclasses.fields(Users)
    }
    offsets = [[0], *(part.log.offsets[1:] + start for part, start in zip(parts, events[:-1], strict=True))]
    aversions = [
        part.aversions.with_columns(pl.col("user_id") + int(start))
        for part, start in zip(parts, before[:-1], strict=True)
    ]
    return World(
        config=config,
        catalogue=parts[0].catalogue,
        people=Users(**people),
        log=Log(offsets=np.concatenate(offsets), **log),
        aversions=pl.concat(aversions),
    )
