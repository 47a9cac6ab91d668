"""The context feature layer: which features matter for this user, item and platform (Pan et al., CIKM '23, 2.2)."""

import jax
import jax.numpy as jnp
from flax import nnx


class ContextLayer(nnx.Module):
    """Feature transformation and slot-wise importance, equations 6 to 8:

      E_trans = E_in ⊙ (W_1 [e_u; e_i; e_p] + 1)                  (6)
      α = σ(W_slot [E_trans; e_u; e_i; e_p])                        (7)
      Ẽ = α ⊗ E_trans, the D / S dimensions of a slot sharing an α  (8)

    How the dimensions are read. The paper has E_in ∈ R^{D×1}, E_in W_1 · [e_u; e_i; e_p] of the size of E_in, and
    W_slot ∈ R^{S×4D}. Taken literally, W_1 ∈ R^{1×3D} would scale all of E_in by one number, which filters nothing.
    Here E_in stands for diag(E_in), so that W_1 ∈ R^{D×3d} gives each of the D features a factor of its own, chosen by
    user, item and platform, whose embeddings have d dimensions each: W_slot ∈ R^{S×(D+3d)}. The + 1 is where training
    starts from: E_in as it is.
    """

    def __init__(self, size: int, dim: int, slots: int, *, rngs: nnx.Rngs):
        """`size` D, `dim` d, `slots` S, from 1 to D. Errors: ValueError where S does not divide D."""
        if slots < 1 or size % slots:
            raise ValueError(f"{slots} slots do not divide {size} feature dimensions")
        small = nnx.initializers.normal(0.01)
        self.slots = slots
        self.transformation = nnx.Linear(3 * dim, size, use_bias=False, kernel_init=small, rngs=rngs)
        self.importance = nnx.Linear(size + 3 * dim, slots, use_bias=False, kernel_init=small, rngs=rngs)

    def transformed(self, features: jax.Array, context: jax.Array) -> jax.Array:
        """E_trans of E_in [..., D] and [e_u; e_i; e_p] [..., 3 d]: [..., D]."""
        return features * (1.0 + self.transformation(context))

    def slot_weights(self, transformed: jax.Array, context: jax.Array) -> jax.Array:
        """α [..., S]."""
        return jax.nn.sigmoid(self.importance(jnp.concatenate([transformed, context], axis=-1)))

    def __call__(self, features: jax.Array, context: jax.Array) -> jax.Array:
        """E_in [..., D], [e_u; e_i; e_p] [..., 3 d] -> Ẽ [..., D]."""
        transformed = self.transformed(features, context)
        weights = self.slot_weights(transformed, context)
        in_slots = transformed.reshape(*transformed.shape[:-1], self.slots, -1)  # [..., S, D / S]
        return (weights[..., None] * in_slots).reshape(transformed.shape)
