"""The feedback-aware sequential encoder: what a user met, and how they reacted (Pan et al., CIKM '23, 2.1)."""

import jax
import jax.numpy as jnp
from flax import nnx

from encoders.self_attention import SelfAttentionEncoder


class FeedbackEncoder(nnx.Module):
    """Self-attention over the past events and their feedback, equations 1 to 5:

      Ê = [E; R^e; R^f; R^g] + p,  H = blocks(Ê),  e_h = mean of H over the events.

    R has a bit for each feedback that the model reads, W of them; the paper's are EVV, FVV and GVV. The paper leaves
    open which of the outputs e_h is. An empty history gives zeros.
    """

    def __init__(
        self, dim: int, num_feedback: int, *, length: int, blocks: int, heads: int, dropout: float, rngs: nnx.Rngs
    ):
        """`dim` d of item vectors, `num_feedback` W, `length` T; heads have to divide d + W."""
        self.size, self.length = dim + num_feedback, length
        self.events = SelfAttentionEncoder(
            self.size,
            length,
            blocks=blocks,
            heads=heads,
            hidden=2 * self.size,
            causal=False,
            dropout=dropout,
            rngs=rngs,
        )

    def __call__(
        self, items: jax.Array, feedback: jax.Array, *, where: jax.Array, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """e_h [B, d + W] of item vectors [B, T, d], feedback [B, T, W] and real events where [B, T]."""
        encoded = self.events(jnp.concatenate([items, feedback], axis=-1), where=where, dropout_rngs=dropout_rngs)
        return encoded.sum(axis=1) / jnp.maximum(where.sum(axis=1), 1)[:, None]  # masked positions are zero
