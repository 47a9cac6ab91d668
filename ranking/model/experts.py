"""The multi-feedback prediction layer: shared experts, a gate and a tower for each task (Pan et al., CIKM '23, 2.3)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from nn.mlp import MLPs


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
        self.shape = (tasks, experts)
        self.experts = MLPs(experts, (features, *hidden), dropout=dropout, rngs=rngs)
        self.gates = nnx.Linear(features, tasks * experts, use_bias=False, rngs=rngs) if experts > 1 else None
        self.towers = MLPs(tasks, (hidden[-1], *tower, 1), dropout=dropout, rngs=rngs)

    def gate_weights(self, x: jax.Array) -> jax.Array:
        """g [..., K, N], which sums to one over the experts. Errors: ValueError where there is one expert alone."""
        if self.gates is None:
            raise ValueError("one expert has no gates")
        return jax.nn.softmax(self.gates(x).reshape(*x.shape[:-1], *self.shape))

    def __call__(self, x: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """x [..., features] -> logits s [..., K]."""
        outputs = jax.nn.relu(self.experts(x[..., None, :], dropout_rngs=dropout_rngs))  # [..., N, H]
        if self.gates is not None:
            mixed = self.gate_weights(x) @ outputs  # [..., K, H]
        else:
            mixed = jnp.broadcast_to(outputs, (*outputs.shape[:-2], self.shape[0], outputs.shape[-1]))
        return self.towers(mixed, dropout_rngs=dropout_rngs)[..., 0]
