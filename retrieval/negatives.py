"""Candidates for the sampled softmax: which items stand for the corpus, and how often each was to be expected.

Every sampler returns candidate ids [C] and log expected counts [C], what `sampled_label_margins` corrects with. Items
are numbered 1..N; 0 is padding and never drawn.
"""

import jax
import jax.numpy as jnp

Candidates = tuple[jax.Array, jax.Array]


def uniform(key: jax.Array, *, num_candidates: int, num_items: int) -> Candidates:
    """C items, each drawn uniformly with replacement: E[count] = C / N."""
    ids = jax.random.randint(key, (num_candidates,), 1, num_items + 1)
    return ids, jnp.full(num_candidates, jnp.log(num_candidates / num_items))


def log_uniform(key: jax.Array, *, num_candidates: int, by_popularity: jax.Array) -> Candidates:
    """C items, the r-th most popular (r = 0, 1, …) with probability log((r + 2) / (r + 1)) / log(N + 1).

    Zipf's law, as in word2vec and tf.random.log_uniform_candidate_sampler. `by_popularity` [N] holds the item numbers,
    the most popular first.
    """
    num_items = by_popularity.shape[0]
    log_range = jnp.log(num_items + 1.0)
    rank = jnp.exp(jax.random.uniform(key, (num_candidates,)) * log_range).astype(jnp.int32) - 1
    rank = jnp.clip(rank, 0, num_items - 1)
    probability = jnp.log1p(1.0 / (rank + 1.0)) / log_range
    return by_popularity[rank], jnp.log(num_candidates * probability)


def in_batch(labels: jax.Array, *, where: jax.Array, label_frequency: jax.Array) -> Candidates:
    """The batch's own labels. E[count] = rows × the label's share of all training labels (Yi et al., RecSys '19).

    Args:
      labels: [rows] int.
      where: [rows] bool; False rows are no candidates: their expected count is infinite, which takes them out.
      label_frequency: [N + 1], each item's share of the labels; sums to 1.
    """
    expected = where.sum() * label_frequency[labels]
    return labels, jnp.where(where, jnp.log(expected), jnp.inf)


def mixed(
    key: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array,
    label_frequency: jax.Array,
    num_candidates: int,
) -> Candidates:
    """The batch's labels and C uniform items as one sample: E[count_j] = rows × frequency_j + C / N.

    Mixed negative sampling (Yang et al., WWW '20): items that are never a label are seen too. Arguments as in `uniform`
    and `in_batch`.
    """
    num_items = label_frequency.shape[0] - 1
    drawn, _ = uniform(key, num_candidates=num_candidates, num_items=num_items)
    ids = jnp.concatenate([labels, drawn])
    expected = where.sum() * label_frequency[ids] + num_candidates / num_items
    counted = jnp.concatenate([where, jnp.ones(num_candidates, bool)])
    return ids, jnp.where(counted, jnp.log(expected), jnp.inf)
