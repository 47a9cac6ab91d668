"""A gated recurrent unit over padded or packed sequences."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from nn import gru_kernels


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

    def step(self, state: jax.Array, inputs: jax.Array) -> jax.Array:
        """One event: state [B, H], inputs [B, I] -> state [B, H]."""
        input_kernel, input_bias, recurrent_kernel, recurrent_bias = self._weights
        projected = _blocks(inputs @ input_kernel + input_bias)
        return _next(_gates(projected, _blocks(state @ recurrent_kernel + recurrent_bias)), state)

    def __call__(self, inputs: jax.Array, *, where: jax.Array, reset: jax.Array | None = None) -> jax.Array:
        """The state after each position: inputs [B, T, I], where [B, T] bool, reset [B, T] bool -> [B, T, H]."""
        reset = jnp.zeros_like(where) if reset is None else reset
        states = _states(inputs.swapaxes(0, 1), where.swapaxes(0, 1), reset.swapaxes(0, 1), *self._weights)
        return states.swapaxes(0, 1)  # [B, T, H]

    @property
    def _weights(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        return self.input_kernel[...], self.input_bias[...], self.recurrent_kernel[...], self.recurrent_bias[...]


# What belongs to r, u and c of [..., 3 H], as three arrays: a loop over columns of a larger array is not vectorised by
# XLA on a CPU, and takes three times as long.
_Blocks = Sequence[jax.Array]


def _blocks(array: jax.Array) -> _Blocks:
    return jnp.split(array, 3, axis=-1)


class _Gates(NamedTuple):
    # r, u, c and c' of the docstring, [..., H] each.
    r: jax.Array
    u: jax.Array
    c: jax.Array
    recurrent_c: jax.Array


def _gates(projected: _Blocks, recurrent: _Blocks) -> _Gates:
    # Of x W + b and h U + b'.
    (xr, xu, xc), (hr, hu, hc) = projected, recurrent
    r = jax.nn.sigmoid(xr + hr)
    return _Gates(r, jax.nn.sigmoid(xu + hu), jnp.tanh(xc + r * hc), hc)


def _next(gates: _Gates, state: jax.Array) -> jax.Array:
    # The state after an event whose gates these are.
    return (1.0 - gates.u) * gates.c + gates.u * state


@jax.custom_vjp
def _states(inputs, where, reset, input_kernel, input_bias, recurrent_kernel, recurrent_bias):
    # The state after each position, time first: inputs [T, B, I], where and reset [T, B] -> [T, B, H]. This is what is
    # exported, and runs anywhere; what trains, `_forward` and `_backward`, may have kernels of the device instead.
    #
    # Its gradient is written out, since jax.grad would add a small product of each step to those of the kernels, inside
    # the scan. Here they are one product over all positions, before or after it, which all cores share.
    projected = _blocks(inputs @ input_kernel + input_bias)  # 3 x [T, B, H]
    return _scanned_states(projected, where, reset, recurrent_kernel, recurrent_bias)[0]


def _scanned_states(projected, where, reset, kernel, bias):
    # The states of gru_kernels.states, and the gates [T, B, H] of each position, which the gradient asks for. Where
    # nobody asks, XLA leaves them out.
    def body(state, position):
        x, is_event, is_start = position
        state = jnp.where(is_start[:, None], 0.0, state)
        gates = _gates(x, _blocks(state @ kernel + bias))
        state = jnp.where(is_event[:, None], _next(gates, state), state)
        return state, (state, gates)

    _, found = lax.scan(body, jnp.zeros_like(projected[0][0]), (projected, where, reset), unroll=_unrolled())
    return found


def _forward(inputs, where, reset, input_kernel, input_bias, recurrent_kernel, recurrent_bias):
    projected = _blocks(inputs @ input_kernel + input_bias)
    arguments = (projected, where, reset, recurrent_kernel, recurrent_bias)
    if gru_kernels.suit(recurrent_kernel.shape[0]):
        states = gru_kernels.states(*arguments)
        gates = _gates(projected, _blocks(_before(states, reset) @ recurrent_kernel + recurrent_bias))
    else:
        states, gates = _scanned_states(*arguments)
    return states, (inputs, where, reset, input_kernel, recurrent_kernel, states, gates)


def _backward(residuals, cotangents):
    inputs, where, reset, input_kernel, recurrent_kernel, states, gates = residuals
    before = _before(states, reset)
    go_back = _gradients_by_kernels if gru_kernels.suit(recurrent_kernel.shape[0]) else _scanned_gradients
    d_recurrent, d_c = go_back(cotangents, before, gates, where, reset, recurrent_kernel)
    # x W + b and h U + b' are added, but for c', which r comes before.
    d_projected = d_recurrent.at[..., -d_c.shape[-1] :].set(d_c)
    return (
        d_projected @ input_kernel.T,
        None,
        None,
        _summed_product(inputs, d_projected),
        d_projected.sum((0, 1)),
        _summed_product(before, d_recurrent),
        d_recurrent.sum((0, 1)),
    )


_states.defvjp(_forward, _backward)


def _before(states, reset):
    # The state that each position meets [T, B, H].
    return jnp.where(reset[..., None], 0.0, jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]]))


def _derivatives(before, gates, is_event):
    # Of the next state, by what goes into r's σ, u's σ and tanh, by c', and by the state before, past the gates.
    r, u, c, recurrent_c = gates
    by_c = jnp.where(is_event, (1.0 - u) * (1.0 - c * c), 0.0)
    by_recurrent_c = by_c * r
    by_r = by_recurrent_c * recurrent_c * (1.0 - r)
    by_u = jnp.where(is_event, (before - c) * u * (1.0 - u), 0.0)
    return by_r, by_u, by_c, by_recurrent_c, jnp.where(is_event, u, 1.0)


def _scanned_gradients(cotangents, before, gates, where, reset, kernel):
    # The gradients by h U + b' [T, B, 3 H] and by what goes into tanh [T, B, H], through all later states too. A step
    # computes its derivatives itself: they lie in the cache, where those of all positions would go through memory.
    def body(d_state, position):
        cotangent, before, gates, is_event, is_start = position
        by_r, by_u, by_c, by_recurrent_c, directly = _derivatives(before, gates, is_event[:, None])
        d_state += cotangent
        d_recurrent = jnp.concatenate([by * d_state for by in (by_r, by_u, by_recurrent_c)], axis=-1)
        d_before = directly * d_state + d_recurrent @ kernel.T
        return jnp.where(is_start[:, None], 0.0, d_before), (d_recurrent, by_c * d_state)

    positions = (cotangents, before, gates, where, reset)
    _, found = lax.scan(body, jnp.zeros_like(cotangents[0]), positions, reverse=True, unroll=_unrolled())
    return found


def _gradients_by_kernels(cotangents, before, gates, where, reset, kernel):
    # The same.
    by_r, by_u, by_c, by_recurrent_c, directly = _derivatives(before, gates, where[..., None])
    by_gates = (by_r, by_u, by_recurrent_c)
    d_states = gru_kernels.state_gradients(cotangents, by_gates, directly, reset, kernel)
    return jnp.concatenate([by * d_states for by in by_gates], axis=-1), by_c * d_states


def _summed_product(a, b):
    # Σ over positions [T, B] of a bᵀ: [T, B, I], [T, B, J] -> [I, J]. On one device as a batch of one: nn/products.py
    # says why. Several devices have parts of B, not to be told apart once merged with T: each would gather all of it.
    if jax.device_count() > 1:
        return jnp.einsum("tbi,tbj->ij", a, b)
    return jnp.einsum("gri,grj->gij", a.reshape(1, -1, a.shape[-1]), b.reshape(1, -1, b.shape[-1]))[0]


def _unrolled():
    # Steps of the scan that are compiled as one: on a GPU no kernel of its own for each step. On a CPU it does not pay.
    return 1 if jax.default_backend() == "cpu" else 8
