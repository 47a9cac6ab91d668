"""Candidates for the sampled softmax: which items stand for the corpus, and how often each was to be expected.

Every sampler returns candidate ids [C] and log expected counts [C], what `sampled_label_margins` corrects with. Items
are numbered 1..N; 0 is padding and never drawn. What they draw with is a key of JAX, or for batches that are made on
the host a generator of NumPy; arrays are of the same library.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Candidates = tuple[Any, Any]


def uniform(key: Any, *, num_candidates: int, num_items: int) -> Candidates:
    """C items, each drawn uniformly with replacement: E[count] = C / N."""
    host = isinstance(key, np.random.Generator)
    size, first, end = (num_candidates,), 1, num_items + 1
    ids: Any = key.integers(first, end, size) if host else jax.random.randint(key, size, first, end)
    xp = ids.__array_namespace__()
    return ids, xp.full(num_candidates, xp.log(num_candidates / num_items))


def log_uniform(key: Any, *, num_candidates: int, by_popularity: Any) -> Candidates:
    """C items, the r-th most popular (r = 0, 1, …) with probability log((r + 2) / (r + 1)) / log(N + 1).

    Zipf's law, as in word2vec and tf.random.log_uniform_candidate_sampler. `by_popularity` [N] holds the item numbers,
    the most popular first.
    """
    xp = by_popularity.__array_namespace__()
    num_items = by_popularity.shape[0]
    log_range = xp.log(num_items + 1.0)
    if isinstance(key, np.random.Generator):
        drawn = xp.exp(key.random(num_candidates) * log_range)
    else:
        drawn = _exp_of_uniform(key, num_candidates, log_range)
    rank = drawn.astype(xp.int32) - 1
    rank = xp.clip(rank, 0, num_items - 1)
    probability = xp.log1p(1.0 / (rank + 1.0)) / log_range
    return by_popularity[rank], xp.log(num_candidates * probability)


def _exp_of_uniform(key: jax.Array, size: int, log_range: Any) -> jax.Array:
    """exp(u log_range) [size] of u uniform in [0, 1), as finely as float32 has it: every whole number to 2^24.

    Of one uniform float32, which has 2^23 values, and its product, which is rounded once more, the results would lie
    several ranks apart at the end of millions. So u has two parts: a multiple of 2^-11, and what is between two.
    """
    steps, between = jax.random.uniform(key, (2, size)) * jnp.array([[2.0**11], [1.0]])
    begin = jnp.exp(jnp.floor(steps) * 2.0**-11 * log_range)
    return begin + begin * jnp.expm1(between * 2.0**-11 * log_range)  # XLA would make one exp of a product of two


def in_batch(labels: Any, *, where: Any, label_frequency: Any) -> Candidates:
    """The batch's own labels. E[count] = rows × the label's share of all training labels (Yi et al., RecSys '19).

    Args:
      labels: [rows] int.
      where: [rows] bool; False rows are no candidates: their expected count is infinite, which takes them out.
      label_frequency: [N + 1], each item's share of the labels; sums to 1.
    """
    xp = labels.__array_namespace__()
    expected = where.sum() * label_frequency[labels]
    return labels, xp.where(where, xp.log(xp.where(where, expected, 1.0)), xp.inf)


def mixed(
    key: Any,
    labels: Any,
    *,
    where: Any,
    label_frequency: Any,
    num_candidates: int,
) -> Candidates:
    """The batch's labels and C uniform items as one sample: E[count_j] = rows × frequency_j + C / N.

    Mixed negative sampling (Yang et al., WWW '20): items that are never a label are seen too. Arguments as in `uniform`
    and `in_batch`.
    """
    num_items = label_frequency.shape[0] - 1
    drawn, _ = uniform(key, num_candidates=num_candidates, num_items=num_items)
    xp = drawn.__array_namespace__()
    ids = xp.concatenate([labels, drawn])
    expected = where.sum() * label_frequency[ids] + num_candidates / num_items
    counted = xp.concatenate([where, xp.ones(num_candidates, bool)])
    return ids, xp.where(counted, xp.log(expected), xp.inf)
