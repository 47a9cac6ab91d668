"""A small log of impressions for tests: eight days, taste by user and cluster, watch times, two platforms."""

import numpy as np
import polars as pl

from data import feedback, timelines
from data.timelines import Timelines

DAY_MS = 86_400_000
START_MS = 1_000 * DAY_MS
DAYS = 8  # the last but one is for validation, the last is for test


def write(folder, *, num_users=40, num_items=30, per_day=4, seed=0, watch_times=True, one_class=(), silent=0):
    """Writes and opens the log: `per_day` impressions of each user on most days.

    Users watch items of one of two clusters longer. `one_class`: users who never see the end of anything on the test
    day. The first `silent` users have no event before it.
    """
    rng = np.random.default_rng(seed)
    cluster = np.arange(num_items + 1) % 2 + 1
    likes = rng.integers(1, 3, num_users)
    rows = []
    for user in range(num_users):
        for day in range(DAYS):
            if (user < silent and day < DAYS - 1) or (day < DAYS - 2 and rng.random() < 0.2):
                continue
            for _ in range(per_day):
                item = rng.integers(1, num_items + 1)
                seconds = rng.exponential(30.0 if cluster[item] == likes[user] else 4.0)
                if user in one_class and day == DAYS - 1:
                    seconds = 1.0
                rows.append((user, START_MS + day * DAY_MS + rng.integers(DAY_MS), item, int(1000 * seconds)))
    user, time, item, play_ms = np.array(sorted(rows), np.int64).T
    valid_ms, test_ms = START_MS + (DAYS - 2) * DAY_MS, START_MS + (DAYS - 1) * DAY_MS
    offsets = np.searchsorted(user, np.arange(num_users + 1))
    bounds = {
        name: offsets[:-1] + np.bincount(user[time < moment], minlength=num_users)
        for name, moment in (("valid_start", valid_ms), ("test_start", test_ms))
    }
    long_view = feedback.is_long_view(play_ms, np.full(len(item), 60_000))
    flags = {"click": play_ms > 5_000, "long_view": long_view}
    if not watch_times:
        play_ms = np.full(len(item), -1)
    timelines.write(
        folder,
        arrays={
            **dict.fromkeys(timelines.EVENT_DTYPES, np.zeros(len(item))),
            "item": item,
            "timestamp_ms": time,
            "play_ms": play_ms,
            "duration_ms": np.full(len(item), 60_000),
            "dwell": feedback.dwell_bucket(play_ms),
            "feedback": feedback.to_bits(flags, play_ms=play_ms),
            "surface": 1 + (np.arange(len(item)) % 5 == 0),
            "offsets": offsets,
            **bounds,
        },
        items=pl.DataFrame(
            {
                "item_id": [None, *range(100, 100 + num_items)],
                "creator": np.where(cluster > 0, np.arange(num_items + 1) % 6, 0).astype(np.int32),
                "cluster": np.where(np.arange(num_items + 1) > 0, cluster, 0).astype(np.int32),
                "duration_ms": np.full(num_items + 1, 60_000, np.int32),
                "train_count": np.bincount(item[time < valid_ms], minlength=num_items + 1).astype(np.int32),
            }
        ),
        users=pl.DataFrame({"user_id": range(num_users), "age": [str(u % 3) for u in range(num_users)]}),
        fields={
            "vocabulary_hash": "x",
            "item_features": [{"name": "creator", "cardinality": 7}, {"name": "cluster", "cardinality": 3}],
            "feedback": ["click", "long_view", *(["skip"] if watch_times else [])],
            "surfaces": ["feed", "search"],
            "valid_start_ms": valid_ms,
            "test_start_ms": test_ms,
            "end_ms": int(time.max()) + 1,
        },
    )
    return Timelines.open(folder)
