"""A ranking stage from an exported folder, whose ranker is simple enough to compute by hand."""

import dataclasses

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from configs.counterfactual import get_config
from data.events_read import Reading, events_of
from data.feedback import BITS, NUM_DWELL_BUCKETS, dwell_bucket
from data.watch_time import BOUNDED, watch_feedback
from runtime.errors import DataError, UsageError
from simulation.counterfactual.settings import check
from simulation.counterfactual.trajectories import Slates
from simulation.exported import ranker
from simulation.exported.files import load_array, load_function
from simulation.exported.recommender import Recommender
from tests.helpers import fake_ranker

N, LENGTH = 6, 3
READS = ("EVV", "FVV", "GVV", "dislike")
RATES = np.arange(N + 1, dtype=np.float32)[:, None] / 10  # an item's only rate is its index / 10
THRESHOLDS = np.full((N + 1, len(BOUNDED)), np.inf, np.float32)
THRESHOLDS[:, :3] = np.arange(N + 1)[:, None] * 4000.0 + [0, 5000, 2000]
RECOMMENDER = Recommender(
    start=None, step=None, item_vectors=np.zeros((N + 1, 2), np.float32), items=pl.DataFrame(), reading=Reading(9),
    fingerprint="", vocabulary_hash="x",
)  # fmt: skip


def probabilities(item, feedback, surface, user, platform, hour, gap, candidate, rates):
    """Two tasks: the candidate's rate; and for odd ones the events read / 20, disliked ones (bit 3) thrice."""
    read = ((item > 0) + 2 * ((feedback >> 3) & 1)).sum(axis=1, keepdims=True)
    del surface, user, platform, hour, gap
    return jnp.stack([rates[..., 0], jnp.where(candidate % 2 == 1, read, 0) / 20], axis=-1)


def export(path, **changes):
    given = {"gamma": {"like": 1.0, "many": -1.0}, "rates": RATES, "thresholds": THRESHOLDS, "length": LENGTH}
    return fake_ranker.write(path, **{"probabilities": probabilities, "reads": READS, **given, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export(tmp_path_factory.mktemp("exported") / "ranker")


def columns(items, disliked=()):
    """Events filled from the left, two more columns of padding."""
    item = jnp.array([[*items, 0, 0]])
    bits = jnp.array([[1 << BITS["dislike"] if i in disliked else 0 for i in (*items, 0, 0)]])
    return item, jnp.where(item > 0, 1, 0), bits


SLATE, LOGITS = jnp.array([[2, 1, 4]]), jnp.array([[3.0, 2.0, 1.0]])


def test_the_order_is_the_rankers_and_the_logits_are_the_recommenders(folder):
    rank = ranker.load(folder, RECOMMENDER).order
    # Scores .2, .1 - .05, .4: 4 before 2 before 1.
    np.testing.assert_array_equal(rank(*columns([5]), SLATE, LOGITS), [[2.0, 1.0, 3.0]])


def test_a_dislike_in_the_history_moves_the_order(folder):
    rank = ranker.load(folder, RECOMMENDER).order
    slate = jnp.array([[5, 4, 2]])  # scores .5 - .05, .4, .2, and with the dislike .5 - .15, .4, .2
    np.testing.assert_array_equal(rank(*columns([1]), slate, LOGITS), [[3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(rank(*columns([1], (1,)), slate, LOGITS), [[2.0, 3.0, 1.0]])


@pytest.mark.parametrize(
    ("events", "expected"), [([1, 2, 3, 4, 0], [2, 3, 4]), ([1, 0, 0, 0, 0], [1, 0, 0]), ([7, 8], [7, 8, 0])]
)
def test_the_newest_events_from_the_left(events, expected):
    column = jnp.array([events])
    for read in events_of((column,) * 3, Reading(3)):
        np.testing.assert_array_equal(read, [expected])


def test_what_was_met_stays_behind(folder):
    rank = ranker.load(folder, RECOMMENDER).order
    found = rank(*columns([1]), SLATE, jnp.array([[3.0, 2.0, 1.0 - 1e4]]))  # 4 would be first
    np.testing.assert_array_equal(found, [[3.0, 2.0, 1.0 - 1e4]])


def test_slates_are_ranked_again_inside_a_jitted_function(folder):
    slates = Slates(2, rank=ranker.load(folder, RECOMMENDER), candidates=4)
    vectors = jnp.asarray(np.arange(N + 1, 0, -1, dtype=np.float32)[:, None])  # retrieval prefers low indices
    slate = jax.jit(lambda *history: slates.best(jnp.ones((1, 1)), vectors, history, history[0]))(*columns([1]))
    np.testing.assert_array_equal(slate, [[5, 4]])  # of 2, 3, 4, 5: .2, .3 - .05, .4, .5 - .05


def test_dwell_buckets_tell_what_they_can():
    found = ranker.watched(THRESHOLDS, READS)
    assert found.shape == (N + 1, NUM_DWELL_BUCKETS)
    assert not found[:, :2].any()  # padding and unknown
    for play_ms in (0, 999, 1000, 2999, 3000, 8000, 17_999, 18_000, 29_999, 60_000, 500_000):
        bucket = int(dwell_bucket(play_ms))
        truth = watch_feedback(np.full(N + 1, play_ms), np.arange(N + 1), THRESHOLDS)
        for place, name in enumerate(READS[:3]):
            known = found[:, bucket] >> (15 + place) & 1 == 1
            np.testing.assert_array_equal((found[:, bucket] >> place & 1)[known], truth[name][known])
            assert name != "GVV" or known.all()
    # Item 2 is EVV above 8 s, in the bucket from 6 s to 10 s: that one alone tells nothing.
    assert [int(word >> 15 & 1) for word in found[2, 2:]] == [1, 1, 1, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocabulary_hash": "y"}, "ranks other items than the recommender has; export both of the same timelines"),
        ({"num_items": 7}, "ranks other items than the recommender"),
        ({"dwell_edges_ms": [1]}, r"dwell_edges_ms is \[1\], this code's is .*; export it again"),
    ],
)
def test_a_ranker_of_other_items_or_definitions(tmp_path, fields, message):
    with pytest.raises(UsageError, match=message):
        ranker.load(export(tmp_path / "ranker", **fields), RECOMMENDER)


@pytest.mark.parametrize("field", ["gamma", "length", "surfaces", "num_items"])
def test_a_manifest_without_a_field(tmp_path, field):
    with pytest.raises(DataError, match=rf"manifest\.json: no field '{field}'; export the ranker again"):
        ranker.load(export(tmp_path / "ranker", without=field), RECOMMENDER)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ["like", "share"]}, "no field 'gamma/share'"),
        ({"thresholds": THRESHOLDS[:-1]}, r"thresholds\.npy: float32 \(6, 6\), not"),
        ({"thresholds": THRESHOLDS.astype(np.float64)}, r"thresholds\.npy: float64 \(7, 6\), not float32 \(7, 6\)"),
        (
            {"rates": np.concatenate([RATES, RATES]), "num_items": N},
            r"rates\.npy: float32 \(14, 1\), not float32 \(7, 1\)",
        ),
    ],
)
def test_a_ranker_that_is_not_what_its_manifest_says(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        ranker.load(export(tmp_path / "ranker", **changes), RECOMMENDER)


def test_an_array_that_is_none(tmp_path):
    (tmp_path / "rates.npy").write_bytes(b"no")
    with pytest.raises(DataError, match=r"rates\.npy: cannot be read \(.*\); export the ranker again"):
        load_array(tmp_path / "rates.npy", (7, 1), model="ranker")


@pytest.mark.parametrize("candidates", [9, 33])
def test_candidates_are_at_least_a_slate_and_at_most_what_is_left(candidates):
    recommender = dataclasses.replace(
        RECOMMENDER,
        item_vectors=np.zeros((41, 2), np.float32),
        items=pl.DataFrame({"train_count": [0] + [1] * 40}),
    )
    config = get_config("tiny")  # slates of 10 items beside 8 that were consumed
    for fits in (0, 10, 32):
        check(config, recommender, candidates=fits)
    with pytest.raises(
        UsageError, match=rf"--candidates={candidates}: give a number from 10, .* to 32, those that k=8"
    ):
        check(config, recommender, candidates=candidates)


def test_a_broken_function(tmp_path):
    (tmp_path / "ranker.jax").write_bytes(b"no")
    with pytest.raises(DataError, match=r"ranker\.jax: not a function saved by jax\.export"):
        load_function(tmp_path / "ranker.jax", model="ranker")
