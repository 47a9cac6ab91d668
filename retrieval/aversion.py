"""A memory of what the user said no to, which the query is made to forget. Beyond the paper: its user tower is the GRU.

A GRU that has seen fifty items of one cluster takes more than one dislike to leave it: what the dislike adds to the
query is the same, however strongly the query points at the cluster. Here the disliked direction is erased in proportion
to how much of it the query holds (the delta rule of Widrow & Hoff 1960, as in fast-weight memories, Schlag et al., ICML
'21), so one dislike counts after any history. How much is erased is learned from the labels: the model starts with no
effect.
"""

import jax
import jax.numpy as jnp
from flax import nnx


class AversionMemory(nnx.Module):
    """m ← (1 − a) ⊙ m + a ⊙ v_i after a "no" to item i, m ← γ ⊙ m after any other event; q ← q − (q · K m) V m.

    a and γ, in (0, 1), K and V are learned; V starts at zero. Writing replaces rather than adds: the tenth "no" to a
    cluster says what the first one said.
    """

    def __init__(self, dim: int):
        """Args: D, of item vectors and queries."""
        self.write = nnx.Param(jnp.full(dim, 2.0))
        self.keep = nnx.Param(jnp.full(dim, 4.0))
        self.key_kernel = nnx.Param(0.3 * jnp.eye(dim))
        self.value_kernel = nnx.Param(jnp.zeros((dim, dim)))

    def step(self, memory: jax.Array, item_vectors: jax.Array, said_no: jax.Array) -> jax.Array:
        """Memory [B, D], vectors of the items met [B, D], said_no [B] bool -> memory [B, D]."""
        write, keep = jax.nn.sigmoid(self.write[...]), jax.nn.sigmoid(self.keep[...])
        return jnp.where(said_no[:, None], (1.0 - write) * memory + write * item_vectors, keep * memory)

    def scan(self, item_vectors: jax.Array, said_no: jax.Array, *, where: jax.Array, reset: jax.Array) -> jax.Array:
        """The memory after each position, all positions at once: `step` is linear in m, so steps compose.

        Item vectors [B, T, D]; said_no, where (an event stands here) and reset (a sequence begins here) [B, T] bool
        -> [B, T, D].
        """
        write, keep = jax.nn.sigmoid(self.write[...]), jax.nn.sigmoid(self.keep[...])
        said_no, where, reset = (mask[..., None] for mask in (said_no & where, where, reset))
        scale = jnp.where(said_no, 1.0 - write, jnp.where(where, keep, 1.0))  # m ← scale ⊙ m + added
        added = jnp.where(said_no, write * item_vectors, 0.0)
        scale = jnp.where(reset, 0.0, scale)

        def compose(first, then):
            return first[0] * then[0], then[0] * first[1] + then[1]

        return jax.lax.associative_scan(compose, (scale, added), axis=1)[1]

    def forget(self, queries: jax.Array, memory: jax.Array) -> jax.Array:
        """Queries [..., D] without what they hold of the memory [..., D]."""
        held = jnp.sum(queries * (memory @ self.key_kernel[...]), axis=-1, keepdims=True)
        return queries - held * (memory @ self.value_kernel[...])
