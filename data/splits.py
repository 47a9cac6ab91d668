"""Splits each user's events into those to learn from, to validate on and to test on.

All splits are by time: whatever happens before a moment is known, whatever comes after is not.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data import clock, ranges
from data.shards.times import Times
from runtime.errors import DataError

Positions = NDArray[np.int64]
PARTS = ("train", "valid", "test")
SHARE = 0.1  # of validation, and of test


def default_moments(times: Times, *, valid_share: float = SHARE, test_share: float = SHARE) -> tuple[int, int, bool]:
    """Where validation and test begin, ms, where nobody says: the last shares of the log's time, or else of its events.

    With shares of a tenth, test is the last tenth of the time and validation the one before it, as long as each of
    these tenths holds between a twentieth and a fifth of the events, half and twice its share. Where one does not, as
    where the log has a gap or a few events far from the rest, or has grown a lot, they are the last tenths of the
    events, each from the first time by which as many have happened, and the third value is True. Events of one time
    stay together; none of the three splits is empty.

    Errors: DataError where the events are of fewer than three times.
    """
    first, end, events = times.first, times.last + 1, len(times)
    before_valid, before_test = 1 - valid_share - test_share, 1 - test_share  # shares
    # In whole numbers: milliseconds of 50 years are more than float arithmetic keeps to the last one.
    valid_start, test_start = (
        first + (end - first) * round(1e6 * share) // 10**6 for share in (before_valid, before_test)
    )
    of_test = (events - times.before(test_start)) / events
    of_valid = (events - times.before(valid_start)) / events - of_test
    if all(share / 2 <= part <= share * 2 for share, part in ((valid_share, of_valid), (test_share, of_test))):
        return valid_start, test_start, False
    second = times.next(first)
    third = None if second is None else times.next(second)
    if second is None or third is None:
        of = " and ".join(clock.show(time) for time in (first, second) if time is not None)
        raise DataError(
            f"all events are of {of}: a split by time needs three times or more; give a longer log, or times to the "
            "millisecond"
        )

    def by_which(share: float) -> int:
        # The first time with at least this share of the events before it, else the last.
        before = -(-events * round(1e6 * share) // 10**6)
        found = times.next(times.ranked(before)) if before else first
        return times.last if found is None else found

    test = min(max(by_which(before_test), third), times.last)  # each of the three has a time of its own
    latest = times.previous(test)
    assert latest is not None
    return min(max(by_which(before_valid), second), latest), test, True


def by_time(
    timestamp_ms: NDArray[np.int64], offsets: Positions, *, valid_start_ms: int, test_start_ms: int
) -> tuple[Positions, Positions]:
    """First validation and first test position of each user: events at or after each moment.

    Args:
      timestamp_ms: [E], ascending within each user. offsets: [U+1] positions where users begin.
    Returns:
      valid_start [U], test_start [U], offsets[u] <= valid_start[u] <= test_start[u] <= offsets[u + 1].
    """
    check_order(valid_start_ms=valid_start_ms, test_start_ms=test_start_ms)
    begin, end = offsets[:-1], offsets[1:]
    valid_start, test_start = (
        begin + earlier[end] - earlier[begin]
        for moment in (valid_start_ms, test_start_ms)
        for earlier in [ranges.sums_before(timestamp_ms < moment)]  # [E+1]
    )
    return valid_start, test_start


def check_order(*, valid_start_ms: int, test_start_ms: int) -> None:
    """DataError unless validation begins before test does."""
    if valid_start_ms >= test_start_ms:
        raise DataError(
            f"validation starts at {clock.show(valid_start_ms)}, test at {clock.show(test_start_ms)}: "
            "give a --config.valid_start before --config.test_start"
        )


def check_no_leak(
    timestamp_ms: NDArray[np.int64],
    offsets: Positions,
    valid_start: Positions,
    test_start: Positions,
    *,
    valid_start_ms: int,
    test_start_ms: int,
) -> None:
    """DataError unless train < valid_start_ms <= valid < test_start_ms <= test in time."""
    edges = (offsets[:-1], valid_start, test_start, offsets[1:])
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    moments = (lowest, valid_start_ms, test_start_ms, highest)
    for index, name in enumerate(PARTS):
        times = timestamp_ms[ranges.inside(offsets, edges[index], edges[index + 1])]
        wrong = (times < moments[index]) | (times >= moments[index + 1])
        if wrong.any():
            raise DataError(
                f"leak: {int(wrong.sum()):,} events of the {name} split lie outside its time, the first at "
                f"{clock.show(times[wrong][0])}; sort each user's events by time and prepare again"
            )


def check_none_empty(sizes: Mapping[str, int], *, first_ms: int, last_ms: int) -> None:
    """DataError where one of train, valid and test has no event, of a log from `first_ms` to `last_ms`."""
    for name in PARTS:
        if not sizes[name]:
            span = f"the log runs from {clock.show(first_ms)} to {clock.show(last_ms)}"
            raise DataError(f"no event is left for {name} ({span}); move --config.valid_start or --config.test_start")
