"""Smoothed rates of each feedback in a window of past events: of all of them, of the recent, of those that match.

Computed in the model from the history that it is given, so that training and serving cannot differ, and nothing at or
after the impression can enter.
"""

import jax
import jax.numpy as jnp

from data import rates

PRIOR_COUNT = 3.0  # observations that the prior weighs
DECAY = 0.8  # weight of an event for each later one, in the recent rates


def evidence(weights: jax.Array, values: jax.Array, known: jax.Array, prior: jax.Array) -> jax.Array:
    """How far the weighted rates lie from the prior, and how much there is of them.

    logit((Σ_t a_t y_t + m p) / (Σ_t a_t k_t + m)) − logit p for each feedback, and log(1 + Σ_t a_t): zeros where
    nothing is known.

    Args:
      weights: a [B, C, T]. values, known: y and k, [B, T, W]. prior: p, broadcast to [B, C, W]; strictly within (0, 1).
    Returns:
      [B, C, W + 1].
    """
    num_feedback = values.shape[-1]
    # One pass over the weights, which are by far the largest: sums of y, of k, and of the weights themselves.
    columns = jnp.concatenate([values, known, jnp.ones_like(known[..., :1])], axis=-1)  # [B, T, 2 W + 1]
    total, count, weight = jnp.split(weights @ columns, [num_feedback, 2 * num_feedback], axis=-1)
    shift = logit(rates.smoothed(total, count, prior_rate=prior, prior_count=PRIOR_COUNT)) - logit(prior)
    return jnp.concatenate([shift, jnp.log1p(weight)], axis=-1)


def smoothed(weights: jax.Array, values: jax.Array, known: jax.Array, prior: jax.Array) -> jax.Array:
    """(Σ_t a_t y_t + m p) / (Σ_t a_t k_t + m), [B, C, W]; args as `evidence`."""
    total = jnp.einsum("bct,btw->bcw", weights, values)
    count = jnp.einsum("bct,btw->bcw", weights, known)
    return rates.smoothed(total, count, prior_rate=prior, prior_count=PRIOR_COUNT)


def logit(p: jax.Array) -> jax.Array:
    """log(p / (1 − p))."""
    return jnp.log(p) - jnp.log1p(-p)


def places_from_end(where: jax.Array) -> jax.Array:
    """For real events [B, T] how many come after: 0 for the last; what stands at padding means nothing."""
    return jnp.cumsum(where[:, ::-1], axis=1)[:, ::-1] - 1


def newest(where: jax.Array, length: int) -> jax.Array:
    """Places [B, length] of the last `length` of the real events [B, T], which stand from the left; then of padding."""
    first = jnp.maximum(where.sum(axis=1, dtype=jnp.int32) - length, 0)
    return first[:, None] + jnp.arange(length)
