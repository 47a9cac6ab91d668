"""Self-attention over events: the encoder of the ranker and of SAQRec's histories."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.attention import SelfAttentionBlock
from nn.dropout import Dropout


class SelfAttentionEncoder(nnx.Module):
    """H = blocks(X + P): events plus learned positions through transformer blocks; zero where there is no event.

    Zhang et al., CIKM '24, equations 7 and 8; Pan et al., CIKM '23, equations 3 to 5. Positions start at zero, so that
    one which no training history reaches says nothing.

    causal: a row reads itself and earlier ones only, and stands for the history up to there, so that one pass gives a
      label to each position; positions count from the first column. Otherwise every row reads all, and positions count
      from the last event back, so that they mean the same in histories of all lengths.
    """

    def __init__(
        self,
        size: int,
        length: int,
        *,
        blocks: int,
        heads: int,
        hidden: int,
        causal: bool,
        dropout: float,
        input_dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        """Args: numbers of an event, which `heads` divides; T, the longest history; width of the feed-forward nets;
        dropout in the blocks, and of X + P."""
        self.size, self.length, self.causal = size, length, causal
        self.positions = nnx.Param(jnp.zeros((length, size)))
        self.blocks = nnx.List(
            [SelfAttentionBlock(size, heads=heads, hidden=hidden, dropout=dropout, rngs=rngs) for _ in range(blocks)]
        )
        self.dropout = Dropout(input_dropout)

    def __call__(self, events: jax.Array, *, where: jax.Array, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """H [B, T', size] of events [B, T', size], T' ≤ T; where: [B, T'] bool, real events."""
        if self.causal:
            x = events + self.positions[: events.shape[1]]
        else:
            after = jnp.cumsum(where[:, ::-1], axis=1)[:, ::-1] - 1  # events after this one
            x = events + self.positions[...][jnp.maximum(after, 0)]
        x = self.dropout(x, dropout_rngs)
        for block in self.blocks:
            x = block(x, where=where, causal=self.causal, dropout_rngs=dropout_rngs)
        return jnp.where(where[..., None], x, 0.0)
