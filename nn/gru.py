"""A gated recurrent unit over padded or packed sequences."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


class GRU(nnx.Module):
    """Gated recurrent unit (Cho et al. 2014, in the form of cuDNN and torch.nn.GRU).

    With r, u, c = the three blocks of x W + b and r', u', c' those of h U + b':
      r = σ(r + r'),  u = σ(u + u'),  c = tanh(c + r ⊙ c'),  h ← (1 − u) ⊙ c + u ⊙ h.

    Positions where `where` is False leave the state as it is, so padding may stand anywhere. Positions where `reset` is
    True start from the zero state: several short sequences can share one row.
    """

    def __init__(self, in_features: int, hidden: int, *, rngs: nnx.Rngs):
        self.hidden = hidden
        uniform = nnx.initializers.variance_scaling(1.0, "fan_in", "uniform")
        orthogonal = nnx.initializers.orthogonal()
        self.input_kernel = nnx.Param(uniform(rngs.params(), (in_features, 3 * hidden), jnp.float32))
        self.input_bias = nnx.Param(jnp.zeros(3 * hidden))
        recurrent = [orthogonal(rngs.params(), (hidden, hidden), jnp.float32) for _ in range(3)]
        self.recurrent_kernel = nnx.Param(jnp.concatenate(recurrent, axis=1))
        self.recurrent_bias = nnx.Param(jnp.zeros(3 * hidden))

    def initial_state(self, batch_size: int) -> jax.Array:
        """The state of an empty history, [B, H]."""
        return jnp.zeros((batch_size, self.hidden), jnp.float32)

    def step(self, state: jax.Array, inputs: jax.Array) -> jax.Array:
        """One event: state [B, H], inputs [B, I] -> state [B, H]."""
        weights = (self.input_kernel[...], self.input_bias[...], self.recurrent_kernel[...], self.recurrent_bias[...])
        return _cell(weights, state, inputs)

    def __call__(self, inputs: jax.Array, *, where: jax.Array, reset: jax.Array | None = None) -> jax.Array:
        """The state after each position: inputs [B, T, I], where [B, T] bool, reset [B, T] bool -> [B, T, H]."""
        weights = (self.input_kernel[...], self.input_bias[...], self.recurrent_kernel[...], self.recurrent_bias[...])
        reset = jnp.zeros_like(where) if reset is None else reset

        # The backward pass recomputes the gates: on a CPU that is twice as fast as storing them, and the memory is
        # one state per position.
        @jax.checkpoint
        def body(state, position):
            x, is_event, is_start = position
            state = jnp.where(is_start[:, None], 0.0, state)
            state = jnp.where(is_event[:, None], _cell(weights, state, x), state)
            return state, state

        time_major = (inputs.swapaxes(0, 1), where.swapaxes(0, 1), reset.swapaxes(0, 1))  # [T, B, ...]
        _, states = lax.scan(body, self.initial_state(inputs.shape[0]), time_major)
        return states.swapaxes(0, 1)  # [B, T, H]


def _cell(weights, state, inputs):
    input_kernel, input_bias, recurrent_kernel, recurrent_bias = weights
    xr, xu, xc = jnp.split(inputs @ input_kernel + input_bias, 3, axis=-1)  # [B, H] each
    hr, hu, hc = jnp.split(state @ recurrent_kernel + recurrent_bias, 3, axis=-1)
    keep = jax.nn.sigmoid(xu + hu)
    candidate = jnp.tanh(xc + jax.nn.sigmoid(xr + hr) * hc)
    return (1.0 - keep) * candidate + keep * state
