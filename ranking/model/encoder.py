"""The feedback-aware sequential encoder: what a user met, and how they reacted (Pan et al., CIKM '23, 2.1)."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.attention import SelfAttentionBlock


class FeedbackEncoder(nnx.Module):
    """Self-attention over the past events and their feedback, equations 1 to 5:

      Ê = [E; R^e; R^f; R^g] + p,  H = blocks(Ê),  e_h = mean of H over the events.

    R has a bit for each feedback that the model reads, W of them; the paper's are EVV, FVV and GVV. Position p counts
    from the last event back, so that it means the same in histories of all lengths; from zero, so that one which no
    training history reaches says nothing. The paper leaves open which of the outputs e_h is. An empty history gives
    zeros.
    """

    def __init__(
        self, dim: int, num_feedback: int, *, length: int, blocks: int, heads: int, dropout: float, rngs: nnx.Rngs
    ):
        """`dim` d of item vectors, `num_feedback` W, `length` T; heads have to divide d + W."""
        self.size, self.length = dim + num_feedback, length
        self.position_embedding = nnx.Param(jnp.zeros((length, self.size), jnp.float32))
        self.blocks = nnx.List(
            [
                SelfAttentionBlock(self.size, heads=heads, hidden=2 * self.size, dropout=dropout, rngs=rngs)
                for _ in range(blocks)
            ]
        )

    def __call__(
        self, items: jax.Array, feedback: jax.Array, *, where: jax.Array, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """e_h [B, d + W] of item vectors [B, T, d], feedback [B, T, W] and real events where [B, T]."""
        after = jnp.cumsum(where[:, ::-1], axis=1)[:, ::-1] - 1  # events after this one
        x = jnp.concatenate([items, feedback], axis=-1) + self.position_embedding[...][jnp.maximum(after, 0)]
        for block in self.blocks:
            x = block(x, where=where, dropout_rngs=dropout_rngs)
        return x.sum(axis=1) / jnp.maximum(where.sum(axis=1), 1)[:, None]  # masked positions are zero
