"""λ, the weight of each task in the sum of losses: fixed, or adapted; Σ_k λ_k = 1 (Pan et al., CIKM '23, 2.4.1).

Adapted weights are those of uncertainty weighting (Kendall, Gal and Cipolla, CVPR '18), divided by their sum: each task
has a learned log variance s_k, which minimises exp(−s_k) L_k + s_k, so that λ_k ∝ exp(−s_k) tends to 1 / L_k. The paper
says that its weights adapt, not how. This method needs K numbers, which are saved with the parameters, and no more work
a step; GradNorm (Chen et al., ICML '18) needs a gradient for each task, dynamic weight averaging (Liu et al., CVPR '19)
the losses of past epochs, state that a run which is killed would have to carry over too.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


class TaskWeights(nnx.Module):
    """Weights of K tasks; with `fixed` they are that, divided by their sum, and have no parameters."""

    def __init__(self, num_tasks: int, *, fixed: Sequence[float] = ()):
        """Errors: ValueError where `fixed` has another length than K, a negative weight, or none above zero."""
        if fixed and (len(fixed) != num_tasks or min(fixed) < 0 or not sum(fixed) > 0):
            raise ValueError(f"{num_tasks} tasks: as many weights of at least 0, one of them above, not {tuple(fixed)}")
        self.fixed = tuple(float(weight) / sum(fixed) for weight in fixed)
        self.log_variance = None if fixed else nnx.Param(jnp.zeros(num_tasks))

    def __call__(self) -> jax.Array:
        """λ [K], which sums to one."""
        if self.log_variance is None:
            return jnp.asarray(self.fixed, jnp.float32)
        return jax.nn.softmax(-self.log_variance[...])

    def combine(self, losses: jax.Array) -> jax.Array:
        """Σ_k λ_k L_k of losses [K]. Its gradient moves the model by λ alone, and s_k as above by L_k alone."""
        total = (lax.stop_gradient(self()) * losses).sum()
        if self.log_variance is None:
            return total
        s = self.log_variance[...]
        learned = (jnp.exp(-s) * lax.stop_gradient(losses) + s).sum()
        return total + learned - lax.stop_gradient(learned)
