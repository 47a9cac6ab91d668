"""The attention block against a float64 NumPy block, with padding, causality, and rows that hold nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nn.attention import SelfAttentionBlock

B, T, D, HEADS, HIDDEN = 3, 5, 6, 2, 7
WHERE = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [0, 0, 0, 0, 1]], bool)


@pytest.fixture(scope="module")
def block():
    """With random biases and scales too: they start at zero and one."""
    block, rng = (
        SelfAttentionBlock(D, heads=HEADS, hidden=HIDDEN, dropout=0.5, rngs=nnx.Rngs(0)),
        np.random.default_rng(0),
    )
    for layer in block.feed_forward.layers:
        layer.bias[...] = rng.normal(size=layer.bias.shape).astype(np.float32)
    for norm in (block.attention_norm, block.output_norm):
        norm.scale[...] = rng.uniform(0.5, 2, D).astype(np.float32)
        norm.bias[...] = rng.normal(size=D).astype(np.float32)
    return block


@pytest.fixture(scope="module")
def call(block):
    graph, params = nnx.split(block)
    compiled = jax.jit(
        lambda x, where, causal: nnx.merge(graph, params)(x, where=where, causal=causal), static_argnums=2
    )
    return lambda x, where=WHERE, causal=False: np.asarray(compiled(x, where, causal))


def random_inputs(seed=1):
    return np.random.default_rng(seed).normal(size=(B, T, D)).astype(np.float32)


def norm(layer, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return scaled * np.float64(layer.scale[...]) + np.float64(layer.bias[...])


def reference(block, x, where, causal):
    """Equations 4 and 5 for one row [T, D], position by position and head by head, in float64."""
    kernels = (block.query.kernel, block.key.kernel, block.value.kernel)
    q, k, v = (np.float64(x) @ np.float64(kernel[...]) for kernel in kernels)
    out = np.zeros((T, D))
    for t in np.flatnonzero(where):
        seen = [s for s in np.flatnonzero(where) if s <= t or not causal]
        read = []
        for h in range(HEADS):
            columns = slice(h * D // HEADS, (h + 1) * D // HEADS)
            logits = np.array([q[t, columns] @ k[s, columns] / np.sqrt(D / HEADS) for s in seen])
            e = np.exp(logits - logits.max())
            read.append(sum(weight * v[s, columns] for weight, s in zip(e / e.sum(), seen)))
        inner = norm(block.attention_norm, np.concatenate(read) @ np.float64(block.output.kernel[...]) + x[t])
        first, second = block.feed_forward.layers
        hidden = np.maximum(inner @ np.float64(first.kernel[...]) + np.float64(first.bias[...]), 0)
        out[t] = norm(block.output_norm, hidden @ np.float64(second.kernel[...]) + np.float64(second.bias[...]) + inner)
    return out


@pytest.mark.parametrize("causal", [False, True])
def test_equations(block, call, causal):
    x = random_inputs()
    expected = [reference(block, row, where, causal) for row, where in zip(x, WHERE)]
    np.testing.assert_allclose(call(x, causal=causal), expected, atol=1e-5)


def test_what_is_masked_is_not_read(call):
    x = random_inputs()
    other = np.where(WHERE[..., None], x, np.nan).astype(np.float32)
    np.testing.assert_array_equal(call(other), call(x))


def test_a_causal_position_does_not_read_what_comes_after(call):
    x = random_inputs()
    other = x.copy()
    other[:, 3:] += 1
    everywhere = np.ones((B, T), bool)
    np.testing.assert_array_equal(call(other, everywhere, True)[:, :3], call(x, everywhere, True)[:, :3])
    assert np.abs(call(other, everywhere, False)[:, :3] - call(x, everywhere, False)[:, :3]).max() > 1e-3


def test_rows_without_a_position_are_finite_and_so_are_their_gradients(block):
    x, nothing = jnp.asarray(random_inputs()), jnp.zeros((B, T), bool)
    graph, params = nnx.split(block)

    @jax.jit
    def loss(params, x):
        return (nnx.merge(graph, params)(x, where=nothing) ** 2).sum()

    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(params, x)
    assert value == 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_extreme_logits_choose_one_position(block, call):
    x = random_inputs() * np.float32(1e6)
    expected = [reference(block, row, where, False) for row, where in zip(x, WHERE)]
    np.testing.assert_allclose(call(x), expected, atol=1e-4)


def test_dropout_acts_only_where_it_is_asked_for(block, call):
    x = random_inputs()
    np.testing.assert_allclose(block(x, where=WHERE), call(x), atol=1e-6)
    dropped = block(x, where=WHERE, dropout_rngs=nnx.Rngs(dropout=jax.random.key(0)))
    assert np.abs(np.asarray(dropped) - call(x)).max() > 1e-2


def test_heads_divide_the_dimensions():
    with pytest.raises(ValueError, match="4 heads do not divide 6 dimensions"):
        SelfAttentionBlock(6, heads=4, hidden=8, rngs=nnx.Rngs(0))
