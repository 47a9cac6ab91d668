"""The transformers over clicked, satisfied and dissatisfied histories: equations 7 and 8 of SAQRec."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.attention import SelfAttentionBlock


class HistoryEncoder(nnx.Module):
    """H = Trm(V + P): item vectors plus learned positions through transformer blocks (Zhang et al., equations 7, 8).

    Positions and `none` start at zero, and what no training history reaches stays there: it says nothing.
    The mask is causal, where the released code's is not: row t of H then stands for the history up to t, and one pass
    gives a label to each position. `none` is learned, and stands for a history without an event.
    """

    def __init__(self, length: int, dim: int, *, blocks: int, heads: int, hidden: int, dropout: float, rngs: nnx.Rngs):
        """`length` T, the longest history; `dim` D; `hidden`, width of the blocks' feed-forward networks."""
        self.positions = nnx.Param(jnp.zeros((length, dim)))
        self.none = nnx.Param(jnp.zeros(dim))
        self.blocks = nnx.List(
            [SelfAttentionBlock(dim, heads=heads, hidden=hidden, dropout=dropout, rngs=rngs) for _ in range(blocks)]
        )
        self.dropout = nnx.Dropout(dropout)

    def __call__(self, vectors: jax.Array, *, where: jax.Array, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """H [B, T', D] of item vectors [B, T', D], T' ≤ T; zero where masked. where: [B, T] bool, real events."""
        x = vectors + self.positions[: vectors.shape[1]]
        if dropout_rngs is not None:
            x = self.dropout(x, rngs=dropout_rngs, deterministic=False)
        for block in self.blocks:
            x = block(x, where=where, causal=True, dropout_rngs=dropout_rngs)
        return jnp.where(where[..., None], x, 0.0)

    def last(self, encoded: jax.Array, count: jax.Array) -> jax.Array:
        """h, the row of the last of the first `count` events: [B, Q, D] of H [B, T, D] and count [B, Q]; or `none`."""
        rows = jnp.take_along_axis(encoded, jnp.maximum(count - 1, 0)[..., None], axis=1)  # [B, Q, D]
        return jnp.where((count > 0)[..., None], rows, self.none[...])
