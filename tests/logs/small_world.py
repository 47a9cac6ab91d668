"""A synthetic feed small enough for tests, in the folder that simulation.world writes, and fake arms for its items."""

from pathlib import Path

import numpy as np
import polars as pl

from configs.world import get_config
from runtime.artifact import writing
from simulation.world.feed import Feed, simulate
from simulation.world.tables import tables, truth
from tests.helpers import fake_recommender as fake

DIM, HISTORY = 8, 12


def write(folder: Path, **changes) -> Feed:
    """Writes the tiny world, with `changes` of its config, to `folder`."""
    config = get_config("tiny")
    config.update({"num_users": 60, "num_events": 3_000, **changes})
    feed = simulate(config)
    for kind, frames in (("tables", tables(feed)), ("truth", truth(feed, config))):
        with writing(folder / kind, kind=kind, version=1, fields={"config": config.to_dict()}) as partial:
            for name, frame in frames.items():
                frame.write_parquet(partial / f"{name}.parquet")
    return feed


def item_table(num_items: int, feed: Feed | None = None) -> pl.DataFrame:
    """The world's items by their numbers, row 0 padding; with the creators and clusters of `feed` where it is given."""
    ids = np.arange(-1, num_items)
    table = pl.DataFrame({"item_id": ids, "train_count": ids}).with_columns(
        item_id=pl.when(pl.col("item_id") >= 0).then("item_id")
    )
    if feed is None:
        return table
    known = {"creator_id": feed.catalogue.creator, "cluster_id": feed.catalogue.cluster}
    return table.with_columns(pl.Series(name, [None, *column.tolist()]) for name, column in known.items())


def arm(folder: Path, *, num_items: int, seed: int, sees_dislikes: bool = True, step: bool = True, **fields) -> Path:
    """An exported recommender of the world's items: its query is the signed sum of a user's items."""
    vectors = np.random.default_rng(seed).normal(scale=0.3, size=(num_items + 1, DIM)).astype(np.float32)
    vectors[0] = 0
    given = {"vocabulary_hash": "of this world", **fields}
    return fake.write(
        folder,
        vectors=vectors,
        items=given.pop("items", item_table(num_items)),
        tower=fake.sum_tower(vectors, sees_dislikes=sees_dislikes),
        step=fake.sum_step(vectors, sees_dislikes=sees_dislikes) if step else None,
        history=HISTORY,
        **given,
    )
