"""Equations 7 to 14 against float64 NumPy, and what must not matter: padding, the future, what is masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs.satisfaction import get_config
from satisfaction.saqrec.disentanglement import Disentanglement, attend, weighted_sum
from satisfaction.saqrec.histories import HistoryEncoder
from satisfaction.saqrec.levels import LevelEnhancement, level_of, level_vectors
from satisfaction.saqrec.model import SAQRec

DIM, LENGTH, ITEMS, USERS = 6, 7, 12, 4


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)


def randomized(module, seed=0):
    """The module with every parameter drawn anew: what starts at zero would hide a mistake."""
    rng = np.random.default_rng(seed)
    state = nnx.state(module, nnx.Param)
    nnx.update(module, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) / 2, jnp.float32), state))
    return module


def mlp(module, x):
    first, last = module.layers
    hidden = np.maximum(x @ np.float64(first.kernel[...]) + np.float64(first.bias[...]), 0)
    return hidden @ np.float64(last.kernel[...]) + np.float64(last.bias[...])


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def clicks_and_queries(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, LENGTH, DIM)), rng.normal(size=(2, LENGTH, DIM))


def causal(lengths):
    where = np.arange(LENGTH) < np.asarray(lengths)[:, None]
    return where[:, None, :] & np.tri(LENGTH, dtype=bool)


def test_equation_9_is_attention_over_the_clicks_so_far():
    clicks, query = clicks_and_queries()
    visible = causal([7, 4])
    found = attend(jnp.asarray(clicks), jnp.asarray(query), visible=jnp.asarray(visible))
    for row in range(2):
        for t in range(LENGTH):
            seen = clicks[row, visible[row, t]]  # H_r
            close(found[row, t], seen.T @ softmax(seen @ query[row, t]))


def test_equation_9_of_no_clicks_is_zero_with_finite_gradients():
    clicks, query = (jnp.asarray(a, jnp.float32) for a in clicks_and_queries())
    nothing = jnp.zeros((2, LENGTH, LENGTH), bool)
    close(attend(clicks, query, visible=nothing), np.zeros((2, LENGTH, DIM)))
    gradients = jax.grad(lambda c, q: attend(c, q, visible=nothing).sum(), argnums=(0, 1))(clicks, query)
    assert all(np.isfinite(g).all() for g in gradients)


def test_equation_10_weighs_history_and_what_was_read():
    clicks, query = clicks_and_queries()
    visible = causal([7, 4])
    sid = randomized(Disentanglement(DIM, hidden=5, dropout=0.0, rngs=nnx.Rngs(0)))
    found = sid(jnp.asarray(clicks), jnp.asarray(query), visible=jnp.asarray(visible))
    read = np.float64(attend(jnp.asarray(clicks), jnp.asarray(query), visible=jnp.asarray(visible)))
    weights = mlp(sid.mlp, np.concatenate([query, read], axis=-1))
    close(found, query * weights[..., :1] + read * weights[..., 1:])


@pytest.mark.parametrize(
    ("scores", "num_levels", "expected"),
    [
        ([0.1, 0.9, 0.5, 0.7], 2, [1, 0, 1, 0]),
        ([0.1, 0.9, 0.5, 0.7, 0.3], 3, [2, 0, 1, 0, 1]),  # ranks times 3 / 5: 0, 0.6, 1.2, 1.8, 2.4
        ([0.9, 0.8, 0.7, 0.6, 0.5], 4, [0, 0, 1, 2, 3]),  # one more click than levels: no level is empty
        ([0.1, 0.9], 3, [1, 0]),  # fewer clicks than levels: one each, the last level is empty
        ([0.5, 0.5, 0.5, 0.5], 2, [0, 0, 1, 1]),  # ties go by position
        ([0.2, 0.4, 0.6], 1, [0, 0, 0]),
        ([0.3], 8, [0]),
    ],
)
def test_clicks_are_grouped_from_the_highest_score_down(scores, num_levels, expected):
    visible = jnp.ones((1, 1, len(scores)), bool)
    found = level_of(jnp.asarray([scores]), visible=visible, num_levels=num_levels)
    np.testing.assert_array_equal(found[0, 0], expected)


def test_levels_are_of_the_clicks_so_far():
    scores = np.random.default_rng(0).random((1, LENGTH))
    found = np.asarray(level_of(jnp.asarray(scores), visible=jnp.asarray(causal([5])), num_levels=3))
    for t in range(LENGTH):
        count = min(t + 1, 5)
        order = np.argsort(-scores[0, :count])
        levels = np.empty(count, int)
        levels[order] = [rank * 3 // count if count >= 3 else rank for rank in range(count)]
        np.testing.assert_array_equal(found[0, t], [*levels, *[3] * (LENGTH - count)])


def test_equations_11_and_12_against_a_loop():
    clicks, _ = clicks_and_queries()
    scores = np.random.default_rng(1).random((2, LENGTH))
    visible, count = causal([7, 5]), 3
    levels = level_of(jnp.asarray(scores), visible=jnp.asarray(visible), num_levels=count)
    found = level_vectors(jnp.asarray(clicks), jnp.asarray(scores), levels, num_levels=count)
    expected = np.zeros((2, LENGTH, count, DIM))
    for row in range(2):
        for t in range(LENGTH):
            for i in range(count):
                group = np.flatnonzero(np.asarray(levels)[row, t] == i)
                if len(group):
                    expected[row, t, i] = softmax(scores[row, group]) @ clicks[row, group]
    close(found, expected)
    mlse = randomized(LevelEnhancement(DIM, num_levels=count, hidden=5, dropout=0.0, rngs=nnx.Rngs(0)))
    users, weights = mlse(jnp.asarray(clicks), jnp.asarray(scores), visible=jnp.asarray(visible))
    close(weights, mlp(mlse.mlp, expected.reshape(2, LENGTH, -1)))
    close(users, np.einsum("bti,btid->btd", np.asarray(weights), expected))


def test_weights_start_as_the_plain_mean():
    mlse = LevelEnhancement(DIM, num_levels=4, hidden=5, dropout=0.0, rngs=nnx.Rngs(0))
    vectors = np.random.default_rng(0).normal(size=(3, 4, DIM)).astype(np.float32)
    close(weighted_sum(jnp.asarray(vectors), mlse.mlp)[0], vectors.mean(axis=1))


def test_the_last_of_no_events_is_the_learned_none():
    encoder = randomized(HistoryEncoder(LENGTH, DIM, blocks=1, heads=1, hidden=5, dropout=0.0, rngs=nnx.Rngs(0)))
    encoded = jnp.asarray(np.random.default_rng(0).normal(size=(1, LENGTH, DIM)), jnp.float32)
    found = encoder.last(encoded, jnp.asarray([[0, 1, 3]]))
    close(found[0], np.stack([encoder.none[...], encoded[0, 0], encoded[0, 2]]))


def config_of(**options):
    config = get_config("tiny").align
    config.update({"length": LENGTH, "satisfied_length": 4, "dissatisfied_length": 3, "hidden": 5, "num_levels": 3})
    config.update({"dropout": 0.0, "heads": 2, **options})
    return config


def model_of(**options):
    rng = np.random.default_rng(3)
    item = rng.normal(size=(ITEMS + 1, DIM)).astype(np.float32)
    counts = rng.poisson(2.0, (3, ITEMS + 1, 4)).astype(np.float32)
    known = np.ones(ITEMS + 1, bool)
    model = SAQRec(config_of(**options), item=item, known=known, counts=counts, num_users=USERS, rngs=nnx.Rngs(0))
    return randomized(model, seed=5)


def batch_of(seed=0):
    rng = np.random.default_rng(seed)
    lengths = np.array([7, 4, 1, 0])
    real = np.arange(LENGTH) < lengths[:, None]
    counts = {"satisfied": 4, "dissatisfied": 3}
    batch = {
        "user": np.arange(4, dtype=np.int32),
        "item": np.where(real, rng.integers(1, ITEMS + 1, real.shape), 0),
        "period": np.broadcast_to(np.arange(LENGTH) // 3, real.shape),
        "score": np.where(real, rng.random(real.shape), 0).astype(np.float32),
    }
    for name, longest in counts.items():
        have = np.array([longest, 2, 0, 0])
        batch[name] = np.where(np.arange(longest) < have[:, None], rng.integers(1, ITEMS + 1, (4, longest)), 0)
        batch[f"{name}_count"] = np.minimum(np.arange(LENGTH) // 2, have[:, None])
    return {name: jnp.asarray(array) for name, array in batch.items()}


@jax.jit
def users_of(model, batch):
    return model.users(batch, model.items())


def test_equations_13_and_14_from_the_parts():
    model, batch = model_of(user_table=True), batch_of()
    items = model.items()
    where = np.asarray(batch["item"]) > 0
    visible = jnp.asarray(where[:, None, :] & np.tri(LENGTH, dtype=bool))
    clicks = model.clicked(items[batch["item"]], where=jnp.asarray(where))
    last = model.clicked.last(clicks, jnp.asarray(np.where(where, np.arange(1, LENGTH + 1), 0)))
    vectors, count = np.asarray(items)[batch["item"]] * where[..., None], np.cumsum(where, axis=1)
    mean = np.cumsum(vectors, axis=1) / np.maximum(count, 1)[..., None]
    parts = [last, mean + np.asarray(model.user_embedding[...])[:, None]]
    for name, encoder, sid in (
        ("satisfied", model.satisfied, model.positive),
        ("dissatisfied", model.dissatisfied, model.negative),
    ):
        history = encoder(items[batch[name]], where=batch[name] > 0)
        parts.append(sid(clicks, encoder.last(history, batch[f"{name}_count"]), visible=visible))
    parts.append(model.levels(clicks, batch["score"], visible=visible)[0])
    stacked = np.stack([np.float64(part) for part in parts], axis=-2)  # [B, T, 5, D]
    weights = mlp(model.final, stacked.reshape(*stacked.shape[:2], -1))
    expected = np.einsum("btn,btnd->btd", weights, stacked)
    found = users_of(model, batch)
    close(found.users, expected)
    assert found.level_weights.shape == (4, LENGTH, 3)
    close(model.satisfaction_vectors(items), mlp(model.satisfaction, np.float64(items)))


def test_what_stands_in_padding_is_nowhere_read():
    model, batch = model_of(), batch_of()
    found = users_of(model, batch).users
    other = dict(batch)
    # Scores behind padded clicks, and the order of the padded places of each history: all zeros either way.
    other["score"] = jnp.where(batch["item"] > 0, batch["score"], 0.77)
    close(users_of(model, other).users, found)
    for name in ("satisfied", "dissatisfied"):
        hidden = dict(batch)
        place = jnp.arange(batch[name].shape[1])
        seen = batch[f"{name}_count"].max(axis=1)[:, None]
        hidden[name] = jnp.where(place < seen, batch[name], (batch[name] + 5) % ITEMS + 1)  # beyond every count
        close(users_of(model, hidden).users, found)


def test_padding_vectors_can_be_permuted():
    encoder = randomized(HistoryEncoder(LENGTH, DIM, blocks=2, heads=2, hidden=5, dropout=0.0, rngs=nnx.Rngs(0)))
    vectors = np.random.default_rng(0).normal(size=(1, LENGTH, DIM)).astype(np.float32)
    where = jnp.asarray(np.arange(LENGTH) < 4)[None]
    permuted = vectors[:, [0, 1, 2, 3, 6, 4, 5]]
    close(encoder(jnp.asarray(permuted), where=where), encoder(jnp.asarray(vectors), where=where))


def test_no_position_sees_a_later_click():
    model, batch = model_of(), batch_of()
    changed = {**batch, "item": batch["item"].at[0, 5:].set(1), "score": batch["score"].at[0, 5:].set(0.5)}
    before, after = users_of(model, batch).users, users_of(model, changed).users
    close(after[0, :5], before[0, :5])
    assert not np.allclose(after[0, 5:], before[0, 5:])


@pytest.mark.parametrize(("options", "parts"), [({"disentanglement": False}, 3), ({"levels": False}, 4)])
def test_an_ablation_leaves_its_part_out(options, parts):
    model = model_of(**options)
    assert model.final.layers[-1].kernel[...].shape[1] == parts
    assert np.isfinite(users_of(model, batch_of()).users).all()


def test_it_starts_from_the_base_vectors():
    item = np.ones((3, DIM), np.float32)
    counts = np.ones((2, 3, 4), np.float32)
    known = np.array([True, True, False])
    model = SAQRec(config_of(), item=item, known=known, counts=counts, num_users=2, rngs=nnx.Rngs(0))
    close(model.items(), np.stack([np.zeros(DIM), item[1], np.zeros(DIM)]))  # padding, known, never trained
    close(model.popularity(), np.zeros((2, 3)))


def test_a_click_is_scored_by_taste_and_by_what_is_popular_then():
    model = model_of()
    users = np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    period = np.array([0, 1, 2, 1, 0])
    queries, vectors = model.scored(jnp.asarray(users), model.items(), jnp.asarray(period))
    logits = np.float64(model.popularity())
    np.testing.assert_array_equal(logits[0], 0.0)
    close(queries @ vectors.T, users @ np.float64(model.items()).T + logits[period])
    without = model_of(popularity=False)
    queries, vectors = without.scored(jnp.asarray(users), without.items(), jnp.asarray(period))
    close(queries @ vectors.T, users @ np.float64(without.items()).T)


def test_a_shorter_row_is_the_beginning_of_a_longer_one():
    model, batch = model_of(), batch_of()
    short = {name: array if array.shape[1:] != (LENGTH,) else array[:, :4] for name, array in batch.items()}
    close(users_of(model, short).users, users_of(model, batch).users[:, :4])
