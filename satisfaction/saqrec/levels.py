"""Multi-level satisfaction enhancement (MLSE): clicks sorted into levels, from the most to the least satisfying."""

import jax
import jax.numpy as jnp
from flax import nnx

from satisfaction.saqrec.disentanglement import weight_mlp, weighted_sum


def level_of(scores: jax.Array, *, visible: jax.Array, num_levels: int) -> jax.Array:
    """The level of each click among those visible: ⌊rank · N_I / n⌋ of n ≥ N_I clicks, rank 0 the highest score.

    Zhang et al., section 4.3.3: "about n / N_I" clicks a level. Where N_I does not divide n some have one more than
    others, and none is empty: five clicks in three levels are 2, 2, 1. Of n < N_I clicks each is a level of its own and
    the last levels are empty: two clicks are 1, 1, 0. Ties go by position.

    Args:
      scores: ŝ [B, T]. visible: [B, Q, T] bool, the clicks before each query; n of them.
    Returns:
      [B, Q, T] int32, 0..num_levels − 1, and num_levels where not visible.
    """
    length = scores.shape[-1]
    earlier = jnp.tri(length, k=-1, dtype=bool)  # [t, m]: m before t
    ahead = (scores[:, None, :] > scores[:, :, None]) | ((scores[:, None, :] == scores[:, :, None]) & earlier)
    # rank[b, q, t] = Σ_m visible[b, q, m] · [m is ahead of t]
    rank = jnp.einsum("bqm,btm->bqt", visible.astype(jnp.float32), ahead.astype(jnp.float32)).astype(jnp.int32)
    count = visible.sum(axis=-1, keepdims=True)  # [B, Q, 1]
    return jnp.where(visible, rank * num_levels // jnp.maximum(count, num_levels), num_levels)


def level_vectors(clicks: jax.Array, scores: jax.Array, levels: jax.Array, *, num_levels: int) -> jax.Array:
    """I_i = Σ_j exp(ŝ_ij) h_ij / Σ_m exp(ŝ_im) over the clicks of level i (Zhang et al., equation 11).

    Args:
      clicks: H_r [B, T, D]. scores: ŝ [B, T], probabilities. levels: [B, Q, T], as `level_of` gives.
    Returns:
      [B, Q, num_levels, D]; zero for a level without clicks.
    """
    inside = levels[..., None, :] == jnp.arange(num_levels)[:, None]  # [B, Q, N_I, T]
    weights = jnp.where(inside, jnp.exp(scores)[:, None, None, :], 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights / jnp.where(total > 0, total, 1.0)
    return jnp.einsum("bqit,btd->bqid", weights, clicks)


class LevelEnhancement(nnx.Module):
    """u_MLSE = [I_1, …, I_{N_I}] · MLP(I_1 ⊕ … ⊕ I_{N_I}) (Zhang et al., equation 12)."""

    def __init__(self, dim: int, *, num_levels: int, hidden: int, dropout: float, rngs: nnx.Rngs):
        self.num_levels = num_levels
        self.mlp = weight_mlp(num_levels, dim, hidden=hidden, dropout=dropout, rngs=rngs)

    def __call__(
        self, clicks: jax.Array, scores: jax.Array, *, visible: jax.Array, dropout_rngs: nnx.Rngs | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """u_MLSE [B, Q, D] and the weight of each level [B, Q, N_I], of H_r [B, T, D] and ŝ [B, T]."""
        levels = level_of(scores, visible=visible, num_levels=self.num_levels)
        vectors = level_vectors(clicks, scores, levels, num_levels=self.num_levels)
        return weighted_sum(vectors, self.mlp, dropout_rngs=dropout_rngs)
