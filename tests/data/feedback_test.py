import numpy as np
import pytest

from data import feedback


def bit(name):
    return 1 << feedback.BITS[name]


def test_bits_are_the_contract():
    names = ["click", "long_view", "like", "follow", "comment", "share", "dislike", "skip"]
    assert {name: at for at, name in enumerate(names)} == feedback.BITS


def test_to_bits_packs_columns():
    bits = feedback.to_bits({"click": [1, 0, 1], "dislike": np.array([False, True, True])}, play_ms=[-1] * 3)
    np.testing.assert_array_equal(bits, [1, 1 << 6, 1 + (1 << 6)])
    assert bits.dtype == np.uint16


def test_skip_is_a_short_known_play_without_positive_action():
    play_ms = [2_999, 3_000, -1, 0, 10, 10, 10]
    columns = {
        "click": [1, 0, 0, 0, 0, 0, 0],  # a click does not cancel a skip
        "like": [0, 0, 0, 0, 1, 0, 0],
        "comment": [0, 0, 0, 0, 0, 1, 0],
        "dislike": [0, 0, 0, 0, 0, 0, 1],  # nor does a dislike
    }
    bits = feedback.to_bits(columns, play_ms=play_ms)
    np.testing.assert_array_equal(feedback.has(bits, "skip"), [True, False, False, True, False, False, True])


def test_to_bits_of_play_times_alone():
    np.testing.assert_array_equal(feedback.to_bits({}, play_ms=[0, 5_000]), [bit("skip"), 0])


def test_skip_cannot_be_given():
    with pytest.raises(ValueError, match="derived"):
        feedback.to_bits({"skip": [1]}, play_ms=[0])


def test_has_is_any_of_the_names():
    bits = np.array([bit("click"), bit("like"), 0, bit("click") | bit("skip")], np.uint16)
    np.testing.assert_array_equal(feedback.has(bits, "like", "skip"), [False, True, False, True])
    np.testing.assert_array_equal(feedback.has(bits), [False] * 4)
    with pytest.raises(KeyError, match=r"'lick'.*click"):
        feedback.has(bits, "lick")


def test_negative_wins_over_positive():
    bits = np.array([0, bit("click"), bit("dislike"), bit("click") | bit("dislike")], np.uint16)
    kinds = feedback.label_kinds(bits, positive=["click", "like"], negative=["dislike"])
    np.testing.assert_array_equal(kinds, [0, 1, 2, 2])
    assert kinds.dtype == np.int8
    np.testing.assert_array_equal(feedback.label_kinds(bits, positive=["click"], negative=[]), [0, 1, 0, 1])


def test_dwell_buckets_change_at_the_edges():
    edges = [1_000, 3_000, 6_000, 10_000, 18_000, 30_000, 60_000, 120_000]
    np.testing.assert_array_equal(feedback.dwell_bucket([-1, 0, 999]), [1, 2, 2])
    np.testing.assert_array_equal(feedback.dwell_bucket(edges), np.arange(3, 11))
    np.testing.assert_array_equal(feedback.dwell_bucket(np.array(edges) - 1), np.arange(2, 10))
    assert feedback.dwell_bucket([2**31 - 1])[0] == feedback.NUM_DWELL_BUCKETS - 1


def test_long_view_is_the_whole_video_or_18_seconds():
    play_ms = [7_000, 6_999, 18_000, 17_999, 17_999, -1]
    duration_ms = [7_000, 7_000, 60_000, 60_000, -1, 0]
    expected = [True, False, True, False, False, False]
    np.testing.assert_array_equal(feedback.is_long_view(play_ms, duration_ms), expected)
