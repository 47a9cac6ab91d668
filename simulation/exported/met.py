"""The items that users have met: as many numbers as there were meetings, however many items there are."""

import numpy as np
from numpy.typing import NDArray

from data import ranges


class Met:
    """Of n users: what each had met before, and what it meets from now on."""

    def __init__(self, rows: NDArray[np.integer], items: NDArray[np.integer], count: int):
        """Args: pairs, flat, rows rising, of users 0..n − 1, n = `count`, and items from 1; a pair may come twice."""
        self._items = np.asarray(items, np.int32)
        self._offsets = np.searchsorted(rows, np.arange(count + 1))
        self._since, self._number = np.zeros((count, 8), np.int32), np.zeros(count, np.int64)

    def __len__(self) -> int:
        return len(self._number)

    def of(self, users: NDArray[np.integer]) -> NDArray[np.int32]:
        """[m, any], zeros after the last of each of `users` [m]; in few widths, so that few are compiled."""
        before, since = self._offsets[users + 1] - self._offsets[users], self._number[users]
        table = np.zeros((len(users), padded_width(int((before + since).max(initial=0)))), np.int32)
        flat = ranges.positions(self._offsets[users], before)
        table[ranges.owners(before), ranges.places(before)] = self._items[flat]
        row, place = ranges.owners(since), ranges.places(since)
        table[row, before[row] + place] = self._since[users[row], place]
        return table

    def add(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> None:
        """One item each [m] that the users [m], none of them twice, meet now."""
        if len(users) and self._number[users].max() == self._since.shape[1]:
            self._since = np.pad(self._since, ((0, 0), (0, self._since.shape[1])))
        self._since[users, self._number[users]] = items
        self._number[users] += 1


def padded_width(most: int) -> int:
    """The next power of four times eight: 8, 32, 128, 512, …"""
    width = 8
    while width < most:
        width *= 4
    return width
