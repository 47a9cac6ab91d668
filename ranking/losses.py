"""The losses of one task: logloss and BPR (Pan et al., CIKM '23, 2.4.1)."""

import jax
import jax.numpy as jnp


def logloss(logits: jax.Array, labels: jax.Array, *, where: jax.Array) -> jax.Array:
    """−y log σ(s) − (1 − y) log(1 − σ(s)), the mean where `where`: equation 9.

    Equation 9 as printed has (1 − Y⁻) at its second term; with Y⁻ = 0 the label of a negative that is this.

    Args:
      logits: s [...]. labels: y in [0, 1], [...]; between the two it is a soft label. where: [...] bool.
    Returns:
      A scalar; 0 where nothing is.
    """
    losses = jax.nn.softplus(logits) - labels * logits
    return jnp.where(where, losses, 0.0).sum() / jnp.maximum(where.sum(), 1)


def bpr(logits: jax.Array, labels: jax.Array, *, where: jax.Array) -> jax.Array:
    """−log σ(s_i − s_j) over the pairs of one row's candidates with y_i > y_j, the mean where both are `where`.

    Bayesian personalised ranking (Rendle et al., UAI '09). It orders; σ(s) is then no probability until calibrated.

    Args:
      logits, labels, where: [B, C], a row of candidates for each user.
    Returns:
      A scalar; 0 where there is no pair.
    """
    pairs = where[:, :, None] & where[:, None, :] & (labels[:, :, None] > labels[:, None, :])  # [B, C, C]
    losses = jax.nn.softplus(logits[:, None, :] - logits[:, :, None])
    return jnp.where(pairs, losses, 0.0).sum() / jnp.maximum(pairs.sum(), 1)
