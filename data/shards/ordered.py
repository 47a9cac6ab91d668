"""The events of a shard's users in order: what its rows alone say, before anything is known of other shards."""

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import vocabulary
from data.raw.tables import Events, merge_relogged
from data.shards.spill import Rows
from data.timelines import EARLIER_MS

_CODED = ("user_id", "item_id", "surface")


@dataclasses.dataclass(frozen=True)
class Ordered:
    """A shard's events, user by user, within a user by time, ties in the order they were logged.

    Attributes:
      users [U], items, surfaces: ids, sorted, of what occurs here. lengths [U]: events of each user.
      item, surface [E]: place in `items`, and in `surfaces`, counted from 1, 0 for none.
      events: the other columns, as canonical tables have them, `timestamp_ms` among them.
    """

    users: pl.Series
    items: pl.Series
    surfaces: pl.Series
    lengths: NDArray[np.int64]
    item: NDArray[np.int32]
    surface: NDArray[np.int32]
    events: pl.DataFrame


@dataclasses.dataclass(frozen=True)
class Kept:
    """A shard's events in order, in memory or in a file, and what all shards are asked before any can go on.

    Attributes:
      times: of the log's events, sorted, in memory or mapped. users: how many the log has events of.
      rows: that are events, or parts of one. merged: events, without earlier history. undoing: rows that are none.
      columns: that the events have.
    """

    place: Ordered | Path
    times: NDArray[np.int64] | Path
    users: int
    a_user: str
    rows: int
    merged: int
    undoing: int
    columns: tuple[str, ...]

    def load(self) -> Ordered:
        """The events."""
        if isinstance(self.place, Ordered):
            return self.place
        with open(self.place, "rb") as file:
            found: Ordered = pickle.load(file)
        return found

    def remove(self) -> None:
        """Removes the files; times that have been mapped stay."""
        for path in (self.place, self.times):
            if isinstance(path, Path):
                path.unlink()

    def sorted_times(self) -> NDArray[np.int64]:
        """The times, mapped where they are in a file."""
        return np.load(self.times, mmap_mode="r") if isinstance(self.times, Path) else self.times


def ordered(
    rows: Rows,
    earlier: pl.DataFrame | None = None,
    file: Path | None = None,
    *,
    of_users: Callable[[pl.DataFrame], Events],
    dtypes: Mapping[str, pl.DataType],
) -> tuple[Kept, pl.Series, pl.Series]:
    """The events of all users of a shard, and the items and surfaces that they are of.

    Args:
      rows: all of the shard, each user's in the order they were logged. earlier: history of its users, likewise, whose
        time is unknown.
      file: where the events are written, NAME.times.npy beside it for their times; None: they stay in memory.
      of_users: as of `data.raw.tables.Log`. dtypes: of ids, the same in all shards.
    """
    frame = rows.load()
    made = of_users(frame.cast({name: dtype for name, dtype in dtypes.items() if name in frame.columns}))  # type: ignore[arg-type]
    del frame
    log = _by_user_and_time(made.frame)
    log = merge_relogged(log, among=_at_one_time(log))
    times, in_log = np.sort(log["timestamp_ms"].to_numpy()), log["user_id"]
    users, merged = in_log.n_unique(), len(log)
    a_user = str(in_log[0]) if merged else ""
    if earlier is not None and len(earlier):
        before = earlier.with_columns(timestamp_ms=pl.lit(EARLIER_MS, pl.Int64))
        # First, as the order of ties is kept.
        log = _by_user_and_time(pl.concat([before, log], how="diagonal"))
    user_ids, user = _coded(log["user_id"])
    item_ids, item = _coded(log["item_id"])
    surfaces, surface = pl.Series([], dtype=pl.String), np.zeros(len(log), np.int32)
    if "surface" in log.columns:
        surfaces, surface = _coded(log["surface"])
    made_of = Ordered(
        user_ids,
        item_ids,
        surfaces,
        np.bincount(user - 1, minlength=len(user_ids)),
        item,
        surface,
        log.drop(name for name in _CODED if name in log.columns),
    )
    place: Ordered | Path = made_of
    kept_times: NDArray[np.int64] | Path = times
    if file is not None:
        with open(file, "wb") as opened:
            pickle.dump(made_of, opened, protocol=5)
        place, kept_times = file, file.with_suffix(".times.npy")
        np.save(kept_times, times)
    kept = Kept(
        place,
        kept_times,
        users,
        a_user,
        len(made.frame) + made.joined,
        merged,
        made.undoing,
        tuple(log.columns),
    )
    return kept, item_ids, surfaces


def _coded(ids: pl.Series) -> tuple[pl.Series, NDArray[np.int32]]:
    known = vocabulary.build(ids)
    return known, vocabulary.encode(ids, known)


def _by_user_and_time(log: pl.DataFrame) -> pl.DataFrame:
    return log.sort("user_id", "timestamp_ms", maintain_order=True)


def _at_one_time(log: pl.DataFrame) -> pl.Series:
    """True for the events, in order, that have the user and time of another: of a neighbour."""
    time, user = log["timestamp_ms"], log["user_id"]
    as_before = ((time == time.shift()) & (user == user.shift())).fill_null(False)
    return as_before | as_before.shift(-1, fill_value=False)
