"""The multi-feedback prediction layer: shared experts, a gate and a tower for each task (Pan et al., CIKM '23, 2.3)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from nn.mlp import MLP


class MMoE(nnx.Module):
    """Multi-gate mixture of experts (Ma et al., KDD '18), for inputs x:

    g^k = softmax(W_k^gate x),  o_k = Σ_i g_i^k f_i(x),  s_k = tower_k(o_k),  y_k = σ(s_k).

    One expert needs no gate, as all of its weight is one: s_k = tower_k(f(x)), a shared bottom (Caruana, 1997).
    """

    def __init__(
        self,
        features: int,
        *,
        experts: int,
        tasks: int,
        hidden: Sequence[int],
        tower: Sequence[int],
        dropout: float,
        rngs: nnx.Rngs,
    ):
        """`features` of x; `experts` N DNNs of layers `hidden`; `tasks` K towers of hidden layers `tower`."""
        self.experts = nnx.List([MLP((features, *hidden), dropout=dropout, rngs=rngs) for _ in range(experts)])
        gated = range(tasks if experts > 1 else 0)
        self.gates = nnx.List([nnx.Linear(features, experts, use_bias=False, rngs=rngs) for _ in gated])
        self.towers = nnx.List([MLP((hidden[-1], *tower, 1), dropout=dropout, rngs=rngs) for _ in range(tasks)])

    def gate_weights(self, x: jax.Array) -> jax.Array:
        """g [..., K, N], which sums to one over the experts, of which there are several."""
        return jax.nn.softmax(jnp.stack([gate(x) for gate in self.gates], axis=-2))

    def __call__(self, x: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """x [..., features] -> logits s [..., K]."""
        outputs = jnp.stack(
            [jax.nn.relu(f(x, dropout_rngs=dropout_rngs)) for f in self.experts], axis=-2
        )  # [..., N, H]
        if self.gates:
            mixed = jnp.einsum("...kn,...nh->...kh", self.gate_weights(x), outputs)
        else:
            mixed = jnp.broadcast_to(outputs, (*outputs.shape[:-2], len(self.towers), outputs.shape[-1]))
        logits = [tower(mixed[..., k, :], dropout_rngs=dropout_rngs) for k, tower in enumerate(self.towers)]
        return jnp.concatenate(logits, axis=-1)
