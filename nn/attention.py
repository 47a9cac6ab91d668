"""A block of masked multi-head self-attention."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.dropout import Dropout
from nn.mlp import MLP
from nn.products import as_batch_of_one

_NEVER = -1e30  # finite: a row that may read nothing still has a softmax, whose weights are then set to zero


def visible_softmax(logits: jax.Array, visible: jax.Array) -> jax.Array:
    """Softmax over the visible places of the last axis, zero at others, and everywhere in a row without any."""
    return jnp.where(visible, jax.nn.softmax(jnp.where(visible, logits, _NEVER)), 0.0)


class SelfAttentionBlock(nnx.Module):
    """Self-attention and feed-forward network, each with a residual connection and LayerNorm after it.

    Pan et al., CIKM '23, equations 4 and 5, the transformer block of Vaswani et al. 2017:
      A  = softmax(X W_q (X W_k)ᵀ / √(D / heads)) X W_v   for each head on its D / heads columns
      H' = LayerNorm(A W_o + X),  H = LayerNorm(FFN(H') + H'),  FFN of one hidden ReLU layer.

    With one head and W_o = 1 that is the paper's equation 5. Dropout, in calls that give `dropout_rngs`, is on the
    attention weights and on what each of the two parts adds.
    """

    def __init__(self, dim: int, *, heads: int = 1, hidden: int, dropout: float = 0.0, rngs: nnx.Rngs):
        """`dim` D, `hidden` the feed-forward network's width. Errors: ValueError where `heads` does not divide D."""
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} dimensions")
        self.heads = heads
        self.query, self.key, self.value = (nnx.Linear(dim, dim, use_bias=False, rngs=rngs) for _ in range(3))
        self.output = nnx.Linear(dim, dim, use_bias=False, dot_general=as_batch_of_one, rngs=rngs)
        self.feed_forward = MLP((dim, hidden, dim), dropout=dropout, rngs=rngs)
        self.attention_norm, self.output_norm = nnx.LayerNorm(dim, rngs=rngs), nnx.LayerNorm(dim, rngs=rngs)
        self.dropout = Dropout(dropout)

    def __call__(
        self, x: jax.Array, *, where: jax.Array, causal: bool = False, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """The block's output, zero where masked.

        Args:
          x: [B, T, D]. where: [B, T] bool, positions that may be read; what stands at others is nowhere read.
          causal: a position reads itself and those before it only.
        Returns:
          [B, T, D], finite in rows without any position too.
        """
        batch, length, dim = x.shape
        x = jnp.where(where[..., None], x, 0.0)
        split = (batch, length, self.heads, dim // self.heads)
        query, key, value = (part.reshape(split) for part in self._projected(x))  # [B, T, heads, d]
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key) * split[-1] ** -0.5  # [B, heads, T, T]
        visible = where[:, None, None, :]
        if causal:
            visible = visible & jnp.tri(length, dtype=bool)
        # A row that may read nothing reads all places alike, and is masked itself.
        weights = jax.nn.softmax(logits + jnp.where(visible, 0.0, _NEVER))
        read = jnp.einsum("bhqk,bkhd->bqhd", self.dropout(weights, dropout_rngs), value).reshape(x.shape)
        x = self.attention_norm(x + self.dropout(self.output(read), dropout_rngs))
        added = self.feed_forward(x, dropout_rngs=dropout_rngs)
        return jnp.where(where[..., None], self.output_norm(x + self.dropout(added, dropout_rngs)), 0.0)

    def _projected(self, x: jax.Array) -> list[jax.Array]:
        # x W_q, x W_k and x W_v in one product: each is too narrow to be fast.
        kernels = [part.kernel[...] for part in (self.query, self.key, self.value)]
        joined = as_batch_of_one(x, jnp.concatenate(kernels, axis=1), (((x.ndim - 1,), (0,)), ((), ())))
        return jnp.split(joined, 3, axis=-1)
