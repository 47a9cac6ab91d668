"""A gated recurrent unit over padded or packed sequences."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

_UNROLLED = 8  # steps of the scan that are compiled as one, on accelerators


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
        return _cell(_projected(self._input, inputs), self._recurrent, state)

    def __call__(self, inputs: jax.Array, *, where: jax.Array, reset: jax.Array | None = None) -> jax.Array:
        """The state after each position: inputs [B, T, I], where [B, T] bool, reset [B, T] bool -> [B, T, H]."""
        reset = jnp.zeros_like(where) if reset is None else reset
        on_cpu = jax.default_backend() == "cpu"
        projection, recurrent = self._input, self._recurrent

        def body(state, position):
            x, is_event, is_start = position
            x = _projected(projection, x) if on_cpu else x
            state = jnp.where(is_start[:, None], 0.0, state)
            state = jnp.where(is_event[:, None], _cell(x, recurrent, state), state)
            return state, state

        xs = inputs.swapaxes(0, 1)  # [T, B, I]
        if on_cpu:
            # The backward pass recomputes the gates, the product with the inputs among them: on a CPU that is twice as
            # fast as storing them, and the memory is one state per position.
            body = jax.checkpoint(body)
        else:
            # One product for all positions, and no kernel of its own for each step: on a GPU 2.5 times as fast.
            xs = _projected(projection, xs)
        time_major = (xs, where.swapaxes(0, 1), reset.swapaxes(0, 1))
        initial = self.initial_state(inputs.shape[0])
        _, states = lax.scan(body, initial, time_major, unroll=1 if on_cpu else _UNROLLED)
        return states.swapaxes(0, 1)  # [B, T, H]

    @property
    def _input(self) -> "_Affine":
        return self.input_kernel[...], self.input_bias[...]

    @property
    def _recurrent(self) -> "_Affine":
        return self.recurrent_kernel[...], self.recurrent_bias[...]


_Affine = tuple[jax.Array, jax.Array]  # W and b


def _projected(affine: _Affine, x: jax.Array) -> jax.Array:
    kernel, bias = affine
    return x @ kernel + bias


def _cell(projected: jax.Array, recurrent: _Affine, state: jax.Array) -> jax.Array:
    # The next state [B, H] of one event, x W + b [B, 3 H].
    xr, xu, xc = jnp.split(projected, 3, axis=-1)  # [B, H] each
    hr, hu, hc = jnp.split(_projected(recurrent, state), 3, axis=-1)
    keep = jax.nn.sigmoid(xu + hu)
    candidate = jnp.tanh(xc + jax.nn.sigmoid(xr + hr) * hc)
    return (1.0 - keep) * candidate + keep * state
