import numpy as np
import pytest

from data import splits
from data.shards.times import Times
from runtime.errors import DataError

# Three users: five events, none, three.
TIMES = np.array([0, 10, 20, 30, 40, 5, 25, 29], np.int64)
OFFSETS = np.array([0, 5, 5, 8], np.int64)


def test_by_time_cuts_each_user_at_the_moments():
    valid, test = splits.by_time(TIMES, OFFSETS, valid_start_ms=20, test_start_ms=30)
    np.testing.assert_array_equal(valid, [2, 5, 6])
    np.testing.assert_array_equal(test, [3, 5, 8])
    splits.check_no_leak(TIMES, OFFSETS, valid, test, valid_start_ms=20, test_start_ms=30)


def test_by_time_equals_a_loop_over_random_timelines():
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 6, 50)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    times = np.concatenate([np.sort(rng.integers(0, 100, size)) for size in sizes])
    valid, test = splits.by_time(times, offsets, valid_start_ms=60, test_start_ms=80)
    for user in range(50):
        own = times[offsets[user] : offsets[user + 1]]
        assert valid[user] == offsets[user] + (own < 60).sum()
        assert test[user] == offsets[user] + (own < 80).sum()


def test_a_leak_is_an_error():
    valid, test = splits.by_time(TIMES, OFFSETS, valid_start_ms=20, test_start_ms=30)
    late = valid.copy()
    late[0] += 1  # the event at 20 would be trained on
    with pytest.raises(DataError, match="leak: 1 events of the train split"):
        splits.check_no_leak(TIMES, OFFSETS, late, np.maximum(test, late), valid_start_ms=20, test_start_ms=30)


def test_unsorted_times_are_found():
    times = TIMES[::-1].copy()
    valid, test = splits.by_time(times, OFFSETS, valid_start_ms=20, test_start_ms=30)
    with pytest.raises(DataError, match="leak"):
        splits.check_no_leak(times, OFFSETS, valid, test, valid_start_ms=20, test_start_ms=30)


@pytest.mark.parametrize(
    ("valid_start", "test_start", "empty"), [(-1, 30, "train"), (31, 35, "valid"), (20, 99, "test")]
)
def test_an_empty_split_is_an_error_that_names_the_flag(valid_start, test_start, empty):
    moments = {"valid_start_ms": valid_start, "test_start_ms": test_start}
    valid, test = splits.by_time(TIMES, OFFSETS, **moments)
    edges = (OFFSETS[:-1], valid, test, OFFSETS[1:])
    sizes = {name: int((edges[at + 1] - edges[at]).sum()) for at, name in enumerate(splits.PARTS)}
    with pytest.raises(DataError, match=rf"no event is left for {empty}.*--config\.valid_start"):
        splits.check_none_empty(sizes, first_ms=0, last_ms=40)


def test_moments_in_the_wrong_order():
    with pytest.raises(DataError, match=r"--config\.valid_start"):
        splits.by_time(TIMES, OFFSETS, valid_start_ms=30, test_start_ms=30)


DAY = 86_400_000


@pytest.mark.parametrize(
    ("times", "moments"),
    [
        # Of 100 ms, 80 and 90.
        (np.arange(100), (80, 90, False)),
        # A row of 2096: nine events before it.
        ([*range(9), 4_000_000_000_000], (8, 4_000_000_000_000, True)),
        # A log that grows, one event at each time below 90, then 20: of 290, 250 lie before 98, 270 before 99.
        ([*range(90), *np.repeat(range(90, 100), 20)], (98, 99, True)),
        # Ties stay together: 6 of 10 events before time 1, all but one before time 2.
        ([0] * 6 + [1] * 3 + [1000], (1, 1000, True)),
        ([0] * 9 + [1, 1000], (1, 1000, True)),
        ([0] * 98 + [1, 2], (1, 2, True)),
        ([0, 1] + [2] * 98, (1, 2, True)),
    ],
)
def test_where_nobody_says_the_last_tenths_of_time_or_else_of_events(times, moments):
    assert splits.default_moments(Times([np.sort(np.asarray(times))])) == moments


def test_a_gap_of_200_days_empties_no_split():
    # 100 days of ten events each, 200 days of none, 30 of ten: 1,300 events, of which 130 are the last 13 days.
    days = [*range(100), *range(300, 330)]
    times = np.concatenate([day * DAY + 1000 * np.arange(10) for day in days])
    assert splits.default_moments(Times([np.sort(times)])) == (304 * DAY, 317 * DAY, True)
    assert Times([np.sort(times)]).widest_gap() == (99 * DAY + 9000, 300 * DAY)


def test_other_shares():
    assert splits.default_moments(Times([np.sort(np.arange(100))]), valid_share=0.05, test_share=0.2) == (75, 80, False)
    stray = np.append(np.arange(99), 10**9)
    assert splits.default_moments(Times([np.sort(stray)]), valid_share=0.05, test_share=0.2) == (75, 80, True)


@pytest.mark.parametrize("times", [[5, 5], [5, 6, 6]])
def test_a_log_of_two_times_cannot_be_split(times):
    with pytest.raises(DataError, match=r"all events are of 1970-01-01T00:00:00Z.*needs three times or more"):
        splits.default_moments(Times([np.sort(np.asarray(times))]))


def test_every_log_of_three_times_or_more_is_split_in_three():
    rng = np.random.default_rng(0)
    for _ in range(300):
        times = np.sort(rng.choice([0, *rng.integers(0, 10 ** rng.integers(1, 12), 5)], rng.integers(3, 60)))
        if len(np.unique(times)) < 3:
            continue
        valid_start, test_start, _ = splits.default_moments(Times([np.sort(times)]))
        assert times[0] < valid_start < test_start <= times[-1]
        assert ((times >= valid_start) & (times < test_start)).any()
