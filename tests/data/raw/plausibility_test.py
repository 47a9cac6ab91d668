import numpy as np
import polars as pl
import pytest

from data import feedback
from data.raw import plausibility

T = 1_650_000_000_000


def said(*, play_ms, duration_ms=-1, time=None, surface=1, lengths=None, user_ids=None, item_ids=(), **flags):
    """Of events of one item, which lasts `duration_ms`, by users of `lengths` events, called u0 and so on."""
    play_ms = np.asarray(play_ms)
    flags = {name: np.broadcast_to(flag, len(play_ms)) for name, flag in flags.items()}
    lengths = [len(play_ms)] if lengths is None else lengths
    return plausibility.warnings(
        {
            "offsets": np.concatenate([[0], np.cumsum(lengths)]),
            "timestamp_ms": T + 1000 * np.arange(len(play_ms)) if time is None else time,
            "play_ms": play_ms,
            "item": np.ones(len(play_ms), int),
            "surface": np.broadcast_to(surface, len(play_ms)),
            "feedback": feedback.to_bits(flags, play_ms=play_ms),
        },
        item_duration_ms=np.array([-1, duration_ms]),
        user_ids=pl.Series(user_ids or [f"u{n}" for n in range(len(lengths))]),
        item_ids=pl.Series(item_ids, dtype=pl.String),
    )


PLAYS = np.array([1_000, 2_000, 9_000, 20_000, 30_000])


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ({"play_ms": PLAYS, "duration_ms": 15_000, "like": [1, 0, 0, 0, 0]}, []),
        ({"play_ms": -np.ones(5, int)}, []),
        # The 99th percentile lies .96 of the way from the fourth to the last, 20 and 30: 29.6, as ms or as s.
        (
            {"play_ms": PLAYS // 1000},
            ["99% of plays last at most 0.03 seconds: is play_ms in seconds? Then schema.yaml"],
        ),
        ({"play_ms": PLAYS // 1000 * 330}, ["`play_ms: {column: …, unit: s}`"]),  # 9.768 s
        ({"play_ms": PLAYS // 1000 * 340}, []),  # 10.064 s
        # Nothing played is no short play.
        ({"play_ms": [0, 0, 0, 0, 0, 30_000]}, ["83.3% of plays are skips"]),
        (
            {"play_ms": PLAYS // 1000, "duration_ms": 15},
            ["99% of plays last at most 0.03 seconds", "half of the items last at most 0.015 seconds: is duration_ms"],
        ),
        ({"play_ms": PLAYS, "duration_ms": 3_000}, []),
        ({"play_ms": PLAYS, "duration_ms": 2_999}, ["half of the items last at most 3 seconds"]),
        # The median of 1, 2, 9, 20, 30 is 9: of 900 s a hundredth, of 1 s nine times.
        ({"play_ms": PLAYS, "duration_ms": 900_000}, ["lasts 0.01 times as long as its item"]),
        ({"play_ms": PLAYS, "duration_ms": 1_000}, ["half of the items", "lasts 9 times as long as its item"]),
        ({"play_ms": PLAYS * 10_000}, ["lasts 25 hours"]),
        # 10 of 11 plays are more than nine tenths, 9 of 10 are not; in hours or in seconds any play is one.
        ({"play_ms": np.full(11, 19_000), "long_view": np.arange(11) > 0}, ["90.9% of plays are long views"]),
        ({"play_ms": np.full(10, 19_000), "long_view": np.arange(10) > 0}, []),
        ({"play_ms": [19_000, -1], "long_view": [1, 0]}, ["100.0% of plays are long views"]),
        ({"play_ms": PLAYS * 10_000, "long_view": 1}, ["lasts 25 hours"]),
        ({"play_ms": PLAYS // 1000, "long_view": 1}, ["is play_ms in seconds?"]),
        ({"play_ms": PLAYS, "like": 1}, ["100.0% of events have a like"]),
        ({"play_ms": PLAYS, "dislike": [1, 1, 1, 0, 0]}, ["60.0% of events have a dislike"]),
        # 7 of 26 events are more than a quarter, 6 of 25 are not.
        ({"play_ms": np.full(26, 19_000), "lengths": [1, 7] + [1] * 18}, ["one of 20 users, 'u1', has 26.9% of"]),
        ({"play_ms": np.full(25, 19_000), "lengths": [1, 6] + [1] * 18}, []),
        ({"play_ms": np.full(1_001, 19_000), "surface": np.arange(1_001)}, []),  # code 0 is none
        ({"play_ms": np.full(1_001, 19_000), "surface": 1 + np.arange(1_001)}, ["surface has 1,001 values"]),
        ({"play_ms": PLAYS, "time": T // 86_400_000 * 86_400_000 + 86_400_000 * np.arange(5)}, ["moment of a day"]),
        # 1.73569E+12 keeps six digits, so that a step is 10^7 ms; whole minutes and days are what clocks make.
        ({"play_ms": PLAYS, "time": 1_650_000 * 10**6 + 10**7 * np.arange(5)}, ["multiples of 10,000 seconds"]),
        ({"play_ms": PLAYS, "time": T // 60_000 * 60_000 + 300_000 * np.arange(5)}, []),
        (
            {"play_ms": [19_000, 19_000], "lengths": [1, 1], "user_ids": ["None", "ann"]},
            ["user_id 'None': does it stand"],
        ),
        (
            {"play_ms": [19_000, 19_000], "lengths": [1, 1], "user_ids": ["ann", "ann "]},
            ["'ann ' differs from another"],
        ),
        ({"play_ms": PLAYS, "item_ids": ["1.23457E+12", "v"]}, ["1 of item_id are written like 1.23457E+12"]),
        ({"play_ms": PLAYS, "item_ids": ["1.5", "NaNa", "n 1"]}, []),
    ],
)
def test_what_looks_wrong_about_the_whole(log, told):
    found = said(**log)
    assert len(found) == len(told)
    for line, words in zip(found, told, strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("uploaded_ms", "told"),
    [
        ([], None),
        ([T, T, -T], None),
        ([T // 1000] * 10, "100.0% of the items that have one are of a time in January 1970: is it another unit"),
        ([T // 1000] * 9 + [T], "90.0% of the items"),
        ([T // 1000] * 8 + [T] * 2, None),
        ([T // 60_000] * 9, "unit: s}`?"),
        ([T * 1000] * 10, "after the year 2100: is it another unit, as schema.yaml says by `uploaded_ms: {column: …, "),
        ([-1, 0, 86_400_000 * 31], None),  # films of 1970 and before; 0 is nothing
    ],
)
def test_uploads_of_another_unit(uploaded_ms, told):
    uploaded = pl.Series([None, *uploaded_ms], dtype=pl.Int64)
    first_ms = pl.Series([np.iinfo(np.int64).max] * len(uploaded))
    notes, found = plausibility.of_uploads(uploaded, first_ms)
    assert (notes, len(found)) == ([], told is not None)
    assert told is None or told in found[0]
