"""A synthetic feed at the end of its log, read back from the folder that `simulation.world` wrote.

The log says what everybody did; the truth beside it what they like and what has turned sour: together they are all that
`simulation/world/behaviour.py` needs to go on from there.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl
from ml_collections import ConfigDict

from data import feedback, ranges
from runtime.artifact import open_manifest
from runtime.errors import DataError, UsageError
from simulation.world import kinds
from simulation.world.behaviour import LOGGED, Environment
from simulation.world.population import Catalogue

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record", bound="DataclassInstance")


@dataclasses.dataclass(frozen=True)
class Log:
    """E events, user by user and in order of time; user u has events offsets[u] to offsets[u + 1]."""

    count: np.ndarray  # [U] events
    item: np.ndarray
    timestamp_ms: np.ndarray
    dwell: np.ndarray
    feedback: np.ndarray
    satisfaction: np.ndarray  # probability, from the truth
    intent: np.ndarray  # of a latent feed: the taste that the session was about, from the truth; else 0
    session: np.ndarray  # of a latent feed: the session's number, from the truth; else 0

    @property
    def offsets(self) -> np.ndarray:
        """Where each user's events begin, and where the last one's end [U + 1]."""
        return ranges.sums_before(self.count)

    @property
    def user(self) -> np.ndarray:
        """The user of every event [E]."""
        return ranges.owners(self.count)


@dataclasses.dataclass(frozen=True)
class World:
    """The feed: `people` as the log leaves them, users and items by their number, which are also their outside ids."""

    config: ConfigDict  # of configs/world.py
    catalogue: Catalogue
    people: Any  # simulation.world.behaviour.People
    log: Log
    aversions: pl.DataFrame  # user_id, timestamp_ms, of_creator, target_id: what turned sour, and when; see `truth`

    @property
    def num_users(self) -> int:
        return len(self.people.readiness)

    @property
    def num_items(self) -> int:
        return len(self.catalogue.quality)

    def environment_of(self, users: np.ndarray) -> Environment:
        """For users [n] as the log leaves them, each a copy and a row of its own: who is named twice goes two ways."""
        return Environment(take(self.people, users), self.catalogue, self.config)

    def environment_at(self, users: np.ndarray, timestamp_ms: np.ndarray) -> Environment:
        """Users [n] as they were just before a moment [n] each: one row a pair."""
        pairs = pl.DataFrame({"row": np.arange(len(users)), "user_id": users, "now": timestamp_ms})
        sour = pairs.join(self.aversions, on="user_id").filter(pl.col("timestamp_ms") < pl.col("now"))
        people, sour = take(self.people, users), sour.rename({"row": "place"})
        kind = kinds.of(self.config).truth
        people = kind.at_moments(people, np.asarray(users), np.asarray(timestamp_ms), sour, self)
        return Environment(people, self.catalogue, self.config)


def take(people: _Record, users: np.ndarray) -> _Record:
    """A copy of the users [n], each a row of its own; who is named twice is there twice."""
    return type(people)(**{field.name: getattr(people, field.name)[users] for field in dataclasses.fields(people)})


def joined(records: Sequence[_Record]) -> _Record:
    """Of several records of arrays the one whose arrays are theirs, one after the other."""
    names = [field.name for field in dataclasses.fields(records[0])]
    return type(records[0])(**{name: np.concatenate([getattr(part, name) for part in records]) for name in names})


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
    log, known = (
        {name: pl.read_parquet(folder / kind / f"{name}.parquet", glob=False) for name in names}
        for kind, names in (("tables", ("events", "items")), ("truth", ("impressions", "items", "users", "aversions")))
    )
    for table in (log["items"], known["items"], known["users"]):
        # Numbers are ids; everything below indexes by them.
        if not np.array_equal(table.to_series(0).to_numpy(), np.arange(table.height)):
            raise DataError(f"{folder}: column '{table.columns[0]}' does not count from 0; run simulation.world again")
    pair = ("user_id", "item_id")
    if not log["events"].select(pair).equals(known["impressions"].select(pair)):
        raise DataError(f"{folder}: truth/ is not row for row with the events; run simulation.world again")
    try:
        return of_tables(log, known, ConfigDict(manifest["config"]))
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error


def of_tables(tables: Mapping[str, pl.DataFrame], truth: Mapping[str, pl.DataFrame], config: ConfigDict) -> World:
    """The world of the frames of simulation/world/tables.py, both of one feed."""
    aversions = truth["aversions"].with_columns(of_creator=pl.col("against") == "creator").drop("against")
    kind = kinds.of(config).truth
    catalogue = kind.read_catalogue(_of_every_item(tables["items"], truth["items"]), truth["items"])
    return World(
        config=config,
        catalogue=catalogue,
        people=kind.read_people(truth["users"], aversions, catalogue, config),
        log=_log(tables["events"], truth["impressions"], truth["users"].height),
        aversions=aversions,
    )


def _of_every_item(items: pl.DataFrame, known: pl.DataFrame) -> dict[str, np.ndarray]:
    # The fields of a catalogue that every feed has.
    columns = {name: items[f"{name}_id"].to_numpy() for name in ("creator", "cluster")}
    columns |= {name: items[name].to_numpy() for name in ("duration_ms", "uploaded_ms")}
    return columns | {name: known[name].to_numpy() for name in ("quality", "clickbait", "popularity")}


def _log(events: pl.DataFrame, impressions: pl.DataFrame, num_users: int) -> Log:
    order = np.argsort(events["user_id"].to_numpy(), kind="stable")  # events lie in order of time
    user = events["user_id"].to_numpy()[order]
    play_ms = events["play_ms"].to_numpy()[order]
    return Log(
        count=np.bincount(user, minlength=num_users),
        item=events["item_id"].to_numpy()[order],
        timestamp_ms=events["timestamp_ms"].to_numpy()[order],
        dwell=feedback.dwell_bucket(play_ms).astype(np.int32),
        feedback=feedback.to_bits({name: events[name].to_numpy()[order] for name in LOGGED}, play_ms=play_ms).astype(
            np.int32
        ),
        satisfaction=impressions["satisfaction_probability"].to_numpy()[order],
        **{
            name: impressions[name].to_numpy()[order] if name in impressions.columns else np.zeros(len(order), np.int8)
            for name in ("intent", "session")
        },
    )
