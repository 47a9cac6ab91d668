"""Satisfaction information disentanglement (SID): the clicks that resemble what satisfied a user, or what did not."""

import jax
import jax.numpy as jnp
from flax import nnx

from nn.attention import visible_softmax
from nn.mlp import MLP


def attend(clicks: jax.Array, query: jax.Array, *, visible: jax.Array) -> jax.Array:
    """u_r = H_rᵀ softmax(H_r h), the clicks that resemble h (Zhang et al., equation 9).

    Args:
      clicks: H_r [B, T, D]. query: h [B, Q, D], of the satisfied or the dissatisfied history. visible: [B, Q, T] bool,
      the clicks that each query may read.
    Returns:
      [B, Q, D]; zero where nothing is visible.
    """
    weights = visible_softmax(jnp.einsum("bqd,btd->bqt", query, clicks), visible)  # [B, Q, T]
    return jnp.einsum("bqt,btd->bqd", weights, clicks)


def weighted_sum(vectors: jax.Array, mlp: MLP, *, dropout_rngs: nnx.Rngs | None = None) -> tuple[jax.Array, jax.Array]:
    """[a_1, …, a_n] · MLP(a_1 ⊕ … ⊕ a_n), the form of equations 10, 12 and 13: the weights are unbounded.

    Args:
      vectors: a [..., n, D]. mlp: n·D features in, n out.
    Returns:
      the sum [..., D] and the weights [..., n].
    """
    weights = mlp(vectors.reshape(*vectors.shape[:-2], -1), dropout_rngs=dropout_rngs)
    return jnp.einsum("...n,...nd->...d", weights, vectors), weights


def weight_mlp(count: int, dim: int, *, hidden: int, dropout: float, rngs: nnx.Rngs) -> MLP:
    """The MLP of a `weighted_sum` of `count` vectors: it starts from the plain mean, whatever they are."""
    mlp = MLP((count * dim, hidden, count), dropout=dropout, rngs=rngs)
    last = mlp.layers[-1]
    last.kernel = nnx.Param(jnp.zeros((hidden, count)))
    last.bias = nnx.Param(jnp.full(count, 1.0 / count, jnp.float32))
    return mlp


class Disentanglement(nnx.Module):
    """u_s = [h_s, u_r] · MLP(h_s ⊕ u_r) with u_r of `attend` (Zhang et al., equations 9 and 10), of one kind of s."""

    def __init__(self, dim: int, *, hidden: int, dropout: float, rngs: nnx.Rngs):
        self.mlp = weight_mlp(2, dim, hidden=hidden, dropout=dropout, rngs=rngs)

    def __call__(
        self, clicks: jax.Array, query: jax.Array, *, visible: jax.Array, dropout_rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """[B, Q, D]; arguments as `attend`."""
        read = attend(clicks, query, visible=visible)
        return weighted_sum(jnp.stack([query, read], axis=-2), self.mlp, dropout_rngs=dropout_rngs)[0]
