"""Kernels for NVIDIA GPUs of the recurrence of a GRU and of that of its gradient, for nn/gru.py.

XLA starts several kernels for each position of a scan, and those starts are what takes the time, the host's too. Here a
program keeps the recurrent weights on the chip and takes a few rows through all positions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.custom_partitioning import custom_partitioning

from nn import gpu

_ROWS = 16  # of a program: the fewest that a product on the chip has
_WARPS = 8
_Kernel = Callable[..., None]


def suit(hidden: int) -> bool:
    """Whether the device has kernels for H = `hidden`: a power of two, with weights that fit on the chip."""
    needed = 4 * (3 * hidden * hidden + _ROWS * hidden)
    return hidden >= 16 and hidden & (hidden - 1) == 0 and needed <= gpu.shared_memory()


def states(
    projected: Sequence[jax.Array], where: jax.Array, reset: jax.Array, kernel: jax.Array, bias: jax.Array
) -> jax.Array:
    """The state after each position [T, B, H].

    Args:
      projected: x W + b of r, u and c, [T, B, H] each.
      where: [T, B] bool; elsewhere the state stays as it is.
      reset: [T, B] bool; there it starts from zero.
      kernel: U, [H, 3 H]. bias: b', [3 H].
    """
    flags = (where.astype(jnp.int32), reset.astype(jnp.int32))
    return _states(*projected, *flags, *jnp.split(kernel, 3, axis=1), *jnp.split(bias, 3))


def state_gradients(
    cotangents: jax.Array, by_gates: Sequence[jax.Array], directly: jax.Array, reset: jax.Array, kernel: jax.Array
) -> jax.Array:
    """The gradient d [T, B, H] of the loss by the state after each position, through all later states too.

    d_t = cotangent_t + e_{t+1}, where e_t = directly_t ⊙ d_t + Σ over the gates of (by_t ⊙ d_t) Uᵀ; 0 at a reset.

    Args:
      cotangents: [T, B, H], the gradient by the state after each position alone.
      by_gates: of r, u and c, [T, B, H] each: the derivative of the state by the gate's part of h U + b'.
      directly: [T, B, H], that by the state before, past the gates.
      reset: [T, B] bool.
      kernel: U, [H, 3 H].
    """
    vectors = [gate.T for gate in jnp.split(kernel, 3, axis=1)]
    return _state_gradients(cotangents, *by_gates, directly, reset.astype(jnp.int32), *vectors)


def _for_rows(rule: str) -> Callable[[_Kernel], Callable[..., jax.Array]]:
    # Makes a function of a kernel, with axes as `rule` names them: a program has some rows `b` of the arguments that
    # have any, and all of the others. Rows that lie on several devices stay there, and each device runs its own.
    num_arrays = sum(axes.strip().startswith("t b") for axes in rule.split("->")[0].split(","))
    others = tuple(axis for axis in dict.fromkeys(rule) if axis not in "b ,->")  # in order, as it has to be

    def decorator(kernel: _Kernel) -> Callable[..., jax.Array]:
        def run(*arguments: jax.Array) -> jax.Array:
            return _run(kernel, arguments[:num_arrays], arguments[num_arrays:])

        def partition(mesh: Any, arguments: Any, result: Any) -> Any:
            return mesh, run, result.sharding, tuple(argument.sharding for argument in arguments)

        partitioned = custom_partitioning(run)
        partitioned.def_partition(partition, sharding_rule=rule, need_replication_factors=others)
        return partitioned

    return decorator


def _run(kernel: _Kernel, arrays: Sequence[jax.Array], constants: Sequence[jax.Array]) -> jax.Array:
    length, batch, hidden = arrays[0].shape
    padded = batch + -batch % _ROWS
    arrays = [jnp.pad(array, [(0, 0), (0, padded - batch), (0, 0)][: array.ndim]) for array in arrays]

    def of_rows(shape: tuple[int, ...]) -> pl.BlockSpec:
        return pl.BlockSpec((length, _ROWS, *shape[2:]), lambda i: (0, i, 0)[: len(shape)])

    def whole(shape: tuple[int, ...]) -> pl.BlockSpec:
        return pl.BlockSpec(shape, lambda i: (0,) * len(shape))

    states = jax.ShapeDtypeStruct((length, padded, hidden), jnp.float32)
    return gpu.call(
        kernel,
        warps=_WARPS,
        grid=(padded // _ROWS,),
        in_specs=[of_rows(array.shape) for array in arrays] + [whole(array.shape) for array in constants],
        out_specs=of_rows(states.shape),
        out_shape=states,
    )(*arrays, *constants)[:, :batch]


@_for_rows("t b h, t b h, t b h, t b, t b, i j, i j, i j, k, k, k -> t b h")
def _states(xr_ref, xu_ref, xc_ref, where_ref, reset_ref, ur_ref, uu_ref, uc_ref, br_ref, bu_ref, bc_ref, states_ref):
    length, rows, hidden = states_ref.shape
    kernels = [ref[...] for ref in (ur_ref, uu_ref, uc_ref)]
    biases = [ref[...][None, :] for ref in (br_ref, bu_ref, bc_ref)]

    def position(t):
        projected = [ref[t, :, :] for ref in (xr_ref, xu_ref, xc_ref)]
        return *projected, where_ref[t, :][:, None] > 0, reset_ref[t, :][:, None] > 0

    def body(t, carry):
        state, (xr, xu, xc, is_event, is_start) = carry
        ahead = position(jnp.minimum(t + 1, length - 1))  # read while the products are computed
        state = jnp.where(is_start, 0.0, state)
        hr, hu, hc = (gpu.dot(state, kernel) + bias for kernel, bias in zip(kernels, biases, strict=True))
        r, u = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xu + hu)
        c = jnp.tanh(xc + r * hc)
        state = jnp.where(is_event, (1.0 - u) * c + u * state, state)
        states_ref[t, :, :] = state
        return state, ahead

    lax.fori_loop(0, length, body, (jnp.zeros((rows, hidden), jnp.float32), position(0)))


@_for_rows("t b h, t b h, t b h, t b h, t b h, t b, i j, i j, i j -> t b h")
def _state_gradients(cotangents_ref, by_r_ref, by_u_ref, by_c_ref, directly_ref, reset_ref, ur_ref, uu_ref, uc_ref,
                     d_states_ref):  # fmt: skip
    length, rows, hidden = d_states_ref.shape
    kernels = [ref[...] for ref in (ur_ref, uu_ref, uc_ref)]

    def position(t):
        by_gates = [ref[t, :, :] for ref in (by_r_ref, by_u_ref, by_c_ref)]
        return cotangents_ref[t, :, :], by_gates, directly_ref[t, :, :], reset_ref[t, :][:, None] > 0

    def body(n, carry):
        t = length - 1 - n
        d_state, (cotangent, by_gates, directly, is_start) = carry
        ahead = position(jnp.maximum(t - 1, 0))
        d_state += cotangent
        d_states_ref[t, :, :] = d_state
        d_before = directly * d_state
        for by, kernel in zip(by_gates, kernels, strict=True):
            d_before += gpu.dot(by * d_state, kernel)
        return jnp.where(is_start, 0.0, d_before), ahead

    lax.fori_loop(0, length, body, (jnp.zeros((rows, hidden), jnp.float32), position(length - 1)))
