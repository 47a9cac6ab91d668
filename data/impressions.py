"""What a ranker learns from: impressions, each with the user's history before its moment, in batches for Grain.

An impression is an event of known time. Its history is every event of the user strictly before that time: events of the
same moment, such as a page logged at once, are not in one another's history.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.loader import filled_up
from data.timelines import Timelines
from runtime.errors import DataError, UsageError

Gather = Callable[[NDArray[np.int64], np.random.Generator], dict[str, np.ndarray]]
"""Positions [B] of events (-1 fills a batch) and a source of chance -> the batch's arrays, each [B, ...]."""

_DRAWS = 8


def ranked_positions(timelines: Timelines, *splits: str) -> NDArray[np.int64]:
    """Positions of the events of `splits` whose time is known, in order. Errors: DataError where there is none."""
    positions = np.flatnonzero(timelines.in_split(*splits) & (timelines.timestamp_ms > 0))
    if not len(positions):
        raise DataError(f"{timelines.path}: no event of known time in {' or '.join(splits)}: there is nothing to rank")
    return positions


def history_ends(timelines: Timelines) -> NDArray[np.int64]:
    """For each event the position at which its history ends: the user's first event of the same time, int64 [E]."""
    new = np.diff(timelines.timestamp_ms, prepend=-1) != 0
    new[timelines.first_events()] = True
    return ranges.last_true(new)


class Unobserved:
    """Draws items that a user never met: not in earlier history, nor in the splits that are trained on.

    Nor does it draw what is uploaded after the moment: that it was not met by then says nothing about it.
    """

    def __init__(self, timelines: Timelines, splits: Sequence[str] = ("train",)):
        trained = np.flatnonzero(timelines.in_split(*splits) | (timelines.timestamp_ms <= 0))
        self._num_items = timelines.num_items
        self._by_upload, self._num_there = timelines.by_upload, timelines.num_there
        user = timelines.user_of_event()[trained].astype(np.int64)
        self._met = ranges.distinct(user * (self._num_items + 1) + timelines.item[trained])

    def draw(
        self, users: NDArray[Any], time_ms: NDArray[np.integer], count: int, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """Uniform items for users at moments [B]: int32 [B, count], 0 where 8 draws met nothing new."""
        user, there = (np.repeat(of, count) for of in (np.asarray(users, np.int64), self._num_there(time_ms)))
        items = np.zeros(len(user), np.int64)
        open_ = np.arange(len(user))
        for _ in range(_DRAWS):
            drawn = self._by_upload[rng.integers(there[open_])]
            is_met = ranges.among(user[open_] * (self._num_items + 1) + drawn, self._met)
            items[open_[~is_met]] = drawn[~is_met]
            open_ = open_[is_met]
        return items.reshape(-1, count).astype(np.int32)


class ImpressionBatches:
    """Random access to training batches, in the order in which an epoch's shuffle puts them; made for `iterate`.

    Element i is what `gather` makes of B positions, -1 where the epoch's last batch is not full. With `shard` a host
    gathers its own rows only; chance is the same whatever the number of hosts is that it is shared among.
    """

    def __init__(
        self,
        positions: NDArray[np.int64],
        gather: Gather,
        *,
        batch_size: int,
        num_epochs: int,
        seed: int,
        num_shards: int = 1,
        shard: slice = slice(None),
    ):
        """Args: positions [n] of events; batch_size B over all hosts, a multiple of num_shards; shard, the parts that
        this host loads. Errors: UsageError for sizes that do not fit together."""
        if batch_size % num_shards:
            raise UsageError(f"--config.batch_size={batch_size}: not divisible by {num_shards} shards of the mesh")
        self._positions, self._gather, self._batch_size, self._seed = positions, gather, batch_size, seed
        self._num_shards = num_shards
        self._shards = range(num_shards)[shard]
        self.batches_per_epoch = math.ceil(len(positions) / batch_size)
        self._num_batches = self.batches_per_epoch * num_epochs
        self._shuffled = functools.lru_cache(maxsize=1)(self._shuffle)

    def __len__(self) -> int:
        return self._num_batches

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        epoch, batch = divmod(int(index), self.batches_per_epoch)
        chosen = self._shuffled(epoch)[batch].reshape(self._num_shards, -1)
        arrays = [
            self._gather(chosen[shard], np.random.default_rng([self._seed, 2, index, shard])) for shard in self._shards
        ]
        return {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        shuffled = np.random.default_rng([self._seed, 1, epoch]).permutation(self._positions)
        return filled_up(shuffled, self._batch_size).reshape(-1, self._batch_size)
