"""Encoder, context layer and prediction layer against NumPy references of their equations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ranking.model.context import ContextLayer
from ranking.model.encoder import FeedbackEncoder
from ranking.model.experts import MMoE

B, T, D, W = 3, 5, 4, 3
WHERE = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
LAYERS: dict[str, Any] = {"hidden": (6, 5), "tower": (4,), "dropout": 0.0}


def randomised(module, seed=0):
    """With all parameters random: many start at zero."""
    rng = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), nnx.state(module, nnx.Param)
    )
    nnx.update(module, params)
    return module


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def perceptron(mlps, n, x):
    """The n-th of them."""
    for i, (kernels, biases) in enumerate(zip(mlps.kernels, mlps.biases)):
        x = x @ np.float64(kernels[n]) + np.float64(biases[...]).reshape(len(kernels[...]), -1)[n]
        x = np.maximum(x, 0) if i < len(mlps.kernels) - 1 else x
    return x


@pytest.fixture(scope="module")
def encoder():
    encoder = FeedbackEncoder(D, W, length=T, blocks=2, heads=1, dropout=0.0, rngs=nnx.Rngs(0))
    encoder.events.positions[...] = jnp.asarray(np.random.default_rng(2).normal(size=(T, D + W)), jnp.float32)
    return encoder


@pytest.fixture(scope="module")
def encode(encoder):
    graph, params = nnx.split(encoder)
    call = jax.jit(lambda items, feedback, where: nnx.merge(graph, params)(items, feedback, where=where))
    return lambda items, feedback, where=WHERE: np.asarray(call(items, feedback, where))


def random_events(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, D)).astype(np.float32), (rng.random((B, T, W)) < 0.5).astype(np.float32)


def test_encoder_joins_items_feedback_and_places_counted_from_the_end(encoder, encode):
    items, feedback = random_events()
    found = encode(items, feedback)
    for row, count in ((0, 5), (1, 2)):  # real events come first
        places = np.asarray(encoder.events.positions[...])[:count][::-1]
        x = np.concatenate([items[row, :count], feedback[row, :count]], axis=1) + places  # equation 3
        for block in encoder.events.blocks:
            x = block(x[None], where=np.ones((1, count), bool))[0]
        np.testing.assert_allclose(found[row], np.asarray(x).mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(found[2], 0)  # no history


def test_masked_history_cannot_influence_the_encoding(encode):
    items, feedback = random_events()
    others, other_feedback = random_events(seed=1)
    masked = ~WHERE[..., None]
    found = encode(np.where(masked, others, items), np.where(masked, other_feedback, feedback))
    np.testing.assert_array_equal(found, encode(items, feedback))
    assert np.abs(encode(items, 1 - feedback)[:2] - found[:2]).max() > 1e-3  # while real feedback does


@pytest.mark.parametrize("slots", [1, 3, 12])
def test_context_layer_equations(slots):
    size, dim = 12, 4
    layer = randomised(ContextLayer(size, dim, slots, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(1)
    e_in, e_uip = rng.normal(size=(B, 2, size)), rng.normal(size=(B, 2, 3 * dim))
    w_1, w_slot = (np.float64(part.kernel[...]) for part in (layer.transformation, layer.importance))
    e_trans = e_in * (1 + e_uip @ w_1)  # equation 6
    alpha = sigmoid(np.concatenate([e_trans, e_uip], axis=-1) @ w_slot)  # equation 7: [B, 2, S]
    expected = np.repeat(alpha, size // slots, axis=-1) * e_trans  # equation 8
    features, context = jnp.asarray(e_in, jnp.float32), jnp.asarray(e_uip, jnp.float32)
    np.testing.assert_allclose(layer(features, context), expected, rtol=1e-4, atol=1e-4)
    assert layer.slot_weights(layer.transformed(features, context), context).shape == (B, 2, slots)


def test_slots_divide_the_features():
    for slots in (5, 0):
        with pytest.raises(ValueError, match=f"{slots} slots do not divide 12 feature dimensions"):
            ContextLayer(12, 4, slots, rngs=nnx.Rngs(0))


def test_mixture_of_experts_equations():
    mixture = randomised(MMoE(7, experts=3, tasks=2, rngs=nnx.Rngs(0), **LAYERS))
    x = np.random.default_rng(1).normal(size=(B, 2, 7)) / 7
    experts = np.stack([np.maximum(perceptron(mixture.experts, n, x), 0) for n in range(3)])  # [N, B, 2, H]
    expected = []
    for k, gate in enumerate(np.split(np.float64(mixture.gates.kernel[...]), 2, axis=1)):
        weights = softmax(x @ gate)  # [B, 2, N]
        expected.append(perceptron(mixture.towers, k, np.einsum("bcn,nbch->bch", weights, experts)))
    found = mixture(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, np.concatenate(expected, axis=-1), rtol=1e-4, atol=1e-4)


def test_gates_sum_to_one_over_the_experts():
    mixture = randomised(MMoE(7, experts=3, tasks=2, rngs=nnx.Rngs(0), **LAYERS))
    weights = mixture.gate_weights(jnp.asarray(np.random.default_rng(1).normal(size=(B, 7)) * 50, jnp.float32))
    assert weights.shape == (B, 2, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)


def test_one_expert_is_a_shared_bottom_without_gates():
    shared = randomised(MMoE(7, experts=1, tasks=2, rngs=nnx.Rngs(0), **LAYERS))
    x = np.random.default_rng(1).normal(size=(B, 2, 7)) / 7
    bottom = np.maximum(perceptron(shared.experts, 0, x), 0)
    expected = np.concatenate([perceptron(shared.towers, k, bottom) for k in range(2)], axis=-1)
    np.testing.assert_allclose(shared(jnp.asarray(x, jnp.float32)), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="no gates"):
        shared.gate_weights(x)
