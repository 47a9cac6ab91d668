"""The joint objective of responsive retrieval: recommend what people liked, do not recommend what they disliked."""

import jax
import jax.numpy as jnp


def joint_loss(
    margins: jax.Array,
    *,
    is_positive: jax.Array,
    is_negative: jax.Array,
    positive_weights: jax.Array | float = 1.0,
    negative_weights: jax.Array | float = 1.0,
    where: jax.Array | None = None,
) -> jax.Array:
    """The loss of each row: what the paper's equation 1 sums.

    L_i = r_i · softplus(−m_i)  for a positive label, −r_i log p(y_i | s_i);
    L_i = w_i · softplus(m_i)   for a negative label, −w_i log(1 − p(y_i | s_i)), "not to recommend".

    Wang et al., RecSys '23 (arXiv 2308.12256), equation 1. For the negative term ∂L/∂l_y = w p and ∂L/∂l_j = −w p q_j,
    q the softmax over j ≠ y: bounded by w at every logit and zero as p → 0, where a negative-valued weight on the cross
    entropy would grow without limit. With N items p is about 1/N, so w has to be of the order of hundreds for a corpus
    of thousands before the term moves anything.

    Args:
      margins: [rows], label logit minus the log-partition of the other items (`label_margins`).
      is_positive: [rows] bool.
      is_negative: [rows] bool. A row may be neither; one that is both has both terms.
      positive_weights: r, scalar or [rows].
      negative_weights: w, scalar or [rows].
      where: [rows] bool; False rows are 0 and have no gradient, whatever their margin.

    Returns:
      [rows] float32, not reduced: divide the sum by what should count as one example.

    Raises:
      ValueError: masks whose shape is not that of the margins.
    """
    for name, mask in (("is_positive", is_positive), ("is_negative", is_negative), ("where", where)):
        if mask is not None and mask.shape != margins.shape:
            raise ValueError(f"{name} has shape {mask.shape}, margins {margins.shape}")
    used = is_positive | is_negative if where is None else (is_positive | is_negative) & where
    safe = jnp.where(used, margins, 0.0)  # a masked row may hold NaN or inf
    positive = jnp.where(used & is_positive, positive_weights * jax.nn.softplus(-safe), 0.0)
    negative = jnp.where(used & is_negative, negative_weights * jax.nn.softplus(safe), 0.0)
    return positive + negative
