"""Dropout: how much of it there is, what it keeps, and where there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nn.dropout import Dropout


def dropped(rate, shape, seed=0):
    return np.asarray(Dropout(rate)(jnp.ones(shape), nnx.Rngs(dropout=jax.random.key(seed))))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(40, 25, 101), (101_000,)])
def test_the_rate_is_met_to_a_256th_and_the_mean_stays(rate, shape):
    found = dropped(rate, shape)
    kept = round(256 * (1 - rate)) / 256
    np.testing.assert_allclose(found[found > 0], 1 / kept, rtol=1e-6)
    spread = np.sqrt(kept * (1 - kept) / found.size)
    assert abs((found > 0).mean() - kept) < 5 * spread
    assert abs(kept - (1 - rate)) <= 1 / 512
    assert abs(found.mean() - 1) < 5 * spread / kept


def test_neighbours_are_dropped_independently_and_every_call_draws_anew():
    # Four neighbours share a word: their bytes must not go together, nor those of neighbouring words.
    there = dropped(0.5, (400, 101)) > 0
    for distance in (1, 2, 3, 4):
        together = (there[:, distance:] == there[:, :-distance]).mean()
        assert abs(together - 0.5) < 5 * 0.5 / np.sqrt(there[:, distance:].size)
    rngs = nnx.Rngs(dropout=jax.random.key(0))
    first, second = (np.asarray(Dropout(0.5)(jnp.ones((40, 101)), rngs)) for _ in range(2))
    assert 0.4 < (first == second).mean() < 0.6


def test_nothing_is_dropped_without_random_numbers_or_a_rate():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.5)(x, None), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, nnx.Rngs(dropout=jax.random.key(0))), x)
    assert 0 < (dropped(0.9999, (1000, 100)) > 0).mean() < 0.01  # never all of it, and finite
    with pytest.raises(ValueError, match="from 0 to below 1, got 1"):
        Dropout(1.0)
