"""What the feed says of pairs that it has logged is what it said when it logged them."""

import numpy as np
import polars as pl
import pytest

from benchmarks.clickbait.comparison import true_satisfaction
from configs.world import get_config
from data import assembly
from data.raw import quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from runtime.artifact import writing
from simulation.world.feed import simulate
from simulation.world.state import open_world
from simulation.world.tables import tables as world_tables
from simulation.world.tables import truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny world, and timelines made of its tables."""
    root, config = tmp_path_factory.mktemp("world"), get_config("tiny")
    feed = simulate(config)
    for kind, frames in (("tables", world_tables(feed)), ("truth", truth(feed, config))):
        with writing(root / kind, kind=kind, version=1, fields={"config": config.to_dict()}) as partial:
            for name, frame in frames.items():
                frame.write_parquet(partial / f"{name}.parquet")
    made = assembly.assemble(read_tables(root / "tables", quarantine=quarantine.Quarantine()))
    made.write(root / "timelines")
    return root


def test_logged_pairs_have_the_truth_of_their_impression(folder):
    log = Timelines.open(folder / "timelines")
    user, item = log.user_of_event(), np.asarray(log.item)
    found = true_satisfaction(open_world(str(folder)), log, user, item[:, None], np.asarray(log.timestamp_ms))
    asked = pl.DataFrame(
        {
            "user_id": log.users["user_id"].to_numpy()[user],
            "item_id": log.items["item_id"].to_numpy()[item].astype(np.int64),
            "timestamp_ms": np.asarray(log.timestamp_ms),
            "found": found[:, 0],
        }
    )
    known = pl.read_parquet(folder / "truth" / "impressions.parquet")
    known = known.with_columns(pl.col("user_id").cast(asked.schema["user_id"]), pl.col("item_id").cast(pl.Int64))
    both = asked.join(known, on=["user_id", "item_id", "timestamp_ms"], how="left", validate="m:1")
    np.testing.assert_allclose(both["found"], both["satisfaction_probability"], rtol=1e-12)
    assert known["averse"].any()  # a moment too late would find more that has turned sour


def test_several_items_of_a_user_keep_their_places(folder):
    log, world = Timelines.open(folder / "timelines"), open_world(str(folder))
    users, items, now = np.array([0, 1]), np.array([[1, 2, 3], [3, 2, 1]]), np.full(2, log.timestamp_ms.max())
    found = true_satisfaction(world, log, users, items, now)
    for column in range(3):
        one = true_satisfaction(world, log, users, items[:, [column]], now)
        np.testing.assert_array_equal(found[:, [column]], one)
