"""What no training event has says nothing: the ranker scores it as the unknown, whatever its parameters are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from configs.ranking import get_config
from data import feedback
from ranking import log_statistics
from ranking.checkpoint import build
from ranking.inputs import Impressions
from tests.logs import random_timelines

LENGTH = 8


def without(log, name):
    """The log as it would be if nobody ever had given this feedback."""
    return dataclasses.replace(log, feedback=log.feedback & ~np.uint16(1 << feedback.BITS[name]))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Items 5, 6 are in no training event; creator 7 and music 2 are theirs alone, platform 3 of held-out days."""
    made = random_timelines.write(
        tmp_path_factory.mktemp("log") / "timelines", lengths=[14] * 12, num_items=6, unseen=2
    )
    items = made.items.with_columns(
        creator=pl.Series([0, 1, 2, 3, 4, 7, 7], dtype=pl.Int32), music=pl.Series([0, 1, 1, 0, 1, 2, 0], dtype=pl.Int32)
    )
    surface = np.where(made.in_split("train"), 1 + np.arange(len(made.item)) % 2, 3).astype(np.int32)
    manifest = {
        **made.manifest,
        "surfaces": ["a", "b", "c"],
        "item_features": [{"name": name, "cardinality": 8} for name in ("creator", "music")],
    }
    timed = dataclasses.replace(
        made, items=items, surface=surface, manifest=manifest, timestamp_ms=1_000 * (1 + np.arange(len(made.item)))
    )
    return without(timed, "dislike")


def scorer(log, *, randomly, variant="full"):
    """`inputs -> logits` of a ranker as it is before training, or with random numbers in place of all parameters."""
    config = get_config(f"tiny,{variant}")
    made = log_statistics.build(log, config.history_feedback)
    model = build(config, log, made)
    params = jax.jit(model.init)(jax.random.key(0))
    if randomly:
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), params)
    return jax.jit(lambda inputs: model.merge(params)(inputs)), Impressions(log, made, length=LENGTH)


@pytest.mark.parametrize("variant", ["full", "no_feedback_encoder"])
@pytest.mark.parametrize("randomly", [False, True])
def test_the_first_dislike_of_a_log_without_any_changes_no_score(log, variant, randomly):
    score, impressions = scorer(log, randomly=randomly, variant=variant)
    inputs = impressions.inputs(np.flatnonzero(log.in_split("test")))
    place = get_config("tiny").history_feedback.index("dislike")
    disliked = {
        **inputs,
        "feedback": inputs["feedback"] | np.where(inputs["item"] > 0, 1 << place | 1 << 15 + place, 0),
    }
    np.testing.assert_array_equal(score(disliked), score(inputs))
    liked = {**inputs, "feedback": inputs["feedback"] ^ 1 << get_config("tiny").history_feedback.index("like")}
    assert np.abs(score(liked) - score(inputs)).max() > 1e-3  # while a like, which training tells of, does


def test_a_category_that_was_never_trained_is_the_unknown_one(log):
    score, impressions = scorer(log, randomly=True)
    inputs = impressions.inputs(np.flatnonzero(log.in_split("test")))
    unknown = log.items.with_columns(
        creator=pl.Series([0, 1, 2, 3, 4, 0, 0], dtype=pl.Int32), music=pl.Series([0, 1, 1, 0, 1, 0, 0], dtype=pl.Int32)
    )
    of_unknown, _ = scorer(dataclasses.replace(log, items=unknown), randomly=True)
    never = {**inputs, "candidate": np.full_like(inputs["candidate"], 5)}
    # Items 5 and 6 share a creator, whom a history of theirs matches; without it, nothing tells them from the unknown.
    alone = {**never, "item": np.where(inputs["item"] > 4, 1, inputs["item"])}
    np.testing.assert_array_equal(score(alone), of_unknown(alone))
    trained = {**alone, "candidate": np.full_like(inputs["candidate"], 4)}
    assert np.abs(score(trained) - score(alone)).max() > 1e-3


def test_a_platform_that_was_never_trained_is_the_unknown_one(log):
    score, impressions = scorer(log, randomly=True)
    inputs = impressions.inputs(np.flatnonzero(log.in_split("test")))
    assert (inputs["platform"] == 3).all()
    inputs["surface"] = np.where(inputs["surface"] == 3, 1, inputs["surface"])  # none of the history's is the same
    nowhere = {**inputs, "platform": np.zeros_like(inputs["platform"])}
    np.testing.assert_array_equal(score(inputs), score(nowhere))
    assert np.abs(score({**inputs, "platform": np.ones_like(inputs["platform"])}) - score(inputs)).max() > 1e-3


def test_a_place_that_no_training_history_reaches_says_nothing(log):
    """Before training; a place without events gets no gradient and stays as it is."""
    config = get_config("tiny")
    model = build(config, log, log_statistics.build(log, config.history_feedback))
    encoder = model.merge(jax.jit(model.init)(jax.random.key(0))).encoder
    assert encoder is not None
    assert not np.asarray(encoder.events.positions[...]).any()
