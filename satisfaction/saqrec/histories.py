"""The transformers over clicked, satisfied and dissatisfied histories: equations 7 and 8 of SAQRec."""

import jax
import jax.numpy as jnp
from flax import nnx

from encoders.self_attention import SelfAttentionEncoder


class HistoryEncoder(nnx.Module):
    """H = Trm(V + P) of item vectors (Zhang et al., equations 7 and 8), and what stands for a history without an event.

    The mask is causal, where the released code's is not: row t of H then stands for the history up to t, and one pass
    gives a label to each position. `none` is learned, from zero.
    """

    def __init__(self, length: int, dim: int, *, blocks: int, heads: int, hidden: int, dropout: float, rngs: nnx.Rngs):
        """`length` T, the longest history; `dim` D; `hidden`, width of the blocks' feed-forward networks."""
        self.none = nnx.Param(jnp.zeros(dim))
        self.events = SelfAttentionEncoder(
            dim,
            length,
            blocks=blocks,
            heads=heads,
            hidden=hidden,
            causal=True,
            dropout=dropout,
            input_dropout=dropout,
            rngs=rngs,
        )

    def __call__(self, vectors: jax.Array, *, where: jax.Array, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """H [B, T', D] of item vectors [B, T', D], T' ≤ T; zero where masked. where: [B, T] bool, real events."""
        return self.events(vectors, where=where, dropout_rngs=dropout_rngs)

    def last(self, encoded: jax.Array, count: jax.Array) -> jax.Array:
        """h, the row of the last of the first `count` events: [B, Q, D] of H [B, T, D] and count [B, Q]; or `none`."""
        rows = jnp.take_along_axis(encoded, jnp.maximum(count - 1, 0)[..., None], axis=1)  # [B, Q, D]
        return jnp.where((count > 0)[..., None], rows, self.none[...])
