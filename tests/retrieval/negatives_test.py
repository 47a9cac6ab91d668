"""Samplers: the estimated partition is right on average, for every item and any label distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nn.softmax import sampled_label_margins
from retrieval.margins import negatives

N, ROWS, C, DRAWS, D = 9, 8, 6, 20_000, 3
FREQUENCY = np.array([0, 6, 5, 4, 3, 2, 1, 1, 1, 1], np.float32) / 24  # of each item among the labels; no item 0
WHERE = np.arange(ROWS) < 7
BY_POPULARITY = np.array([4, 1, 9, 3, 2, 8, 7, 5, 6])


def labels(key):
    """A batch's labels, drawn as training draws them; a masked row holds anything."""
    drawn = jax.random.choice(key, N + 1, (ROWS,), p=jnp.asarray(FREQUENCY))
    return jnp.where(WHERE, drawn, 1)


def in_batch(key):
    return negatives.in_batch(labels(key), where=jnp.asarray(WHERE), label_frequency=jnp.asarray(FREQUENCY))


def mixed(key):
    label_key, key = jax.random.split(key)
    where, frequency = jnp.asarray(WHERE), jnp.asarray(FREQUENCY)
    return negatives.mixed(key, labels(label_key), where=where, label_frequency=frequency, num_candidates=C)


SAMPLERS = {
    "uniform": lambda key: negatives.uniform(key, num_candidates=C, num_items=N),
    "log_uniform": lambda key: negatives.log_uniform(key, num_candidates=C, by_popularity=jnp.asarray(BY_POPULARITY)),
    "in_batch": in_batch,
    "mixed": mixed,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_estimated_partition_is_unbiased(name):
    rng = np.random.default_rng(0)
    query, vectors = rng.normal(size=D), rng.normal(size=(N + 1, D))
    own = 3

    def partition(key):
        ids, log_expected = SAMPLERS[name](key)
        table = jnp.asarray(vectors, jnp.float32)
        q = jnp.asarray(query, jnp.float32)[None]
        margin = sampled_label_margins(q, table[ids], ids, log_expected, table[own][None], jnp.array([own]))
        # A draw that holds nothing but the label itself has margin 0; its sum is empty.
        empty = jnp.all((ids == own) | jnp.isinf(log_expected))
        return jnp.where(empty, 0.0, jnp.exp(table[own] @ q[0] - margin[0]))

    draws = np.float64(jax.jit(jax.vmap(partition))(jax.random.split(jax.random.key(0), DRAWS)))
    exact = sum(np.exp(vectors[j] @ query) for j in range(1, N + 1) if j != own)
    assert abs(draws.mean() - exact) < 4 * draws.std() / np.sqrt(DRAWS)
    assert draws.std() / np.sqrt(DRAWS) < 0.02 * exact  # narrow enough to notice a wrong correction


@pytest.mark.parametrize("name", SAMPLERS)
def test_expected_counts_are_those_of_the_draws(name):
    def counts(key):
        ids, log_expected = SAMPLERS[name](key)
        drawn = jnp.isfinite(log_expected)
        return jnp.zeros(N + 1).at[ids].add(drawn), jnp.zeros(N + 1).at[ids].max(
            jnp.where(drawn, jnp.exp(log_expected), 0)
        )

    counted, claimed = jax.jit(jax.vmap(counts))(jax.random.split(jax.random.key(1), DRAWS))
    expected = {
        "uniform": np.r_[0, np.full(N, C / N)],
        "in_batch": WHERE.sum() * FREQUENCY,
        "mixed": WHERE.sum() * FREQUENCY + np.r_[0, np.full(N, C / N)],
        "log_uniform": np.zeros(N + 1),
    }
    rank = np.arange(N)
    expected["log_uniform"][BY_POPULARITY] = C * np.log((rank + 2) / (rank + 1)) / np.log(N + 1)
    np.testing.assert_allclose(claimed.max(axis=0), expected[name], rtol=1e-5)
    deviation = np.std(counted, axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(counted.mean(axis=0) - expected[name]) <= 4.5 * deviation)
    assert not np.any(counted[:, 0])  # padding is never drawn


def host_candidates(name, rng):
    """What a batch that is made on the host has drawn, with arrays of NumPy."""
    drawn = np.where(WHERE, rng.choice(N + 1, ROWS, p=np.float64(FREQUENCY)), 1)
    return {
        "uniform": lambda: negatives.uniform(rng, num_candidates=C, num_items=N),
        "log_uniform": lambda: negatives.log_uniform(rng, num_candidates=C, by_popularity=BY_POPULARITY),
        "in_batch": lambda: negatives.in_batch(drawn, where=WHERE, label_frequency=FREQUENCY),
        "mixed": lambda: negatives.mixed(rng, drawn, where=WHERE, label_frequency=FREQUENCY, num_candidates=C),
    }[name]()


@pytest.mark.parametrize("name", SAMPLERS)
def test_on_the_host_expected_counts_are_those_of_the_draws_too(name):
    rng, draws = np.random.default_rng(0), 5_000
    counted, claimed = np.zeros((draws, N + 1)), np.zeros(N + 1)
    for draw in range(draws):
        ids, log_expected = host_candidates(name, rng)
        assert isinstance(ids, np.ndarray)
        assert isinstance(log_expected, np.ndarray)
        there = np.isfinite(log_expected)
        np.add.at(counted[draw], ids[there], 1)
        claimed[ids[there]] = np.exp(log_expected[there])
    deviation = counted.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(counted.mean(axis=0) - claimed) <= 4.5 * deviation + 1e-6)
    assert claimed[1:].all()
    assert not claimed[0]


def test_the_whole_range_of_a_large_corpus_is_drawn():
    ids, _ = negatives.uniform(jax.random.key(0), num_candidates=1_000, num_items=3)
    assert set(np.asarray(ids)) == {1, 2, 3}
    order = jnp.arange(1, 1_000_001)
    ids, log_expected = negatives.log_uniform(jax.random.key(0), num_candidates=4_096, by_popularity=order)
    assert 1 <= ids.min() < 3
    assert 500_000 < ids.max() <= 1_000_000
    assert np.all(np.isfinite(log_expected))


def test_log_uniform_draws_every_rank_of_millions():
    items, size, keys = 3_000_000, 1 << 22, 2
    order = jnp.arange(1, items + 1, dtype=jnp.int32)
    draw = jax.jit(lambda key: negatives.log_uniform(key, num_candidates=size, by_popularity=order)[0])
    counted = sum(np.bincount(np.asarray(draw(jax.random.key(n))), minlength=items + 1) for n in range(keys))
    first = items - items // 10 + 1  # of the last tenth, whose probabilities are about 1 / (first log(N + 1))
    expected = keys * size * np.log1p(1 / np.arange(first, items + 1)) / np.log(items + 1)
    assert abs(counted[first:].sum() - expected.sum()) < 4 * expected.sum() ** 0.5
    # As many of them are drawn at all as there would be if each were drawn by itself, as often as that.
    there = 1 - np.exp(-expected)
    assert abs((counted[first:] > 0).sum() - there.sum()) < 4 * (there * (1 - there)).sum() ** 0.5
