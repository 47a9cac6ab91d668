"""The small model of a user and an item behind both the propensity ô and the satisfaction ŝ."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.mlp import MLP


class PairModel(nnx.Module):
    """z = b + w · x + γ MLP(x), x = [cos(v_u, v_i), v_u · v_i / D, attributes]; σ(z) is ô or ŝ.

    With `reads_embeddings` the MLP reads v_u ⊕ v_i ⊕ v_u ⊙ v_i too.

    g and ρ of Zhang et al. (equations 1 and 5) are MLPs over frozen embeddings, of unspecified shape. An MLP over the
    embeddings themselves needs all impressions, as propensities have them; a few thousand answers it learns by heart.
    γ starts at 0, so that the MLP is drawn on only as far as validation lets it. Embeddings are inputs, no parameters:
    frozen by construction.
    """

    def __init__(
        self,
        dim: int,
        num_attributes: int,
        *,
        hidden: int,
        reads_embeddings: bool,
        dropout: float,
        prior_logit: float,
        rngs: nnx.Rngs,
    ):
        """`prior_logit`: b at the start, the log-odds of the labels' mean."""
        self.reads_embeddings = reads_embeddings
        self.bias = nnx.Param(jnp.asarray(prior_logit, jnp.float32))
        self.wide = nnx.Param(jnp.zeros(2 + num_attributes))
        self.gate = nnx.Param(jnp.zeros(()))
        width = 2 + num_attributes + (3 * dim if reads_embeddings else 0)
        self.deep = MLP((width, hidden, 1), dropout=dropout, rngs=rngs)

    def __call__(
        self, user: jax.Array, item: jax.Array, attributes: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """Logits [B] of user, item [B, D] and attributes [B, A]."""
        product = user * item
        dot = product.sum(axis=-1)
        norms = jnp.sqrt(jnp.sum(user**2, axis=-1) * jnp.sum(item**2, axis=-1))
        cosine = jnp.where(norms > 0, dot / jnp.where(norms > 0, norms, 1.0), 0.0)
        x = jnp.concatenate([cosine[:, None], dot[:, None] / user.shape[-1], attributes], axis=-1)  # [B, 2 + A]
        inputs = jnp.concatenate([x, user, item, product], axis=-1) if self.reads_embeddings else x
        deep = self.deep(inputs, dropout_rngs=dropout_rngs)[:, 0]
        return self.bias[...] + x @ self.wide[...] + self.gate[...] * deep
