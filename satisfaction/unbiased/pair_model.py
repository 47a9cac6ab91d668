"""The small model that predicts, of a user and an item, the propensity to answer ô and the satisfaction ŝ."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.mlp import MLP


class PairModel(nnx.Module):
    """z = b + w · x + γ MLP(x), x = [cos(v_u, v_i), v_u · v_i / D, attributes]; σ(z) is ô or ŝ.

    g and ρ of Zhang et al. (equations 1 and 5) are MLPs over frozen embeddings, of unspecified shape. What two
    embeddings have to say to each other enters as their cosine and product: an MLP over the 2 D numbers themselves
    learned a few thousand answers by heart, and told propensities no better. γ starts at 0, so that the MLP is drawn on
    only as far as validation lets it; `hidden` = 0 leaves it out: logistic regression. Embeddings are inputs, no
    parameters: frozen by construction.
    """

    def __init__(self, num_attributes: int, *, hidden: int, dropout: float, prior_logit: float, rngs: nnx.Rngs):
        """`prior_logit`: b at the start, the log-odds of the labels' mean."""
        self.bias = nnx.Param(jnp.asarray(prior_logit, jnp.float32))
        self.wide = nnx.Param(jnp.zeros(2 + num_attributes))
        self.gate = nnx.Param(jnp.zeros(())) if hidden else None
        self.deep = MLP((2 + num_attributes, hidden, 1), dropout=dropout, rngs=rngs) if hidden else None

    def __call__(
        self, user: jax.Array, item: jax.Array, attributes: jax.Array, *, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """Logits [B] of user, item [B, D] and attributes [B, A]."""
        dot = jnp.sum(user * item, axis=-1)
        norms = jnp.sqrt(jnp.sum(user**2, axis=-1) * jnp.sum(item**2, axis=-1))
        cosine = jnp.where(norms > 0, dot / jnp.where(norms > 0, norms, 1.0), 0.0)
        x = jnp.concatenate([cosine[:, None], dot[:, None] / user.shape[-1], attributes], axis=-1)  # [B, 2 + A]
        logits = self.bias[...] + x @ self.wide[...]
        if self.deep is None or self.gate is None:
            return logits
        return logits + self.gate[...] * self.deep(x, dropout_rngs=dropout_rngs)[:, 0]
