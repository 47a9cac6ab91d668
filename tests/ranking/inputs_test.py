"""What the ranker is told of an impression, and what its features make of it: counted one event at a time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import nnx

from configs.ranking import get_config
from data import feedback
from data.watch_time import watch_feedback
from ranking import log_statistics, tasks
from ranking.checkpoint import build
from ranking.inputs import Impressions, TrainingInputs
from ranking.model import features, history_rates
from ranking.tasks import Labels
from tests.logs import random_timelines

FEEDBACK = ("EVV", "GVV", "like")
LENGTH = 8
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Moments of two events, an hour apart; the first ten events are earlier history without watch times."""
    log = random_timelines.write(tmp_path_factory.mktemp("log") / "timelines", lengths=[14] * 12, num_items=6, unseen=1)
    event = np.arange(len(log.item))
    play_ms = np.where(event < 10, -1, log.play_ms)
    time = np.where(event < 10, 0, DAY_MS + event // 2 * 3_600_000)
    return dataclasses.replace(log, play_ms=play_ms, timestamp_ms=time, surface=(event % 3).astype(np.int32))


@pytest.fixture(scope="module")
def made(log):
    return log_statistics.build(log, FEEDBACK)


@pytest.fixture(scope="module")
def impressions(log, made):
    return Impressions(log, made, length=LENGTH)


@pytest.fixture(scope="module")
def positions(log):
    return np.flatnonzero(log.timestamp_ms > 0)[::7]


def earlier(log, position):
    """The user's events before the moment of `position`."""
    user = log.user_of_event()
    before = (user == user[position]) & (log.timestamp_ms < log.timestamp_ms[position])
    return np.flatnonzero(before)


def test_inputs_are_of_what_came_before(log, made, impressions, positions):
    found = impressions.inputs(positions)
    values, known = log_statistics.outcomes(log, FEEDBACK, made.thresholds)
    for row, position in enumerate(positions):
        events = earlier(log, position)[-LENGTH:]
        np.testing.assert_array_equal(found["item"][row], np.pad(log.item[events], (0, LENGTH - len(events))))
        np.testing.assert_array_equal(found["surface"][row, : len(events)], log.surface[events])
        bits, is_known = feedback.unpack(jnp.asarray(found["feedback"][row, : len(events)]), len(FEEDBACK))
        np.testing.assert_array_equal(bits, values[events] & known[events])
        np.testing.assert_array_equal(is_known, known[events])
        timed = log.timestamp_ms[events[log.timestamp_ms[events] > 0]]
        gap = (log.timestamp_ms[position] - timed[-1]) / 1000 if len(timed) else -1
        assert (found["gap"][row], found["user"][row]) == (gap, 1 + log.user_of_event()[position])
        assert found["hour"][row] == 1 + position // 2 % 24
        np.testing.assert_array_equal(found["candidate"][row], [log.item[position]])


def test_rates_are_of_what_came_before_anywhere(log, made, impressions, positions):
    values, known = log_statistics.outcomes(log, FEEDBACK, made.thresholds)
    creator = log.items["creator"].to_numpy()[log.item]
    found = impressions.inputs(positions)["rates"]
    m = 10  # plays that the prior weighs
    for row, position in enumerate(positions):
        before = (log.timestamp_ms > 0) & (log.timestamp_ms < log.timestamp_ms[position])
        for group, key in ((0, log.item), (1, creator)):
            same = before & (key == key[position])
            rates = ((values & known)[same].sum(axis=0) + m * made.prior) / (known[same].sum(axis=0) + m)
            of_group = found[row, 0, group * 3 : group * 3 + 3]  # GVV, like and the count; none of EVV
            np.testing.assert_allclose(of_group, [*rates[1:], np.log1p(same.sum())], rtol=1e-5)


def test_later_events_change_nothing(log, made, impressions, positions):
    """Inputs of the first half of the log, with everything after it turned round."""
    middle = np.sort(log.timestamp_ms)[len(log.item) // 2]
    late = log.timestamp_ms > middle
    changed = dataclasses.replace(
        log, item=np.where(late, 7 - log.item, log.item), play_ms=np.where(late, 1, log.play_ms)
    )
    kept = positions[~late[positions]]
    expected, found = impressions.inputs(kept), Impressions(changed, made, length=LENGTH).inputs(kept)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_sampled_negatives_stand_beside_what_was_shown(log, impressions):
    labels = Labels(np.ones((len(log.item), 2), np.float32), np.ones((len(log.item), 2), bool))
    gather = TrainingInputs(impressions, log, labels, negatives=2)
    batch = gather(np.array([40, 60, -1]), np.random.default_rng(0))
    assert batch["candidate"].shape == (3, 3)
    np.testing.assert_array_equal(batch["candidate"][:2, 0], log.item[[40, 60]])
    np.testing.assert_array_equal(batch["label"][:2], np.broadcast_to([[[1], [0], [0]]], (2, 3, 2)))
    drawn = batch["candidate"][:2, 1:] > 0
    np.testing.assert_array_equal(batch["where"][:2, 1:], np.broadcast_to(drawn[..., None], (2, 2, 2)))
    assert batch["where"][:2, 0].all()
    assert not batch["where"][2].any()
    assert batch["rates"].shape == (3, 3, 3 * (2 + 1))


def test_later_impressions_stand_beside_what_was_shown(log, impressions):
    """With their own labels; nobody's last one that may be learned from has any."""
    values = np.random.default_rng(0).random((len(log.item), 2)).astype(np.float32)
    labels = tasks.Labels(values, np.ones(values.shape, bool))
    gather = TrainingInputs(impressions, log, labels, negatives=1, later=3)
    rng = np.random.default_rng(0)
    users = np.flatnonzero(log.valid_start - log.offsets[:-1] > 4)
    first, last = log.offsets[:-1][users] + 1, log.valid_start[users] - 1
    batch = gather(np.concatenate([first, last]), rng)
    assert batch["candidate"].shape == (2 * len(users), 5)
    assert not batch["where"][len(users) :, 1:4].any()
    is_there = batch["where"][: len(users), 1:4, 0]
    assert is_there.any(axis=1).mean() > 0.5
    for row, column in zip(*np.nonzero(is_there), strict=True):
        after = np.arange(first[row] + 1, log.valid_start[users[row]])
        known = after[(values[after] == batch["label"][row, 1 + column]).all(axis=1)]
        assert len(known) == 1
        assert log.item[known[0]] == batch["candidate"][row, 1 + column] != batch["candidate"][row, 0]


def logit(p):
    return np.log(p / (1 - p))


def test_evidence_is_a_smoothed_rate_against_its_prior():
    values, known = np.array([[[1.0], [0.0], [1.0], [0.0]]]), np.array([[[1.0], [1.0], [1.0], [0.0]]])
    weights = np.array([[[1.0, 1, 1, 1], [1, 0, 0.5, 0], [0, 0, 0, 0]]])
    prior, m = jnp.array([0.25]), history_rates.PRIOR_COUNT
    found = history_rates.evidence(jnp.asarray(weights), jnp.asarray(values), jnp.asarray(known), prior)
    rates = [(2 + m / 4) / (3 + m), (1.5 + m / 4) / (1.5 + m), 1 / 4]
    np.testing.assert_allclose(found[0, :, 0], [logit(rate) - logit(0.25) for rate in rates], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found[0, :, 1], np.log([1 + 4, 1 + 1.5, 1]), rtol=1e-6)


def test_packed_feedback_is_unpacked_and_what_is_unknown_is_no(made):
    rng = np.random.default_rng(0)
    values, known = rng.random((4, 5, 15)) < 0.5, rng.random((4, 5, 15)) < 0.5
    bits, is_known = feedback.unpack(jnp.asarray(feedback.pack(values, known)), 15)
    np.testing.assert_array_equal(bits, values & known)
    np.testing.assert_array_equal(is_known, known)
    with pytest.raises(ValueError, match="16 kinds of feedback; at most 15 fit"):
        feedback.pack(np.ones((1, 16), bool), np.ones((1, 16), bool))


@pytest.fixture(scope="module")
def construction(log, made):
    codes = np.random.default_rng(0).integers(0, 4, (log.num_users + 1, 2)).astype(np.int32)
    named = [{"name": name, "values": ["x", "y", "z"]} for name in ("age", "home")]
    profiled = dataclasses.replace(made, user_features=codes, manifest={**made.manifest, "user_features": named})
    schema = log_statistics.schema(log, profiled)
    built = nnx.jit(lambda: features.FeatureConstruction(schema, dim=5, rngs=nnx.Rngs(0)))()
    for name in ("user", "item", "platform", "hour", "gap", "profile", "content"):
        table = getattr(built, f"{name}_embedding")
        assert not np.asarray(table[...]).any()  # what training never meets stays so
        table[...] = jax.random.normal(jax.random.key(len(name)), table[...].shape)
    return built


def test_each_feature_is_a_field_of_the_input(log, construction, impressions, positions):
    inputs = {name: jnp.asarray(array) for name, array in impressions.inputs(positions).items()}
    found, context = nnx.jit(lambda construction, inputs: construction(inputs))(construction, inputs)
    fields = dict(zip(construction.names, np.moveaxis(np.asarray(found)[:, 0].reshape(len(positions), -1, 5), 1, 0)))
    assert found.shape == (len(positions), 1, construction.size)
    seen = np.asarray(construction.item_seen[...])[:, 0]
    item = log.item[positions]
    np.testing.assert_allclose(fields["item"], np.asarray(construction.item_embedding[...])[item] * seen[item][:, None])
    home = np.asarray(construction.profile_code[...])[inputs["user"], 1]
    np.testing.assert_allclose(fields["user/home"], np.asarray(construction.profile_embedding[...])[home])
    cluster = log.items["cluster"].to_numpy()[item]
    offset = 5  # the creators stand before the clusters
    np.testing.assert_allclose(
        fields["item/cluster"], np.asarray(construction.content_embedding[...])[offset + cluster]
    )
    e_u, e_i, e_p = np.split(np.asarray(context)[:, 0], 3, axis=-1)
    for vector, name in ((e_u, "user"), (e_i, "item"), (e_p, "platform")):
        np.testing.assert_array_equal(vector, fields[name])


def test_items_have_their_duration_and_thresholds(log, made):
    """As numbers: their rates of EVV say nothing, as half of an item's plays are EVV by definition."""
    items = log.items.with_columns(pl.Series("duration_ms", np.arange(7) * 10_000, pl.Int64))
    found = log_statistics.schema(dataclasses.replace(log, items=items), made).item_numbers
    for item in (0, 1, 6):
        seconds, bounds = 10 * item, made.thresholds[item, :2].astype(np.float64) / 1000
        part = np.log((1 + bounds) / (1 + seconds)) if item else np.zeros(2)
        expected = [np.log(1 + seconds) / 3, item > 0, *np.log(1 + bounds) / 3, *part]
        np.testing.assert_allclose(found[item], expected, rtol=1e-5, atol=1e-6)
    unwatched = dataclasses.replace(made, thresholds=np.full_like(made.thresholds, np.inf))
    np.testing.assert_array_equal(log_statistics.schema(log, unwatched).item_numbers, 0)


def test_an_item_without_training_events_is_its_content(log, construction):
    unseen = np.flatnonzero(~np.asarray(construction.item_seen[...], bool)[:, 0])
    assert 6 in unseen
    content = np.asarray(construction.content_embedding[...])[np.asarray(construction.content_code[...])].sum(axis=1)
    np.testing.assert_allclose(np.asarray(construction.item_vectors())[6], content[6], rtol=1e-6)


def test_labels_and_where_they_are(log, made):
    scores = np.linspace(0, 1, len(log.item)).astype(np.float32)
    scores[3] = np.nan
    found = tasks.labels(("FVV", "like", "satisfaction"), log, made.thresholds, scores)
    watched = watch_feedback(log.play_ms, log.item, made.thresholds)
    np.testing.assert_array_equal(found.values[:, 0], watched["FVV"])
    np.testing.assert_array_equal(found.where[:, 0], log.play_ms >= 0)
    np.testing.assert_array_equal(found.values[:, 1], (log.feedback >> 2) & 1)
    np.testing.assert_array_equal(found.where[:, 1], np.arange(len(log.item)) >= 10)
    np.testing.assert_array_equal(found.values[:, 2], np.nan_to_num(scores))
    np.testing.assert_array_equal(np.flatnonzero(~found.where[:, 2]), [3])


@pytest.mark.parametrize("variant", ["full", "mlp"])
def test_a_candidate_is_scored_alike_wherever_it_stands(log, made, impressions, positions, variant):
    config, rng = get_config(f"tiny,{variant}"), np.random.default_rng(0)
    model = build(config, log, made)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), model.shapes)
    score = jax.jit(lambda inputs: model.merge(params)(inputs))
    candidates = np.array([[1, 2, 6], [6, 3, 3]])
    forward, backward = (score(impressions.inputs(positions[:2], row)) for row in (candidates, candidates[:, ::-1]))
    assert forward.shape == (2, 3, len(config.tasks))
    np.testing.assert_allclose(forward, backward[:, ::-1], rtol=1e-4, atol=1e-5)
    assert np.abs(forward[0, 0] - forward[0, 1]).max() > 1e-3
    np.testing.assert_allclose(forward[1, 1], forward[1, 2], rtol=1e-6)


def test_the_encoder_attends_to_the_newest_events_and_all_are_counted(log, made, positions):
    config, rng = get_config("tiny,full"), np.random.default_rng(0)
    config.encoder_length = 3
    inputs, models = [], []
    for config.length in (LENGTH, 3):
        made_of_log = Impressions(log, made, length=config.length).inputs(positions)
        inputs.append({name: jnp.asarray(array) for name, array in made_of_log.items()})
        models.append(build(config, log, made))
    assert (inputs[0]["item"] > 0).sum(axis=1).max() > 3
    shapes = models[0].shapes
    params = jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), shapes)
    long, short = (model.merge(params) for model in models)
    attended = np.asarray(short.encode(inputs[1]))
    np.testing.assert_allclose(long.encode(inputs[0]), attended, rtol=1e-5, atol=1e-6)
    served = inputs[0] | {"item_vector": long.features.item_vectors()[inputs[0]["item"]]}
    np.testing.assert_allclose(long.encode(served), attended, rtol=1e-5, atol=1e-6)
    counted = [np.asarray(model.features(given)[0]) for model, given in zip((long, short), inputs, strict=True)]
    assert np.abs(counted[0] - counted[1]).max() > 1e-2
