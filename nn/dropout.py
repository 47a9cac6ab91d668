"""Dropout that draws a byte for each number."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

_BYTES = 256


class Dropout(nnx.Module):
    """Each number is zero with probability `rate`, and the others are divided by 1 − rate, so that the mean stays.

    Srivastava et al., JMLR 2014. The rate is rounded to a multiple of 1/256, below 1/512 to none, as a byte decides on
    each number: with 32 bits for each, as `nnx.Dropout` draws them, the random numbers of 32 × 64 events of 128 numbers
    take six to twelve times as long on a CPU, a twentieth of a training step of retrieval.
    """

    def __init__(self, rate: float):
        """Errors: ValueError for a rate outside [0, 1)."""
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate is from 0 to below 1, got {rate}")
        self.kept = max(1, round(_BYTES * (1 - rate)))  # of 256 bytes

    def __call__(self, x: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        """x [..., D], D its last axis, with some of it dropped; as it is where there are no `rngs`."""
        if rngs is None or self.kept == _BYTES:
            return x
        *leading, size = x.shape
        words = jax.random.bits(rngs.dropout(), (*leading, -(-size // 4)), jnp.uint32)  # of four bytes
        drawn = lax.bitcast_convert_type(words, jnp.uint8).reshape(*leading, 4 * words.shape[-1])[..., :size]
        return jnp.where(drawn < self.kept, x * (_BYTES / self.kept), 0.0)
