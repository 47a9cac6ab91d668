"""Which events of a longer history a model is given, against slices in NumPy."""

import numpy as np

from simulation.window import newest


def test_the_newest_events_are_read_from_the_left():
    length, room, rng = 4, 9, np.random.default_rng(0)
    counts = np.array([0, 1, 4, 5, 9])
    there = np.arange(room) < counts[:, None]
    columns = tuple(np.where(there, rng.integers(1, 100, there.shape), 0) for _ in range(3))
    for found, column in zip(newest(*columns, length=length), columns, strict=True):
        for row, count in enumerate(counts):
            last = column[row, max(count - length, 0) : count]
            np.testing.assert_array_equal(found[row], [*last, *[0] * (length - len(last))])
