"""Training batches: user timelines packed into dense rows, loaded by Grain with whole batches as elements.

Each event of the training split is the label of exactly one position, predicted from the events before it. A user's
timeline is cut into windows of at most `length` positions; several windows share a row, so a batch has almost no
padding even where most users have a handful of events. A Grain element is a batch, gathered from memory maps: 40 times
the rate of one record at a time.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import grain
import numpy as np

from data import ranges
from data.events_read import Reader, Reading
from data.feedback import label_kinds
from data.timelines import Timelines
from runtime.errors import DataError, UsageError

OfEvents = Callable[[np.ndarray], np.ndarray]
"""Positions of events [n] -> a value of each [n]."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """Stretches of timelines, one array entry each. Position i reads event start + i − 1 and predicts start + i.

    The first position of a user's first window reads nothing: it predicts the first event from an empty history. Later
    windows overlap the one before by `context` positions, which carry no label; what they read is for
    `data.events_read` to say, the newest events or among them older ones that said no.
    """

    start: np.ndarray  # [W] int64, absolute position of the first label's event
    length: np.ndarray  # [W] int64, positions
    context: np.ndarray  # [W] int64, leading positions without label
    begin: np.ndarray  # [W] int64, where the user's events begin


def cut_windows(begin: np.ndarray, end: np.ndarray, *, length: int) -> Windows:
    """Windows over the event ranges [begin_u, end_u) of all users, consecutive ones overlapping by a quarter.

    At least by one position: a window that is not a user's first always reads the event before its first label.
    """
    if length < 2:
        raise UsageError(f"--config.length={length}: a window needs at least 2 positions")
    events = end - begin
    stride = length - _context(length)
    extra = np.maximum(0, -((events - length) // -stride))  # windows after the first, rounded up
    count = np.where(events > 0, 1 + extra, 0)
    user, index = ranges.owners(count), ranges.places(count)
    start = begin[user] + index * stride
    return Windows(
        start=start,
        length=np.minimum(length, end[user] - start),
        context=np.where(index > 0, length - stride, 0),
        begin=begin[user],
    )


def _context(length: int) -> int:
    return max(1, length // 4)


def by_shard(
    position: np.ndarray, columns: Mapping[str, np.ndarray], *, num_shards: int, shard_size: int, capacity: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels at flat positions of a batch [n], rising, as arrays [num_shards, capacity] filled up with 0.

    Returns:
      (each label's position in its shard, int32; the columns [n] likewise, each of its own dtype).
    """
    bounds = np.searchsorted(position, shard_size * np.arange(num_shards + 1))

    def placed(values: np.ndarray) -> np.ndarray:
        arrays = np.zeros((num_shards, capacity), values.dtype)
        for array, (begin, end) in zip(arrays, itertools.pairwise(bounds), strict=True):
            array[: end - begin] = values[begin:end]
        return arrays

    within = (position % shard_size).astype(np.int32)
    return placed(within), {name: placed(values) for name, values in columns.items()}


def filled_up(rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Rows [n], and −1 for as many as are missing to whole batches: [batches · batch_size]."""
    return np.pad(rows, (0, -len(rows) % batch_size), constant_values=-1)


def label_capacity(labels: np.ndarray, epochs: Iterable[np.ndarray], *, num_shards: int) -> int:
    """The most labels that a shard of any batch holds, in steps of 16: one shape, so one compilation.

    Args: labels of each row [n]; the rows of each epoch's batches [batches, B], −1 none.
    """
    shards = (rows.reshape(-1, rows.shape[1] // num_shards) for rows in epochs)
    most = max(int(np.where(rows >= 0, labels[rows], 0).sum(axis=1).max()) for rows in shards)
    return 16 * math.ceil(most / 16)


def pack_rows(lengths: np.ndarray, capacity: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Packs windows into rows of `capacity` positions: first-fit decreasing, over the histogram of lengths.

    Windows of one length are alike, so a row is a pattern (how many of each length), repeated as often as there are
    windows for it: the work depends on `capacity`, not on the number of windows.

    Returns:
      (order [W], row_offsets [rows + 1]): row r holds the windows order[row_offsets[r]:row_offsets[r + 1]].
    """
    shuffled = rng.permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    remaining = np.bincount(lengths, minlength=capacity + 1)
    first = ranges.begins(remaining)  # where each length's windows begin in by_length
    rows, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for largest in range(capacity, 0, -1):
        while remaining[largest]:
            pattern, space = [], capacity
            for size in range(largest, 0, -1):
                take = min(space // size, remaining[size])
                if take:
                    pattern.append((size, take))
                    space -= take * size
            repeats = min(remaining[size] // take for size, take in pattern)
            columns = []
            for size, take in pattern:
                taken = by_length[first[size] : first[size] + repeats * take]
                first[size] += repeats * take
                remaining[size] -= repeats * take
                columns.append(taken.reshape(repeats, take))
            block = np.concatenate(columns, axis=1)  # [repeats, windows per row]
            rows.append(block.reshape(-1))
            sizes.append(np.full(repeats, block.shape[1]))
    return np.concatenate(rows), ranges.sums_before(np.concatenate(sizes))


class PackedBatches:
    """Random access to the training batches, in the order in which an epoch's shuffle puts them.

    Element i is `dict[str, array]`; B rows of T positions, S shards of the batch's rows, R labels a shard:
      item, dwell, feedback [B, T] int32: what is read; item 0 is nothing (padding, or an empty history).
      reset [B, T] bool: a window starts here.
      label_position [S, R] int32: the label's position in its shard, row · T + column.
      label [S, R] int32: the item to predict; label_kind [S, R] int8: 1 positive, 2 negative, 0 fills the array.
      label_… [S, R]: what else is known of the labels' events.
    """

    def __init__(
        self,
        timelines: Timelines,
        *,
        length: int,
        batch_size: int,
        num_epochs: int,
        positive: Sequence[str],
        negative: Sequence[str],
        seed: int,
        train_on: Sequence[str] = ("train",),
        reading: Reading | None = None,
        num_shards: int = 1,
        shard: slice = slice(None),
        of_labels: Mapping[str, OfEvents] | None = None,
    ):
        """Plans all epochs.

        Args:
          timelines: whose training events become labels.
          length: T, positions a row.
          batch_size: B, rows a batch, over all hosts.
          num_epochs: how often each label is seen.
          positive: feedback that makes a positive label, see `data.feedback`.
          negative: feedback that makes a negative label; it wins over `positive`.
          seed: of packing and shuffling.
          train_on: ("train",), or ("train", "valid") to use the validation days too.
          reading: which events of a longer past the context of a window holds; the last ones by default.
          num_shards: S, parts of a batch that different devices work on; divides B.
          shard: the parts this host loads; all of them by default.
          of_labels: name -> what labels bring along as label_<name>.

        Raises:
          UsageError: sizes that do not fit together. DataError: no event carries one of the label signals.
        """
        if batch_size % num_shards:
            raise UsageError(f"--config.batch_size={batch_size}: not divisible by {num_shards} shards of the mesh")
        self._timelines = timelines
        self._length, self._batch_size, self._seed, self._num_shards = length, batch_size, seed, num_shards
        self._shards = range(num_shards)[shard]
        end = np.asarray(timelines.learned_end(train_on))
        windows = cut_windows(np.asarray(timelines.offsets[:-1]), end, length=length)
        self._of_labels = {f"label_{name}": of_events for name, of_events in (of_labels or {}).items()}
        self._kind = label_kinds(np.asarray(timelines.feedback), positive=positive, negative=negative)
        order, self._row_offsets = pack_rows(windows.length, length, np.random.default_rng([seed, 0]))
        self._start, self._window_length = windows.start[order], windows.length[order]
        self._context, self._begin = windows.context[order], windows.begin[order]
        self._reader = Reader(np.asarray(timelines.feedback), (reading or Reading(length)).of(_context(length)))
        self.num_rows = len(self._row_offsets) - 1
        self.batches_per_epoch = math.ceil(self.num_rows / batch_size)
        self._num_batches = self.batches_per_epoch * num_epochs
        self._labels_of_row = self._count_labels()
        self.labels_per_epoch = int(self._labels_of_row.sum())
        if not self.labels_per_epoch:
            raise DataError(
                f"no training event is {' or '.join([*positive, *negative])}: nothing to learn from; "
                "set --config.positive to feedback that this log has"
            )
        self._shuffled = functools.lru_cache(maxsize=1)(self._shuffle)
        epochs = map(self._shuffled, range(num_epochs))
        self.label_capacity = label_capacity(self._labels_of_row, epochs, num_shards=num_shards)

    def __len__(self) -> int:
        return self._num_batches

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        length, rows_per_shard = self._length, self._batch_size // self._num_shards
        epoch, number = divmod(int(index), self.batches_per_epoch)
        rows = self._shuffled(epoch)[number]  # [B], -1 no row
        rows = rows.reshape(self._num_shards, rows_per_shard)[self._shards.start : self._shards.stop].reshape(-1)
        real = np.flatnonzero(rows >= 0)
        first, last = self._row_offsets[rows[real]], self._row_offsets[rows[real] + 1]
        window = ranges.positions(first, last - first)  # windows of this batch, row by row
        sizes, context = self._window_length[window], self._context[window]
        row = np.repeat(real, last - first)
        # A window's column: what the windows before it in the same row take up.
        begins = ranges.begins(sizes)
        row_begins = np.repeat(ranges.begins(last - first), last - first)
        start = row * length + begins - begins[row_begins]  # flat in [rows, T], as all places from here on
        place = ranges.positions(start, sizes)
        predicted = ranges.positions(self._start[window], sizes)  # event that each place predicts
        event = predicted - 1  # and reads
        later = np.flatnonzero(context)
        before = self._start[window[later]] + context[later] - 1
        in_context = ranges.positions(begins[later], context[later])
        event[in_context] = self._reader.positions(self._begin[window[later]], before).reshape(-1)
        event[begins[context == 0]] = -1  # a user's first position reads nothing
        batch = self._read(place, event, len(rows))
        batch["reset"] = np.zeros((len(rows), length), bool)
        batch["reset"].reshape(-1)[start] = True
        kind = self._kind.take(predicted)
        kind[in_context] = 0
        labelled = np.flatnonzero(kind > 0)
        label = predicted[labelled]
        batch["label_position"], labels = by_shard(
            place[labelled],
            {
                "label": self._timelines.item.take(label).astype(np.int32),
                "label_kind": kind[labelled],
                **{name: of_events(label) for name, of_events in self._of_labels.items()},
            },
            num_shards=len(self._shards),
            shard_size=rows_per_shard * length,
            capacity=self.label_capacity,
        )
        return batch | labels

    def _read(self, place: np.ndarray, event: np.ndarray, num_rows: int) -> dict[str, np.ndarray]:
        # What each place of [num_rows, T] reads, zeros where no event (−1) stands.
        event_at = np.full(num_rows * self._length, -1)
        event_at[place] = event
        is_event = event_at >= 0
        columns = {}
        for name in ("item", "dwell", "feedback"):
            # "clip" makes another event of −1, which counts 0 times, and spares a check of each place.
            column = getattr(self._timelines, name).take(event_at, mode="clip").astype(np.int32) * is_event
            columns[name] = column.reshape(num_rows, self._length)
        return columns

    def label_counts(self) -> np.ndarray:
        """How often each item is a label in an epoch, [N + 1]."""
        predicted = ranges.positions(self._start + self._context, self._window_length - self._context)
        predicted = predicted[self._kind[predicted] > 0]
        return np.bincount(self._timelines.item[predicted], minlength=self._timelines.num_items + 1)

    def _shuffle(self, epoch: int) -> np.ndarray:
        """The rows of an epoch's batches, [batches, B], filled up with −1, which as rows without labels all may have.

        A batch gets one row of each of B strata, rows of about as many labels as one another: two batches then differ
        by no more labels than two rows can. The strata's order in the batch spreads them over any number of shards.
        So the arrays of labels, sized for the fullest shard, have little to fill.
        """
        rng = np.random.default_rng([self._seed, 1, epoch])
        rows = filled_up(rng.permutation(self.num_rows), self._batch_size)
        labels = np.where(rows >= 0, self._labels_of_row[rows], 0)
        strata = rows[np.argsort(labels, kind="stable")].reshape(self._batch_size, -1)
        spread = np.argsort(np.arange(self._batch_size) * 0.5 * (5**0.5 - 1) % 1)  # by the golden ratio
        return rng.permuted(strata, axis=1)[np.argsort(spread)].T  # [batches, B]

    def _count_labels(self) -> np.ndarray:
        counts = ranges.sums_before(self._kind > 0)
        labels = counts[self._start + self._window_length] - counts[self._start + self._context]  # [W]
        total = ranges.sums_before(labels)
        return total[self._row_offsets[1:]] - total[self._row_offsets[:-1]]


class Planned(Protocol):
    """Batches by number, all epochs' in order."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


def iterate(batches: Planned, place: Callable[[dict[str, np.ndarray]], Any] | None = None) -> grain.DatasetIterator:
    """A Grain iterator over all planned batches; its state resumes at the very next batch.

    One thread reads ahead, and hands each batch over as what `place` makes of it, such as arrays on a device.
    """
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
    source = grain.MapDataset.source(batches)
    return iter((source.map(place) if place else source).to_iter_dataset(options))
