"""Times in pieces against the same times in one sorted array."""

import numpy as np
import pytest

from data import splits
from data.shards.times import Times


def pieces(times, number, seed=0):
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, number, len(times))
    return Times([np.sort(times[owner == piece]) for piece in range(number)])


@pytest.mark.parametrize("number", [1, 2, 7])
def test_pieces_are_as_the_whole(number):
    rng = np.random.default_rng(1)
    for _ in range(20):
        # Many ties, and gaps of their own.
        times = rng.choice(rng.integers(0, 10 ** rng.integers(1, 12), 12), rng.integers(3, 60))
        whole, split = np.sort(times), pieces(times, number)
        assert (len(split), split.first, split.last) == (len(whole), whole[0], whole[-1])
        assert [split.ranked(n) for n in range(1, len(whole) + 1)] == whole.tolist()
        for moment in {*times.tolist(), *(times + 1).tolist(), -1}:
            assert split.before(moment) == (whole < moment).sum()
            assert split.next(moment) == min(whole[whole > moment].tolist(), default=None)
            assert split.previous(moment) == max(whole[whole < moment].tolist(), default=None)
        gap = np.diff(whole)
        at = int(gap.argmax())
        assert split.widest_gap() == (whole[at], whole[at + 1])
        if len(np.unique(times)) > 2:
            assert splits.default_moments(split) == splits.default_moments(Times([np.sort(times)]))


def test_the_moments_by_events_are_those_that_sorting_gives():
    """The first time by which 80%, and 90%, of the events have happened; at least one time each for the three."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        times = np.sort(rng.choice([0, *rng.integers(0, 10 ** rng.integers(1, 12), 5)], rng.integers(3, 60)))
        different, counts = np.unique(times, return_counts=True)
        if len(different) < 3:
            continue
        valid, test, by_events = splits.default_moments(Times([np.sort(times)]))
        if not by_events:
            continue
        earlier = np.cumsum(counts) - counts
        at = [int((10 * earlier < share * len(times)).sum()) for share in (8, 9)]
        last = min(max(at[1], 2), len(different) - 1)
        assert (valid, test) == (different[min(max(at[0], 1), last - 1)], different[last])
