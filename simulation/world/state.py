"""A synthetic feed at the end of its log, read back from the folder that `simulation.world` wrote.

The log says what everybody did; the truth beside it what they like and what has turned sour: together they are all that
`simulation/world/behaviour.py` needs to go on from there.
"""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
from ml_collections import ConfigDict

from data import feedback, ranges
from runtime.artifact import open_manifest
from runtime.errors import DataError, UsageError
from simulation.world.behaviour import LOGGED
from simulation.world.population import Catalogue, Users


@dataclasses.dataclass(frozen=True)
class Log:
    """E events, user by user and in order of time; user u has events offsets[u] to offsets[u + 1]."""

    offsets: np.ndarray  # [U + 1]
    item: np.ndarray
    timestamp_ms: np.ndarray
    dwell: np.ndarray
    feedback: np.ndarray
    satisfaction: np.ndarray  # probability, from the truth

    @property
    def user(self) -> np.ndarray:
        """The user of every event [E]."""
        return ranges.owners(np.diff(self.offsets))


@dataclasses.dataclass(frozen=True)
class World:
    """The feed: `people` as the log leaves them, users and items by their number, which are also their outside ids."""

    config: ConfigDict  # of configs/world.py
    catalogue: Catalogue
    people: Users
    log: Log
    aversions: pl.DataFrame  # user_id, timestamp_ms, of_creator, target_id: what turned sour, and when

    @property
    def num_users(self) -> int:
        return len(self.people.readiness)

    @property
    def num_items(self) -> int:
        return len(self.catalogue.quality)

    def people_at(self, users: np.ndarray, timestamp_ms: np.ndarray) -> Users:
        """Users [n] as they were just before a moment [n] each: one row a pair."""
        pairs = pl.DataFrame({"row": np.arange(len(users)), "user_id": users, "now": timestamp_ms})
        sour = pairs.join(self.aversions, on="user_id").filter(pl.col("timestamp_ms") < pl.col("now"))
        return _sour(take(self.people, users), sour.rename({"row": "place"}))


def take(people: Users, users: np.ndarray) -> Users:
    """The users [n], each a row of its own: who is named twice is there twice and goes two ways from here on."""
    return Users(**{field.name: getattr(people, field.name)[users] for field in dataclasses.fields(people)})


def open_world(path: str, *, flag: str = "--world") -> World:
    """The world in the workdir of a simulation.world.

    Errors: UsageError where the folder holds no world or no truth; DataError where a file of it is damaged, or tables
    and truth are of two worlds.
    """
    folder = Path(path)
    if not (folder / "truth").is_dir():
        raise UsageError(f"{flag}={path}: no truth/ here; give the workdir of a simulation.world")
    manifest = open_manifest(folder / "truth", kind="truth", version=1, flag=flag)
    if open_manifest(folder / "tables", kind="tables", version=1, flag=flag)["config"] != manifest["config"]:
        raise DataError(f"{folder}: tables/ and truth/ are of two worlds; run simulation.world again")
    config = ConfigDict(manifest["config"])
    events, items = (pl.read_parquet(folder / "tables" / f"{name}.parquet", glob=False) for name in ("events", "items"))
    known = {
        name: pl.read_parquet(folder / "truth" / f"{name}.parquet", glob=False)
        for name in ("impressions", "items", "users", "aversions")
    }
    for table in (items, known["items"], known["users"]):
        # Numbers are ids; everything below indexes by them.
        if not np.array_equal(table.to_series(0).to_numpy(), np.arange(table.height)):
            raise DataError(f"{folder}: column '{table.columns[0]}' does not count from 0; run simulation.world again")
    aversions = known["aversions"].select(
        "user_id", "timestamp_ms", "target_id", of_creator=pl.col("against") == "creator"
    )
    return World(
        config=config,
        catalogue=_catalogue(items, known["items"], config),
        people=_people(known["users"], aversions, config),
        log=_log(events, known["impressions"], known["users"].height),
        aversions=aversions,
    )


def user_numbers(users: pl.DataFrame, world: World, *, flag: str, remedy: str) -> np.ndarray:
    """The world's user of each row of a user table, int64 [U]. Errors: UsageError as `item_numbers`."""
    ids = users["user_id"].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    if ((ids < 0) | (ids >= world.num_users)).any():
        raise UsageError(f"{flag}: has a user_id that is not of --world; {remedy}")
    return ids


def item_numbers(items: pl.DataFrame, world: World, *, flag: str, remedy: str) -> np.ndarray:
    """The world's item of each row of an item table, int64 [N + 1], -1 for row 0, the padding.

    Two worlds of one size have the same item ids, but not the same creators and clusters; where the table has these
    (`creator_id`, `cluster_id`), each row must have those of the world's catalogue.
    Errors: UsageError, which names `flag` and ends in `remedy`, at the first item that is not of this world.
    """

    def number(column: str) -> np.ndarray:
        return items[column][1:].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()

    ids = number("item_id")
    foreign = (ids < 0) | (ids >= world.num_items)
    if foreign.any():
        raise UsageError(f"{flag}: item {items['item_id'][_first(foreign) + 1]} is not of --world; {remedy}")
    for column, ours in (("creator_id", world.catalogue.creator), ("cluster_id", world.catalogue.cluster)):
        if column in items.columns and items[column].null_count() < items.height:
            theirs = number(column)
            differs = theirs != ours[ids]
            if differs.any():
                item = ids[_first(differs)]
                raise UsageError(
                    f"{flag}: item {item} has {column} {theirs[_first(differs)]}, in --world {ours[item]}; {remedy}"
                )
    return np.concatenate([[-1], ids])


def _first(where: np.ndarray) -> int:
    return int(np.flatnonzero(where)[0])


def _catalogue(items: pl.DataFrame, known: pl.DataFrame, config: ConfigDict) -> Catalogue:
    creator, cluster = items["creator_id"].to_numpy(), items["cluster_id"].to_numpy()
    counts = np.zeros((config.num_creators, config.num_clusters), np.int64)
    np.add.at(counts, (creator, cluster), 1)
    return Catalogue(
        creator=creator,
        cluster=cluster,
        duration_ms=items["duration_ms"].to_numpy(),
        uploaded_ms=items["uploaded_ms"].to_numpy(),
        quality=known["quality"].to_numpy(),
        clickbait=known["clickbait"].to_numpy(),
        popularity=known["popularity"].to_numpy(),
        creator_cluster=counts.argmax(axis=1),
    )


def _people(users: pl.DataFrame, aversions: pl.DataFrame, config: ConfigDict) -> Users:
    people = Users(
        interest=np.stack(users["interest"].to_list()),
        favourites=np.stack(users["favourite_creators"].to_list()),
        willingness=users["willingness"].to_numpy(),
        readiness=users["readiness"].to_numpy(),
        sour_cluster=np.zeros((users.height, config.num_clusters), bool),
        sour_creator=np.zeros((users.height, config.num_creators), bool),
    )
    return _sour(people, aversions.with_columns(place="user_id"))


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


def _log(events: pl.DataFrame, impressions: pl.DataFrame, num_users: int) -> Log:
    if not events.select("user_id", "item_id").equals(impressions.select("user_id", "item_id")):
        raise DataError("--world: its truth is not row for row with its events; run simulation.world again")
    order = np.argsort(events["user_id"].to_numpy(), kind="stable")  # events lie in order of time
    user = events["user_id"].to_numpy()[order]
    play_ms = events["play_ms"].to_numpy()[order]
    return Log(
        offsets=np.searchsorted(user, np.arange(num_users + 1)),
        item=events["item_id"].to_numpy()[order],
        timestamp_ms=events["timestamp_ms"].to_numpy()[order],
        dwell=feedback.dwell_bucket(play_ms).astype(np.int32),
        feedback=feedback.to_bits({name: events[name].to_numpy()[order] for name in LOGGED}, play_ms=play_ms).astype(
            np.int32
        ),
        satisfaction=impressions["satisfaction_probability"].to_numpy()[order],
    )
