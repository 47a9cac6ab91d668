"""Batches for the main model: windows of users' clicks, with what satisfied and dissatisfied each user so far."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.loader import by_shard, cut_windows, filled_up, label_capacity
from data.timelines import Timelines
from runtime.errors import DataError, UsageError
from satisfaction.saqrec.clicks import Clicks
from satisfaction.saqrec.popularity import before_periods
from satisfaction.unbiased.answers import DISSATISFIED, SATISFIED


@dataclasses.dataclass(frozen=True)
class Answered:
    """The events of one kind of answer, on items of the corpus; `before` [C + 1] is how many lie before each click."""

    item: NDArray[np.int32]  # [A] corpus numbers
    first: NDArray[np.int64]  # [U + 1] where users begin
    before: NDArray[np.int64]  # [C + 1]


class Histories:
    """What the model may know at each click: gathers rows of `dict[str, array]` for it."""

    def __init__(
        self,
        clicks: Clicks,
        timelines: Timelines,
        *,
        answers: NDArray[np.int8],
        satisfaction: NDArray[np.float32],
        length: int,
        satisfied_length: int,
        dissatisfied_length: int,
        train_on: Sequence[str] = ("train",),
    ):
        """`answers` and `satisfaction`, ŝ, are [E]; the lengths are the longest histories that are read.

        `train_on`: the splits that may be learned from, train alone or train and valid; no other click is counted.
        """
        learned = clicks.learned(train_on)
        self.seen = np.bincount(clicks.item[learned], minlength=len(clicks.corpus)) > 0
        self.counts, period = before_periods(clicks, timelines, learned)
        self.clicks, self.length, self.train_on = clicks, length, tuple(train_on)
        # The most clicks that are read before a click to learn from.
        self.most_read = int(np.minimum(clicks.learned_end(train_on) - clicks.offsets[:-1] - 1, length).max(initial=0))
        self._score = np.append(np.asarray(satisfaction, np.float32)[clicks.event], np.float32(0))  # [C + 1]
        self._item = np.append(clicks.item, np.int32(0))
        self._user = clicks.user()
        self.period = np.append(period, np.int32(0))  # [C + 1]
        self._answered = {
            name: (_answered(clicks, timelines, answers == value, learned), longest)
            for name, value, longest in (
                ("satisfied", SATISFIED, satisfied_length),
                ("dissatisfied", DISSATISFIED, dissatisfied_length),
            )
        }

    def rows(
        self, start: NDArray[np.int64], count: NDArray[np.int64], *, length: int | None = None
    ) -> dict[str, NDArray]:
        """Rows of T = `length` positions; position i < count ≤ T predicts click start + i from those before it.

        Returns, each with B rows:
          user [B]; item [B, T], score [B, T]: the click before, start + i − 1, and its ŝ, 0 where the user has none;
          label [B, T], label_score [B, T]: the click predicted, 0 at and after `count`;
          period [B, T]: of the click predicted, as popularity.py has it;
          satisfied [B, S] items in order, and satisfied_count [B, T], how many of them are before the click predicted;
          dissatisfied [B, S'], dissatisfied_count [B, T] likewise.
        """
        within = np.arange(self.length if length is None else length)
        click = start[:, None] + within  # [B, T]
        real = within < count[:, None]
        user = self._user[start]
        reads = real & (click > self.clicks.offsets[user][:, None])
        nothing = len(self._item) - 1
        click = np.where(real, click, nothing)
        read = np.where(reads, click - 1, nothing)
        batch = {
            "user": user.astype(np.int32),
            "item": self._item[read],
            "score": self._score[read],
            "label": self._item[click],
            "label_score": self._score[click],
            "period": self.period[click],
        }
        last = start + count - 1
        for name, (answered, longest) in self._answered.items():
            end = answered.before[last]  # [B] answers before the row's last label
            begin = np.maximum(answered.first[user], end - longest)
            place = begin[:, None] + np.arange(longest)
            kept = place < end[:, None]
            items = np.append(answered.item, np.int32(0))
            batch[name] = np.where(kept, items[np.where(kept, place, 0)], 0).astype(np.int32)
            seen = np.clip(answered.before[click] - begin[:, None], 0, longest)
            batch[f"{name}_count"] = np.where(real, seen, 0).astype(np.int32)
        return batch

    def before(self, click: NDArray[np.int64]) -> dict[str, NDArray]:
        """Rows that end with these clicks as the label: what a model is asked at each. `at` [B] is its position."""
        start = np.maximum(self.clicks.offsets[self._user[click]], click - self.length + 1)
        count = click - start + 1
        return {**self.rows(start, count), "at": (count - 1).astype(np.int32)}


class SequenceBatches:
    """Random access to the training batches, shuffled anew in each epoch; a click to learn from is one label in each.

    Clicks on items outside the corpus are read, and are no labels: their weight is 0.

    Windows as data/loader.py cuts them, one a row; those of at most a third of the longest make batches of their own,
    of that length and with more rows: few clicks would leave most of a row empty. The last batch of a length is filled
    up with rows of no label. Besides `Histories.rows` an element has, of S shards of its rows and R labels a shard:
      label_place [S, R] int32: the label's place in its shard's flat rows, row · T + column;
      label_weight [S, R] float32: 0 fills up;
      corrects [B] bool: whether label correction is on (equation 18).
    """

    def __init__(
        self,
        histories: Histories,
        *,
        batch_size: int,
        num_epochs: int,
        correct_from: int,
        seed: int,
        dated_weight: float = 1.0,
        num_shards: int = 1,
        shard: slice = slice(None),
    ):
        """`correct_from`: N_mix, the epoch counted from 0 at which label correction begins.

        `batch_size` is that of the longest rows. `dated_weight`: what a label with a time weighs, beside 1 of one of
        earlier history. `num_shards`: S, parts of a batch that different devices work on; `shard`: those of this host,
        whose rows and labels an element then has, all of them by default.
        Errors: DataError where no click may be learned from; UsageError where S does not divide `batch_size`.
        """
        if batch_size % num_shards:
            raise UsageError(f"--config.align.batch_size={batch_size}: not divisible by the {num_shards} devices")
        self._num_shards = num_shards
        self._shards = range(num_shards)[shard]
        clicks = histories.clicks
        self._histories, self._seed = histories, seed
        self._correct_from = correct_from
        self._windows = cut_windows(
            clicks.offsets[:-1], clicks.learned_end(histories.train_on), length=histories.length
        )
        self._num_epochs = num_epochs
        if not len(self._windows.start):
            raise DataError("no click lies before the held-out ones: the main model has nothing to learn from")
        weight = np.where(histories.period > 0, dated_weight, 1.0)
        weight[:-1][clicks.target == 0] = 0.0
        self._weight = weight.astype(np.float32)
        labels = self._windows.length - self._windows.context
        self.labels_per_epoch = int((clicks.learned(histories.train_on) & (clicks.target > 0)).sum())
        short = max(2, histories.length // 3)
        is_short = self._windows.length <= short
        self._shapes = [
            _Shape(length, np.flatnonzero(chosen), size)
            for length, chosen, size in (
                (short, is_short, batch_size // num_shards * histories.length // short * num_shards),
                (histories.length, ~is_short, batch_size),
            )
            if chosen.any()
        ]
        self._capacity = []
        for number in range(len(self._shapes)):
            epochs = (self._shuffled(epoch, number) for epoch in range(num_epochs))
            self._capacity.append(label_capacity(labels, epochs, num_shards=num_shards))
        self._kind = np.repeat(np.arange(len(self._shapes)), [shape.num_batches for shape in self._shapes])
        self.batches_per_epoch = len(self._kind)

    def __len__(self) -> int:
        return self.batches_per_epoch * self._num_epochs

    def __getitem__(self, index: int) -> dict[str, NDArray]:
        epoch, batch = divmod(int(index), self.batches_per_epoch)
        order = np.random.default_rng([self._seed, epoch, len(self._shapes)]).permutation(self._kind)
        kind = int(order[batch])
        rows = self._shuffled(epoch, kind)[(order[:batch] == kind).sum()]
        rows = rows.reshape(self._num_shards, -1)[self._shards.start : self._shards.stop].reshape(-1)
        real, rows = rows >= 0, np.maximum(rows, 0)
        start, length, context = (getattr(self._windows, name)[rows] for name in ("start", "length", "context"))
        within = np.arange(self._shapes[kind].length)
        made = self._histories.rows(start, length, length=len(within))
        labelled = (within >= context[:, None]) & (within < length[:, None]) & real[:, None]
        place, weights = by_shard(
            np.flatnonzero(labelled),
            {"label_weight": self._weight[(start[:, None] + within)[labelled]]},
            num_shards=len(self._shards),
            shard_size=labelled.size // len(self._shards),
            capacity=self._capacity[kind],
        )
        corrects = np.full(len(rows), epoch >= self._correct_from)
        return {**made, "label_place": place, **weights, "corrects": corrects}

    def _shuffled(self, epoch: int, number: int) -> NDArray[np.int64]:
        # Windows of a shape's batches [batches, B], -1 fills up.
        shape = self._shapes[number]
        shuffled = np.random.default_rng([self._seed, epoch, number]).permutation(shape.windows)
        return filled_up(shuffled, shape.batch_size).reshape(shape.batch_size, -1).T


@dataclasses.dataclass(frozen=True)
class _Shape:
    """Rows of one length: which windows they hold, and how many make a batch."""

    length: int
    windows: NDArray[np.int64]
    batch_size: int

    @property
    def num_batches(self) -> int:
        return -(-len(self.windows) // self.batch_size)


def _answered(clicks: Clicks, timelines: Timelines, where: NDArray[np.bool_], learned: NDArray[np.bool_]) -> Answered:
    # The events `where` [E]. None at all where no click to learn from, `learned` [C], has one before it: what reads
    # such events was never trained then.
    event = np.flatnonzero(where & (clicks.code[np.asarray(timelines.item)] > 0))
    first, before = (np.searchsorted(event, at) for at in (timelines.offsets, np.append(clicks.event, len(where))))
    if not (before[:-1] > first[clicks.user()])[learned].any():
        return Answered(np.zeros(0, np.int32), np.zeros_like(first), np.zeros_like(before))
    return Answered(item=clicks.code[np.asarray(timelines.item)[event]], first=first, before=before)
