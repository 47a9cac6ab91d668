"""Splits each user's events into those to learn from, to validate on and to test on.

`by_time` is the split for measuring a system: whatever happens before a moment is known, whatever comes after is not.
`leave_one_out` exists to compare with numbers published that way; it lets a model see the future of other users.
"""

import numpy as np
from numpy.typing import NDArray

from data import clock, ranges
from runtime.errors import DataError

Positions = NDArray[np.int64]
SHARE = 0.1  # of validation, and of test


def default_moments(
    timestamp_ms: NDArray[np.int64], *, valid_share: float = SHARE, test_share: float = SHARE
) -> tuple[int, int, bool]:
    """Where validation and test begin, ms, where nobody says: the last shares of the log's time, or else of its events.

    With shares of a tenth, test is the last tenth of the time and validation the one before it, as long as each of
    these tenths holds between a twentieth and a fifth of the events, half and twice its share. Where one does not, as
    where the log has a gap or a few events far from the rest, or has grown a lot, they are the last tenths of the
    events, each from the first time by which as many have happened, and the third value is True. Events of one time
    stay together; none of the three splits is empty.

    Args: timestamp_ms [E] in any order. Errors: DataError where the events are of fewer than three times.
    """
    first, end = int(timestamp_ms.min()), int(timestamp_ms.max()) + 1
    before_valid, before_test = 1 - valid_share - test_share, 1 - test_share  # shares
    # In whole numbers: milliseconds of 50 years are more than float arithmetic keeps to the last one.
    valid_start, test_start = (
        first + (end - first) * round(1e6 * share) // 10**6 for share in (before_valid, before_test)
    )
    of_test = (timestamp_ms >= test_start).mean()
    of_valid = (timestamp_ms >= valid_start).mean() - of_test
    if all(share / 2 <= part <= share * 2 for share, part in ((valid_share, of_valid), (test_share, of_test))):
        return valid_start, test_start, False
    times, counts = np.unique(timestamp_ms, return_counts=True)
    earlier = np.cumsum(counts) - counts  # events before each time
    if len(times) < 3:
        of = " and ".join(clock.show(time) for time in times)
        raise DataError(
            f"all events are of {of}: a split by time needs three times or more; give a longer log, or times to the "
            "millisecond"
        )
    needed = (len(timestamp_ms) * round(1e6 * share) for share in (before_valid, before_test))
    valid_at, test_at = (int(np.searchsorted(10**6 * earlier, events)) for events in needed)
    test_at = min(max(test_at, 2), len(times) - 1)  # each of the three has a time of its own
    valid_at = min(max(valid_at, 1), test_at - 1)
    return int(times[valid_at]), int(times[test_at]), True


def widest_gap(timestamp_ms: NDArray[np.int64]) -> tuple[int, int]:
    """The two times, of events that follow each other, with most time between them. Args: timestamp_ms [E], E > 1."""
    times = np.sort(timestamp_ms)
    at = int(np.diff(times).argmax())
    return int(times[at]), int(times[at + 1])


def by_time(
    timestamp_ms: NDArray[np.int64], offsets: Positions, *, valid_start_ms: int, test_start_ms: int
) -> tuple[Positions, Positions]:
    """First validation and first test position of each user: events at or after each moment.

    Args:
      timestamp_ms: [E], ascending within each user. offsets: [U+1] positions where users begin.
    Returns:
      valid_start [U], test_start [U], offsets[u] <= valid_start[u] <= test_start[u] <= offsets[u + 1].
    """
    if valid_start_ms >= test_start_ms:
        raise DataError(
            f"validation starts at {clock.show(valid_start_ms)}, test at {clock.show(test_start_ms)}: "
            "give a --config.valid_start before --config.test_start"
        )
    begin, end = offsets[:-1], offsets[1:]
    valid_start, test_start = (
        begin + earlier[end] - earlier[begin]
        for moment in (valid_start_ms, test_start_ms)
        for earlier in [ranges.sums_before(timestamp_ms < moment)]  # [E+1]
    )
    return valid_start, test_start


def check_no_leak(
    timestamp_ms: NDArray[np.int64],
    offsets: Positions,
    valid_start: Positions,
    test_start: Positions,
    *,
    valid_start_ms: int,
    test_start_ms: int,
) -> None:
    """DataError unless train < valid_start_ms <= valid < test_start_ms <= test in time, and none of them is empty."""
    edges = (offsets[:-1], valid_start, test_start, offsets[1:])
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    moments = (lowest, valid_start_ms, test_start_ms, highest)
    dated = timestamp_ms[timestamp_ms > 0]  # earlier history has no times
    span = f"the log runs from {clock.show(dated.min())} to {clock.show(dated.max())}"
    for index, name in enumerate(("train", "valid", "test")):
        where = ranges.inside(offsets, edges[index], edges[index + 1])
        times = timestamp_ms[where]
        if not len(times):
            raise DataError(f"no event is left for {name} ({span}); move --config.valid_start or --config.test_start")
        wrong = (times < moments[index]) | (times >= moments[index + 1])
        if wrong.any():
            raise DataError(
                f"leak: {int(wrong.sum()):,} events of the {name} split lie outside its time, the first at "
                f"{clock.show(times[wrong][0])}; sort each user's events by time and prepare again"
            )


def leave_one_out(offsets: Positions) -> tuple[Positions, Positions]:
    """A user's last event is test, the one before it validation; users of under three events only train."""
    end = offsets[1:]
    enough = np.diff(offsets) >= 3
    return end - 2 * enough, end - enough
