"""Multi-layer perceptrons, alone and side by side."""

import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from nn.dropout import Dropout
from nn.products import as_batch_of_one


class MLP(nnx.Module):
    """x → W_n ReLU(… ReLU(W_1 x + b_1) …) + b_n, over the last axis; no activation after the last layer.

    With `dropout` each hidden layer's outputs are dropped with that probability, in calls that give `dropout_rngs`.
    """

    def __init__(self, sizes: Sequence[int], *, rngs: nnx.Rngs, dropout: float = 0.0):
        """`sizes`: features in, of each hidden layer, and out. Errors: ValueError for fewer than two sizes."""
        self.layers = nnx.List(
            [
                nnx.Linear(n_in, n_out, kernel_init=_init(scale), dot_general=as_batch_of_one, rngs=rngs)
                for n_in, n_out, scale in _layers(sizes)
            ]
        )
        self.dropout = Dropout(dropout)

    def __call__(self, x: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """[..., sizes[0]] -> [..., sizes[-1]]."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(jax.nn.relu(layer(x)), dropout_rngs)
        return last(x)


class MLPs(nnx.Module):
    """N perceptrons like `MLP`, of the same sizes, side by side.

    Each is too narrow to be fast alone; here each layer is one product for all of them.
    """

    def __init__(self, count: int, sizes: Sequence[int], *, rngs: nnx.Rngs, dropout: float = 0.0):
        """`count` N; `sizes` and `dropout` as `MLP` has them. Errors: ValueError for fewer than two sizes."""
        self.kernels = nnx.List(
            [
                nnx.Param(_init(scale, batch_axis=0)(rngs.params(), (count, n_in, n_out)))
                for n_in, n_out, scale in _layers(sizes)
            ]
        )
        # Vectors: of matrices the optimizer makes the weights decay.
        self.biases = nnx.List([nnx.Param(jnp.zeros(count * n_out)) for _, n_out, _ in _layers(sizes)])
        self.dropout = Dropout(dropout)

    def __call__(self, x: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """x [..., N, sizes[0]], or [..., 1, sizes[0]] where all read the same -> [..., N, sizes[-1]]."""
        last = len(self.kernels) - 1
        for place, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = _products(x, kernel[...]) + bias[...].reshape(len(kernel[...]), -1)
            if place < last:
                x = self.dropout(jax.nn.relu(x), dropout_rngs)
        return x


def _products(x: jax.Array, kernels: jax.Array) -> jax.Array:
    # x W_n: [..., N or 1, I] and [N, I, O] -> [..., N, O].
    count, n_in, n_out = kernels.shape
    if x.shape[-2] == count:
        return jnp.einsum("...ni,nio->...no", x, kernels)
    joined = kernels.swapaxes(0, 1).reshape(n_in, count * n_out)
    product = as_batch_of_one(x[..., 0, :], joined, (((x.ndim - 2,), (0,)), ((), ())))
    return product.reshape(*x.shape[:-2], count, n_out)


def _layers(sizes: Sequence[int]) -> Iterator[tuple[int, int, float]]:
    # What goes into and comes out of each layer, and the scale of its start: twice as large before a ReLU.
    if len(sizes) < 2:
        raise ValueError(f"sizes {tuple(sizes)}: at least what goes in and what comes out")
    pairs = list(itertools.pairwise(sizes))
    return ((*pair, 2.0 if place < len(pairs) - 1 else 1.0) for place, pair in enumerate(pairs))


def _init(scale: float, **axes: int) -> nnx.Initializer:
    return nnx.initializers.variance_scaling(scale, "fan_in", "truncated_normal", **axes)
