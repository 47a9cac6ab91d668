"""The perceptron against NumPy."""

import jax
import numpy as np
import pytest
from flax import nnx

from nn.mlp import MLP


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


def test_dropout_acts_only_where_it_is_asked_for():
    mlp = MLP((3, 64, 2), rngs=nnx.Rngs(0), dropout=0.5)
    x = np.ones((1, 3), np.float32)
    kept, again = mlp(x), mlp(x)
    np.testing.assert_array_equal(kept, again)
    dropped = mlp(x, dropout_rngs=nnx.Rngs(dropout=jax.random.key(0)))
    assert np.abs(dropped - kept).max() > 1e-3


def test_one_size_is_no_layer():
    with pytest.raises(ValueError, match="what goes in and what comes out"):
        MLP((3,), rngs=nnx.Rngs(0))
