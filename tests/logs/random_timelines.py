"""Small random timelines for tests: users of very different lengths, with training, validation and test days."""

import dataclasses

import numpy as np
import polars as pl

from data import feedback, timelines
from data.timelines import Timelines

NAMES = ("click", "long_view", "like", "dislike")


def uploaded(log):
    """The log whose items were uploaded when the first training event of each happened, or when training ended.

    Of the first two the upload is unknown, so that no event has its own item alone.
    """
    trained = log.in_split("train")
    uploaded_ms = np.full(log.num_items + 1, log.timestamp_ms[trained].max() + 1)
    np.minimum.at(uploaded_ms, log.item[trained], log.timestamp_ms[trained])
    uploads = pl.Series("uploaded_ms", [None, None, None, *uploaded_ms[3:]])
    return dataclasses.replace(log, items=log.items.with_columns(uploads))


def write(
    folder,
    *,
    lengths=None,
    num_items=20,
    unseen=3,
    seed=0,
    one_event_per_item=False,
    loyal=False,
    without=(),
    longest_play_ms=100_000,
    vocabulary_hash="x",
):
    """Writes and opens timelines of users with `lengths` events, the last two fifths of them held out.

    Each event has each of NAMES, but those of `without`, with probability 0.3, and is played for up to
    `longest_play_ms`. The last `unseen` items occur in no training event. Creator and
    cluster of item j are j mod 4 + 1 and j mod 2 + 1. With `one_event_per_item` event e is of item e + 1, so that an
    item names its event. With `loyal` users meet only items whose number mod 4 is theirs, so of one creator: what a
    model has to find.
    """
    rng = np.random.default_rng(seed)
    lengths = np.asarray(rng.integers(1, 14, 16) if lengths is None else lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    num_events = offsets[-1]
    valid_start = offsets[:-1] + -(-lengths * 3 // 5)
    test_start = offsets[:-1] + -(-lengths * 4 // 5)
    user = np.repeat(np.arange(len(lengths)), lengths)
    trained = np.arange(num_events) < valid_start[user]
    if one_event_per_item:
        num_items, item = num_events, np.arange(1, num_events + 1)
    else:
        item = rng.integers(1, num_items + 1, num_events)
        item[trained] = rng.integers(1, num_items - unseen + 1, trained.sum())
    if loyal:
        own = item - item % 4 + user % 4
        last = np.where(trained, num_items - unseen, num_items)
        item = own + 4 * (own < 1) - 4 * (own > last)
    play_ms = rng.integers(-1, longest_play_ms, num_events)
    flags = {name: (rng.random(num_events) < 0.3) & (name not in without) for name in NAMES}
    index = np.arange(num_items + 1)
    timelines.write(
        folder,
        arrays={
            **dict.fromkeys(timelines.EVENT_DTYPES, np.zeros(num_events)),
            "item": item,
            "timestamp_ms": np.arange(num_events),
            "play_ms": play_ms,
            "dwell": feedback.dwell_bucket(play_ms),
            "feedback": feedback.to_bits(flags, play_ms=play_ms),
            "offsets": offsets,
            "valid_start": valid_start,
            "test_start": test_start,
        },
        items=pl.DataFrame(
            {
                "item_id": [None, *range(100, 100 + num_items)],
                "creator": np.where(index > 0, index % 4 + 1, 0).astype(np.int32),
                "cluster": np.where(index > 0, index % 2 + 1, 0).astype(np.int32),
                "train_count": np.bincount(item[trained], minlength=num_items + 1).astype(np.int32),
            }
        ),
        users=pl.DataFrame({"user_id": range(len(lengths))}),
        fields={
            "vocabulary_hash": vocabulary_hash,
            "item_features": [{"name": "creator", "cardinality": 5}, {"name": "cluster", "cardinality": 3}],
            "feedback": list(feedback.BITS),
            "valid_start_ms": int(valid_start.min(initial=0)),
            "test_start_ms": int(test_start.min(initial=0)),
            "end_ms": int(num_events),
        },
    )
    return Timelines.open(folder)


def uploaded_late(log, items, split):
    """The log with these items uploaded a moment after `split` begins, and all others long before."""
    _, begins_ms = log.until(split)
    uploaded_ms = np.full(log.num_items + 1, begins_ms - 10**9)
    uploaded_ms[np.asarray(items, np.int64)] = begins_ms + 1
    return dataclasses.replace(log, items=log.items.with_columns(uploaded_ms=pl.Series(uploaded_ms)))
