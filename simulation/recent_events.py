"""What a server keeps of its users' pasts: the newest events of each, in rows of one width."""

from collections.abc import Sequence

import numpy as np


class RecentEvents:
    """The newest events of n users, item, dwell and feedback [n, width] each, from the left, zeros after the last.

    Of a user whose row is full only the newest `kept` stay, or one less where that is all, when the next event comes.
    """

    def __init__(self, histories: Sequence[np.ndarray], *, width: int, kept: int):
        """Starts with the newest `kept` events of histories [n, any] each."""
        self._width, self._kept = width, min(kept, width - 1)
        item = np.asarray(histories[0])
        last = (item > 0).sum(axis=1)
        first = np.maximum(last - kept, 0)
        self._count = last - first  # [n]
        at = first[:, None] + np.arange(kept)
        real, at = at < last[:, None], np.minimum(at, item.shape[1] - 1)
        self.columns = tuple(np.zeros((len(item), width), np.int32) for _ in histories)
        for column, given in zip(self.columns, histories, strict=True):
            column[:, :kept] = np.where(real, np.take_along_axis(np.asarray(given), at, axis=1), 0)

    def make_room(self, users: np.ndarray) -> np.ndarray:
        """Returns those of `users` whose row was full, and has room now."""
        full = users[self._count[users] == self._width]
        for column in self.columns:
            newest = column[full, self._width - self._kept :]
            column[full] = 0
            column[full, : self._kept] = newest
        self._count[full] = self._kept
        return full

    def add(self, users: np.ndarray, event: Sequence[np.ndarray]) -> None:
        """One event [m] of each column for the users [m], none of them twice, who have room."""
        for column, value in zip(self.columns, event, strict=True):
            column[users, self._count[users]] = value
        self._count[users] += 1
