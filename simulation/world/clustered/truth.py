"""The truth of a clustered feed as tables, and back again; and people as they were at a moment of their log."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from runtime.errors import DataError
from simulation.world.happened import Feed
from simulation.world.population import Catalogue, Users


def items(catalogue: Catalogue) -> dict[str, Any]:
    """Columns of truth/items beside those of every feed: none."""
    del catalogue
    return {}


def users(feed: Feed, by_id: np.ndarray) -> pl.DataFrame:
    """truth/users: their interest in each cluster, what the platform believed of it, their favourite creators, and what
    stays of a person."""
    people = feed.people
    return pl.DataFrame(
        {
            "user_id": feed.user_id[by_id],
            "interest": people.interest[by_id],
            "believed": people.believed[by_id],
            "favourite_creators": people.favourites[by_id],
            "willingness": people.willingness[by_id],
            "readiness": people.readiness[by_id],
        }
    )


def aversions(feed: Feed) -> dict[str, Any]:
    """Columns of truth/aversions beside who and when: the cluster or creator that turned sour."""
    catalogue, item = feed.catalogue, feed.item[feed.onset]
    return {
        "against": np.where(feed.onset_of_creator, "creator", "cluster"),
        "target_id": np.where(feed.onset_of_creator, catalogue.creator[item], catalogue.cluster[item]),
    }


def read_catalogue(base: dict[str, np.ndarray], known: pl.DataFrame) -> Catalogue:
    """The catalogue of truth/items, `base` being its columns that every feed has."""
    del known
    return Catalogue(**base)


def read_people(known: pl.DataFrame, found: pl.DataFrame, catalogue: Catalogue, config: Any) -> Users:
    """The people of truth/users at the log's end, with all their aversions `found`. Errors: DataError."""
    del catalogue
    if "believed" not in known.columns:
        raise DataError("truth/users has no column 'believed': of an older feed; run simulation.world again")
    people = Users(
        interest=np.stack(known["interest"].to_list()),
        favourites=np.stack(known["favourite_creators"].to_list()),
        believed=np.stack(known["believed"].to_list()),
        willingness=known["willingness"].to_numpy(),
        readiness=known["readiness"].to_numpy(),
        sour_cluster=np.zeros((known.height, config.num_clusters), bool),
        sour_creator=np.zeros((known.height, config.num_creators), bool),
    )
    return _sour(people, found.with_columns(place="user_id"))


def at_moments(people: Users, rows_of: np.ndarray, timestamp_ms: np.ndarray, found: pl.DataFrame, world: Any) -> Users:
    """`people` [n], a row each, with the aversions `found` that had set in by then, `place` being the row."""
    del rows_of, timestamp_ms, world
    return _sour(people, found)


def _sour(people: Users, aversions: pl.DataFrame) -> Users:
    # Nothing is sour but what `aversions` say of the rows `place`.
    sour = dataclasses.replace(
        people, sour_cluster=np.zeros_like(people.sour_cluster), sour_creator=np.zeros_like(people.sour_creator)
    )
    for state, rows in (
        (sour.sour_creator, aversions.filter("of_creator")),
        (sour.sour_cluster, aversions.filter(~pl.col("of_creator"))),
    ):
        state[rows["place"].to_numpy(), rows["target_id"].to_numpy()] = True
    return sour
