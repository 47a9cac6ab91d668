"""The events of users' pasts that a model reads, kept up to date by a server."""

from collections.abc import Sequence

import numpy as np

from data.events_read import Reading, events_of


class RecentEvents:
    """Events of n users, item, dwell and feedback [n, width] each, in order from the left, zeros after the last.

    Of a user whose row is full only those stay that `kept` would read, or one less where that is all, when the next
    event comes.
    """

    def __init__(self, histories: Sequence[np.ndarray], *, width: int, kept: Reading):
        """Starts with what `kept` reads of histories [n, any] each."""
        self._kept = kept.of(min(kept.length, width - 1))
        read = events_of([np.asarray(column) for column in histories], kept)
        self.columns = tuple(np.zeros((len(column), width), np.int32) for column in read)
        for column, given in zip(self.columns, read, strict=True):
            column[:, : given.shape[1]] = given
        self._count = (self.columns[0] > 0).sum(axis=1)  # [n]

    def make_room(self, users: np.ndarray) -> np.ndarray:
        """Returns those of `users` whose row was full, and has room now."""
        full = users[self._count[users] == self.columns[0].shape[1]]
        read = events_of([column[full] for column in self.columns], self._kept)
        for column, given in zip(self.columns, read, strict=True):
            column[full] = 0
            column[full, : given.shape[1]] = given
        self._count[full] = self._kept.length
        return full

    def add(self, users: np.ndarray, event: Sequence[np.ndarray]) -> None:
        """One event [m] of each column for the users [m], none of them twice, who have room."""
        for column, value in zip(self.columns, event, strict=True):
            column[users, self._count[users]] = value
        self._count[users] += 1
