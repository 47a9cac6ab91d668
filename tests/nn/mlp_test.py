"""Perceptrons, alone and side by side, against NumPy."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from nn.mlp import MLP, MLPs


def test_equation():
    mlp = MLP((3, 5, 4, 2), rngs=nnx.Rngs(0))
    for layer in mlp.layers:
        layer.bias[...] = np.random.default_rng(0).normal(size=layer.bias.shape).astype(np.float32)
    x = np.random.default_rng(1).normal(size=(6, 7, 3))
    expected = x
    for i, layer in enumerate(mlp.layers):
        expected = expected @ np.float64(layer.kernel[...]) + np.float64(layer.bias[...])
        expected = np.maximum(expected, 0) if i < 2 else expected
    np.testing.assert_allclose(mlp(x.astype(np.float32)), expected, atol=1e-5)


@pytest.mark.parametrize("inputs", [1, 4])
def test_side_by_side_each_has_its_own_weights(inputs):
    mlps, rng = MLPs(4, (3, 5, 2), rngs=nnx.Rngs(0)), np.random.default_rng(0)
    for bias in mlps.biases:
        bias[...] = rng.normal(size=bias.shape).astype(np.float32)
    x = rng.normal(size=(6, 7, inputs, 3))  # one for all of them, or one for each
    found = mlps(x.astype(np.float32))
    assert found.shape == (6, 7, 4, 2)
    for n in range(4):
        expected = x[..., n % inputs, :]
        for i, (kernels, biases) in enumerate(zip(mlps.kernels, mlps.biases)):
            expected = expected @ np.float64(kernels[n]) + np.float64(biases[...]).reshape(4, -1)[n]
            expected = np.maximum(expected, 0) if i < 1 else expected
        np.testing.assert_allclose(found[..., n, :], expected, atol=1e-5)


def test_side_by_side_they_start_as_one_does():
    alone, mlps = MLP((300, 200, 100), rngs=nnx.Rngs(0)), MLPs(3, (300, 200, 100), rngs=nnx.Rngs(0))
    for layer, kernels in zip(alone.layers, mlps.kernels):
        np.testing.assert_allclose(np.std(kernels[...], axis=(1, 2)), np.std(layer.kernel[...]), rtol=0.05)
    assert np.abs(mlps.kernels[0][0] - mlps.kernels[0][1]).max() > 0.01


def test_side_by_side_dropout_is_of_hidden_layers():
    mlps, x = MLPs(2, (3, 64, 2), rngs=nnx.Rngs(0), dropout=0.5), np.ones((1, 1, 3), np.float32)
    np.testing.assert_array_equal(mlps(x), mlps(x))
    assert np.abs(mlps(x, dropout_rngs=nnx.Rngs(dropout=jax.random.key(0))) - mlps(x)).max() > 1e-3


def test_dropout_acts_only_where_it_is_asked_for():
    mlp = MLP((3, 64, 2), rngs=nnx.Rngs(0), dropout=0.5)
    x = np.ones((1, 3), np.float32)
    kept, again = mlp(x), mlp(x)
    np.testing.assert_array_equal(kept, again)
    dropped = mlp(x, dropout_rngs=nnx.Rngs(dropout=jax.random.key(0)))
    assert np.abs(dropped - kept).max() > 1e-3


def test_one_size_is_no_layer():
    for make in (MLP, functools.partial(MLPs, 2)):
        with pytest.raises(ValueError, match="what goes in and what comes out"):
            make((3,), rngs=nnx.Rngs(0))
