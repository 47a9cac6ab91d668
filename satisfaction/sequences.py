"""Batches for the main model: windows of users' clicks, with what satisfied and dissatisfied each user so far."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.assembly import EARLIER_MS
from data.loader import cut_windows
from data.timelines import Timelines
from runtime.errors import DataError
from satisfaction.answers import DISSATISFIED, SATISFIED
from satisfaction.clicks import Clicks

_DAY_MS = 86_400_000


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
    ):
        """`answers` and `satisfaction`, ŝ, are [E]; the lengths are the longest histories that are read."""
        self.clicks, self.length = clicks, length
        self._score = np.append(np.asarray(satisfaction, np.float32)[clicks.event], np.float32(0))  # [C + 1]
        self._item = np.append(clicks.item, np.int32(0))
        self._user = clicks.user()
        self._period = np.append(_periods(clicks, timelines), np.int32(0))
        self.num_periods = int(self._period.max()) + 1
        self._answered = {
            name: (_answered(clicks, timelines, answers == value), longest)
            for name, value, longest in (
                ("satisfied", SATISFIED, satisfied_length),
                ("dissatisfied", DISSATISFIED, dissatisfied_length),
            )
        }

    def rows(self, start: NDArray[np.int64], count: NDArray[np.int64]) -> dict[str, NDArray]:
        """Rows of T positions; position i < count predicts click start + i from those before it.

        Returns, each with B rows:
          user [B]; item [B, T], score [B, T]: the click before, start + i − 1, and its ŝ, 0 where the user has none;
          label [B, T], label_score [B, T]: the click predicted, 0 at and after `count`;
          period [B, T]: the day of the click predicted, 1 the log's first, 0 where it has no time;
          satisfied [B, S] items in order, and satisfied_count [B, T], how many of them are before the click predicted;
          dissatisfied [B, S'], dissatisfied_count [B, T] likewise.
        """
        within = np.arange(self.length)
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
            "period": self._period[click],
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
    """Random access to the training batches, shuffled anew in each epoch; every training click is one label an epoch.

    With `train_on` ("train", "valid") the validation clicks are labels too. Windows as data/loader.py cuts them, one a
    row. Besides `Histories.rows` an element has `label_where` [B, T], and
    `corrects` [B], whether label correction is on (equation 18). The last batch of an epoch is filled up with rows of
    no label.
    """

    def __init__(
        self,
        histories: Histories,
        *,
        batch_size: int,
        num_epochs: int,
        correct_from: int,
        seed: int,
        train_on: Sequence[str] = ("train",),
    ):
        """`correct_from`: N_mix, the epoch counted from 0 at which label correction begins.

        Errors: DataError where no click may be learned from.
        """
        clicks = histories.clicks
        self._histories, self._batch_size, self._seed = histories, batch_size, seed
        self._correct_from = correct_from
        end = clicks.test_start if "valid" in train_on else clicks.valid_start
        self._windows = cut_windows(clicks.offsets[:-1], end, length=histories.length)
        self._num_epochs, rows = num_epochs, len(self._windows.start)
        if not rows:
            raise DataError("no click lies before the held-out ones: the main model has nothing to learn from")
        self.batches_per_epoch = -(-rows // batch_size)
        labels = self._windows.length - self._windows.context
        self.labels_per_epoch = int(labels.sum())
        # One shape, so one compilation: the most labels that a batch of any epoch can hold.
        most = max(
            int(np.where(r >= 0, labels[r], 0).sum(axis=1).max()) for r in map(self._shuffled, range(num_epochs))
        )
        self.label_capacity = -(-most // 16) * 16

    def __len__(self) -> int:
        return self.batches_per_epoch * self._num_epochs

    def __getitem__(self, index: int) -> dict[str, NDArray]:
        epoch, batch = divmod(int(index), self.batches_per_epoch)
        rows = self._shuffled(epoch)[batch]
        real, rows = rows >= 0, np.maximum(rows, 0)
        start, length, context = (getattr(self._windows, name)[rows] for name in ("start", "length", "context"))
        made = self._histories.rows(start, length)
        within = np.arange(self._histories.length)
        labelled = (within >= context[:, None]) & (within < length[:, None]) & real[:, None]
        corrects = np.full(len(rows), epoch >= self._correct_from)
        return {**made, "label_where": labelled, "corrects": corrects}

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        # [batches, B], -1 fills up.
        rng = np.random.default_rng([self._seed, epoch])
        rows = np.full(self.batches_per_epoch * self._batch_size, -1)
        rows[: len(self._windows.start)] = rng.permutation(len(self._windows.start))
        return rows.reshape(-1, self._batch_size, order="F")


def _periods(clicks: Clicks, timelines: Timelines) -> NDArray[np.int32]:
    # Days after the last one that may be learned from count as that one: their own vector would be a random one.
    time = np.asarray(timelines.timestamp_ms)[clicks.event]
    dated = time > EARLIER_MS
    if not dated.any():
        return np.zeros(len(time), np.int32)
    day = np.where(dated, 1 + (time - time[dated].min()) // _DAY_MS, 0).astype(np.int32)
    learned = np.arange(len(time)) < clicks.valid_start[clicks.user()]
    return np.minimum(day, day[learned].max(initial=0))


def _answered(clicks: Clicks, timelines: Timelines, where: NDArray[np.bool_]) -> Answered:
    event = np.flatnonzero(where & (clicks.code[np.asarray(timelines.item)] > 0))
    before = np.searchsorted(event, np.append(clicks.event, len(where)))
    return Answered(
        item=clicks.code[np.asarray(timelines.item)[event]],
        first=np.searchsorted(event, timelines.offsets),
        before=before,
    )
