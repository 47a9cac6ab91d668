"""The timelines of a shard's users: their events in order, as arrays, once it is decided what concerns all shards."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data import feedback, ranges, splits, timelines, traits, undo, vocabulary
from data.raw.tables import FEEDBACK_COLUMNS
from data.shards.ordered import Kept, Ordered
from data.timelines import EARLIER_MS, EVENT_DTYPES, USER_DTYPES

_UNKNOWN = {"play_ms": -1, "duration_ms": -1, "questionnaire_answer": -1}  # where a log says nothing else: 0


@dataclasses.dataclass(frozen=True)
class Decided:
    """What is decided of a log as a whole.

    items: ids, sorted, row i being dense item i + 1; those of events that are not among them leave the log.
    duration_ms: of each of these as the table of items has it, -1 for none. surfaces, as items. columns: that events of
    any shard have. moments: valid_start_ms and test_start_ms, where validation and test begin.
    """

    items: pl.Series
    duration_ms: NDArray[np.int32]
    surfaces: pl.Series
    columns: Sequence[str]
    moments: Mapping[str, int]

    @property
    def feedback(self) -> list[str]:
        """The names of the feedback that this log has."""
        has_play = "play_ms" in self.columns
        derived = {"long_view", "skip"} if has_play else set()
        return [name for name in feedback.BITS if name in derived or name in {*self.columns} & {*FEEDBACK_COLUMNS}]


@dataclasses.dataclass(frozen=True)
class Part:
    """A shard's part of timelines.

    Attributes:
      arrays: those of timelines, [E] and [U] of the shard; positions count from its first event. None where they are
        in files, NAME in `folder`.
      users [U]. trained [U]: whether they have events in train. counts: of the events. earlier: how many are of earlier
        history. sizes: train, valid and test -> events.
      items: dense items that its events are of; train_count, duration_ms, first_ms: of each of these the training
        events, the longest duration that an event tells, -1 for none, and the time of the first event.
      changed: feedback -> how many events do not have what was said of them (data/undo.py).
    """

    arrays: Mapping[str, NDArray[Any]] | None
    folder: Path | None
    users: pl.Series
    counts: Counter[str]
    earlier: int
    trained: NDArray[np.bool_]
    sizes: Mapping[str, int]
    items: NDArray[np.int32]
    train_count: NDArray[np.int32]
    duration_ms: NDArray[np.int32]
    first_ms: NDArray[np.int64]
    changed: Mapping[str, undo.Changed]

    def without_items(self) -> "Part":
        """The same without what it says of items, which all parts together are asked for."""
        none = np.zeros(0, np.int32)
        return dataclasses.replace(self, items=none, train_count=none, duration_ms=none, first_ms=none.astype(np.int64))


def part(kept: Kept, folder: Path | None = None, *, decided: Decided) -> Part:
    """A shard's part; with a `folder` its arrays are written there, as they lie in memory, and left out of the result.

    Errors: DataError for moments in the wrong order.
    """
    shard = kept.load()
    events, changed = undo.standing(shard.events, **decided.moments)
    # 0 where an item is not among those of the log.
    item = np.append(0, vocabulary.encode(shard.items, decided.items))[shard.item]
    user = ranges.owners(shard.lengths)
    surface, users = shard.surface, shard.users
    if not item.all():
        stays = item > 0
        item, user, surface = item[stays], user[stays], surface[stays]
        events = events.filter(pl.Series(stays))
    lengths = np.bincount(user, minlength=len(users))
    if not lengths.all():
        users = users.filter(pl.Series(lengths > 0))
        lengths = lengths[lengths > 0]
    offsets = ranges.sums_before(lengths)
    time = events["timestamp_ms"].to_numpy()
    valid_start, test_start = splits.by_time(time, offsets, **decided.moments)
    splits.check_no_leak(time, offsets, valid_start, test_start, **decided.moments)

    arrays = _event_arrays(events, decided.duration_ms[item - 1])
    arrays["item"] = item
    # A column that is empty in every row has no values either.
    arrays["surface"] = np.append(0, vocabulary.encode(shard.surfaces, decided.surfaces))[surface]
    arrays |= {"offsets": offsets, "valid_start": valid_start, "test_start": test_start}
    arrays = {
        name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in {**EVENT_DTYPES, **USER_DTYPES}.items()
    }
    edges = (offsets[:-1], valid_start, test_start, offsets[1:])
    trained = arrays["item"][ranges.inside(offsets, offsets[:-1], valid_start)]
    items, place = np.unique(arrays["item"], return_inverse=True)
    duration_ms = np.full(len(items), -1, np.int32)
    np.maximum.at(duration_ms, place, arrays["duration_ms"])
    first_ms = np.full(len(items), timelines.NEVER_MS)
    np.minimum.at(first_ms, place, time)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            with open(folder / name, "wb") as file:
                file.write(array.data)
    return Part(
        arrays if folder is None else None,
        folder,
        users,
        traits.counted(arrays),
        int((time == EARLIER_MS).sum()),
        valid_start > offsets[:-1],
        {name: int((edges[at + 1] - edges[at]).sum()) for at, name in enumerate(splits.PARTS)},
        items,
        np.bincount(np.searchsorted(items, trained), minlength=len(items)).astype(np.int32),
        duration_ms,
        first_ms,
        changed,
    )


def item_counts(kept: Kept, before_ms: int) -> tuple[pl.Series, NDArray[np.int64]]:
    """The items of a shard, and how many events of each it has before a moment."""
    shard = kept.load()
    early = shard.events["timestamp_ms"].to_numpy() < before_ms
    return shard.items, np.bincount(shard.item[early] - 1, minlength=len(shard.items))


def surfaces_of(kept: Kept, items: pl.Series) -> pl.Series:
    """The surfaces of a shard's events of these items."""
    shard: Ordered = kept.load()
    stays = np.append(0, vocabulary.encode(shard.items, items))[shard.item] > 0
    return shard.surfaces.gather(np.unique(shard.surface[stays & (shard.surface > 0)]) - 1)


def _event_arrays(events: pl.DataFrame, item_duration_ms: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    # Of each event [E] also what its item's own duration is, which comes before what the event says.
    def column(name: str) -> NDArray[Any]:
        if name not in events.columns:
            return np.full(len(events), _UNKNOWN.get(name, 0), EVENT_DTYPES[name])
        return events[name].fill_null(_UNKNOWN.get(name, 0)).to_numpy()

    play_ms, duration_ms = column("play_ms"), column("duration_ms")
    duration_ms = np.where(item_duration_ms > 0, item_duration_ms, duration_ms)
    flags = {name: events[name].fill_null(0).to_numpy() for name in FEEDBACK_COLUMNS if name in events.columns}
    is_long = feedback.is_long_view(play_ms, duration_ms)
    if "long_view" in events.columns:  # of events that say nothing of it, play times tell
        is_long = np.where(events["long_view"].is_null().to_numpy(), is_long, flags["long_view"] == 1)
    flags["long_view"] = is_long
    return {
        "timestamp_ms": events["timestamp_ms"].to_numpy(),
        "play_ms": play_ms,
        "duration_ms": duration_ms,
        "dwell": feedback.dwell_bucket(play_ms),
        "feedback": feedback.to_bits(flags, play_ms=play_ms),
        **{name: column(name) for name in ("randomly_exposed", "questionnaire_shown", "questionnaire_answer")},
    }
