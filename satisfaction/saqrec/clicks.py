"""Each user's clicks in order: which may be learned from, which are held out, and which items may be recommended."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data import ranges
from data.timelines import Timelines
from runtime.errors import DataError
from satisfaction.splits import core, held_out_clicks, is_click, is_earlier, training_end


@dataclasses.dataclass(frozen=True)
class Clicks:
    """Clicks lie user by user, in order. Items of the corpus, which may be recommended, are 1..n; 0 is padding.

    Histories are whole: clicks on other items are among them, numbered n + 1..n + m, to be read and never asked for.
    User u's clicks are [offsets[u], offsets[u + 1]) of the click arrays; those before valid_start[u] may be learned
    from, those before test_start[u] are known when test targets are asked for.
    """

    corpus: NDArray[np.int32]  # [n + m + 1] item of the timelines; corpus[0] = 0
    code: NDArray[np.int32]  # [N + 1] its inverse, 0 for what nobody clicked
    item: NDArray[np.int32]  # [C] numbers, 1..n + m
    event: NDArray[np.int64]  # [C] positions in the timelines' arrays
    offsets: NDArray[np.int64]  # [U + 1]
    valid_start: NDArray[np.int64]  # [U]
    test_start: NDArray[np.int64]  # [U]
    num_items: int  # n

    @functools.cached_property
    def target(self) -> NDArray[np.int32]:
        """[C], the items that may be asked for, 0 where a click is on another."""
        return np.where(self.item <= self.num_items, self.item, 0)

    @property
    def num_users(self) -> int:
        """U, with those who have no click here."""
        return len(self.offsets) - 1

    def may_be_asked(self, item: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether items of the timelines, of any shape, are of the corpus."""
        code = self.code[item]
        return (code > 0) & (code <= self.num_items)

    def user(self) -> NDArray[np.int64]:
        """[C], whose click each is."""
        return ranges.owners(np.diff(self.offsets))

    def clicked(
        self, users: NDArray[np.integer], before: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What may not be shown to each of `users` [B]: padding, and what it clicked before the click at `before` [B],
        by default at any time. (row, item), flat, rows rising; a pair may come twice."""
        ends = self.offsets[users + 1] if before is None else before
        row, place = ranges.last(self.offsets[users], ends)
        rows = np.concatenate([np.arange(len(users)), row])
        items = np.concatenate([np.zeros(len(users), np.int64), self.target[place]])
        order = np.argsort(rows, kind="stable")
        return rows[order], items[order]

    def learned_end(self, train_on: Sequence[str]) -> NDArray[np.int64]:
        """[U], the end of what may be learned from: ("train",), or ("train", "valid")."""
        return self.test_start if "valid" in train_on else self.valid_start

    def learned(self, train_on: Sequence[str]) -> NDArray[np.bool_]:
        """[C], the clicks that may be learned from."""
        return np.arange(len(self.item)) < self.learned_end(train_on)[self.user()]

    def starts(self, split: str) -> NDArray[np.int64]:
        """[U], the first click of `split`, valid or test."""
        return {"valid": self.valid_start, "test": self.test_start}[split]

    def ends(self, split: str) -> NDArray[np.int64]:
        """[U], the end of `split`."""
        return {"valid": self.test_start, "test": self.offsets[1:]}[split]

    def targets(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(users [Q], click [Q]): of each user with a click in `split`, the first one."""
        users = np.flatnonzero(self.starts(split) < self.ends(split))
        return users, self.starts(split)[users]


def clicks_of(timelines: Timelines, protocol: str) -> Clicks:
    """The clicks of `timelines` under a protocol of satisfaction/splits.py.

    `time`: all users and items. `leave_one_out` (Zhang et al., section 5.1.1): held out are clicks of the users of the
    5-core of the log's clicks; the corpus is its items. The clicks of all users count, earlier history as earlier
    clicks, and those on items outside the core are read: whoever is not in the core has no held-out click, and all of
    theirs may be learned from, by every model and baseline alike. What follows a test click is left out.
    Errors: DataError where nothing is left.
    """
    user, item = timelines.user_of_event(), np.asarray(timelines.item)
    kept = is_click(timelines)
    asked = np.ones(timelines.num_items + 1, bool)
    if protocol == "leave_one_out":
        in_core = core(user, item, kept & ~is_earlier(timelines))
        users, valid, test = held_out_clicks(timelines)
        valid_event, test_event = (np.array(timelines.offsets[1:]) for _ in range(2))
        valid_event[users], test_event[users] = valid, test
        asked[:] = False
        asked[item[in_core]] = True
        kept &= np.arange(len(item)) <= test_event[user]
    else:
        valid_event, test_event = training_end(timelines, protocol), np.asarray(timelines.test_start)
    if not (kept & asked[item]).any():
        raise DataError(f"{timelines.path}: no clicks are left under --config.protocol={protocol}; take more days")
    before = ranges.sums_before(kept)  # [E + 1]
    asked[0] = False
    others = np.setdiff1d(item[kept], np.flatnonzero(asked))
    corpus = np.concatenate([[0], np.flatnonzero(asked), others]).astype(np.int32)
    code = np.zeros(timelines.num_items + 1, np.int32)
    code[corpus] = np.arange(len(corpus))
    return Clicks(
        corpus=corpus,
        code=code,
        item=code[item[kept]],
        event=np.flatnonzero(kept),
        offsets=before[timelines.offsets],
        valid_start=before[valid_event],
        test_start=before[test_event],
        num_items=int(asked.sum()),
    )
