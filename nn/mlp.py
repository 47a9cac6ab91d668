"""A multi-layer perceptron."""

import itertools
from collections.abc import Sequence

import jax
from flax import nnx

from nn.dropout import Dropout
from nn.products import as_batch_of_one


class MLP(nnx.Module):
    """x → W_n ReLU(… ReLU(W_1 x + b_1) …) + b_n, over the last axis; no activation after the last layer.

    With `dropout` each hidden layer's outputs are dropped with that probability, in calls that give `dropout_rngs`.
    """

    def __init__(self, sizes: Sequence[int], *, rngs: nnx.Rngs, dropout: float = 0.0):
        """`sizes`: features in, of each hidden layer, and out. Errors: ValueError for fewer than two sizes."""
        if len(sizes) < 2:
            raise ValueError(f"sizes {tuple(sizes)}: at least what goes in and what comes out")
        he = nnx.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
        last = len(sizes) - 2
        inits = [he] * last + [nnx.initializers.lecun_normal()]
        self.layers = nnx.List(
            [
                nnx.Linear(n_in, n_out, kernel_init=init, dot_general=as_batch_of_one, rngs=rngs)
                for init, (n_in, n_out) in zip(inits, itertools.pairwise(sizes), strict=True)
            ]
        )
        self.dropout = Dropout(dropout)

    def __call__(self, x: jax.Array, *, dropout_rngs: nnx.Rngs | None = None) -> jax.Array:
        """[..., sizes[0]] -> [..., sizes[-1]]."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(jax.nn.relu(layer(x)), dropout_rngs)
        return last(x)
