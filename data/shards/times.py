"""The times of a log's events, sorted in pieces: counted, ranked and compared without being brought together."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class Times:
    """Times in ms, several pieces of them, each sorted; a piece may be mapped from a file, of which little is read."""

    def __init__(self, pieces: Sequence[NDArray[np.int64]]):
        self._pieces = [piece for piece in pieces if len(piece)]
        self.first = min(int(piece[0]) for piece in self._pieces)
        self.last = max(int(piece[-1]) for piece in self._pieces)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def before(self, moment: int) -> int:
        """How many times are earlier than this one."""
        return sum(int(np.searchsorted(piece, moment)) for piece in self._pieces)

    def ranked(self, count: int) -> int:
        """The `count`-th time of all, 1 the first, len(self) the last; of events of one time each counts."""
        low, high = self.first, self.last  # the least time that `count` events are not later than
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.before(middle + 1) >= count else (middle + 1, high)
        return low

    def next(self, moment: int) -> int | None:
        """The first time after this one, None where there is none."""
        places = [(piece, int(np.searchsorted(piece, moment, side="right"))) for piece in self._pieces]
        return min((int(piece[place]) for piece, place in places if place < len(piece)), default=None)

    def previous(self, moment: int) -> int | None:
        """The last time before this one, None where there is none."""
        places = [(piece, int(np.searchsorted(piece, moment))) for piece in self._pieces]
        return max((int(piece[place - 1]) for piece, place in places if place), default=None)

    def widest_gap(self) -> tuple[int, int]:
        """The two times that follow each other with most time between them, the first such; of two events or more."""
        found, before = (self.first, self.first), self.first
        for some in self._in_order():
            gaps = np.diff(some, prepend=before)
            at = int(gaps.argmax())
            if gaps[at] > found[1] - found[0]:
                found = (int(some[at - 1]) if at else before, int(some[at]))
            before = int(some[-1])
        return found

    def _in_order(self) -> Iterator[NDArray[np.int64]]:
        # As many stretches of time as there are pieces, each of about a piece's events.
        number = len(self._pieces)
        edges = [self.ranked(max(1, len(self) * part // number)) for part in range(1, number)]
        for begin, end in zip([self.first, *edges], [*edges, self.last + 1], strict=True):
            some = [piece[np.searchsorted(piece, begin) : np.searchsorted(piece, end)] for piece in self._pieces]
            if any(map(len, some)):
                yield np.sort(np.concatenate(some))
