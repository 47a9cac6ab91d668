"""A product as a batch of one: what lax.dot_general gives, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nn.products import as_batch_of_one


@pytest.mark.parametrize("leading", [(7,), (3, 5), (2, 3, 4)])
def test_it_is_the_product_of_a_linear_layer_with_its_gradients(leading):
    rng = np.random.default_rng(0)
    x, seed = (rng.normal(size=(*leading, size)).astype(np.float32) for size in (6, 4))
    plain = nnx.Linear(6, 4, rngs=nnx.Rngs(0))
    other = nnx.Linear(6, 4, dot_general=as_batch_of_one, rngs=nnx.Rngs(0))

    def outcome(layer, x):
        return jax.value_and_grad(lambda layer, x: jnp.sum(layer(x) * seed), argnums=(0, 1))(layer, x)

    for found, expected in zip(jax.tree.leaves(outcome(other, x)), jax.tree.leaves(outcome(plain, x)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_other_axes_are_refused():
    with pytest.raises(ValueError, match="only x's last axis with the kernel's first"):
        as_batch_of_one(jnp.ones((3, 3)), jnp.ones((3, 3)), (((0,), (0,)), ((), ())))
