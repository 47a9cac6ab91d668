"""The schedule is its formula; clipping and decay touch what they should."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.helpers.plain_optimizer import plain_optimizer
from training.optimizer import warmup_cosine


def test_schedule_warms_up_then_follows_a_cosine():
    schedule = warmup_cosine(learning_rate=2.0, total_steps=14, warmup_steps=4, final_fraction=0.1)
    np.testing.assert_allclose([schedule(s) for s in range(4)], [0.5, 1.0, 1.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(schedule(9), 2.0 * (0.1 + 0.9 * 0.5), rtol=1e-6)  # halfway, cos(pi / 2) = 0
    np.testing.assert_allclose([schedule(14), schedule(99)], [0.2, 0.2], rtol=1e-6)


def test_schedule_without_warmup_or_decay_is_constant():
    schedule = warmup_cosine(learning_rate=0.3, total_steps=5, final_fraction=1.0)
    np.testing.assert_allclose([schedule(s) for s in range(7)], [0.3] * 7, rtol=1e-6)


def test_warmup_longer_than_training():
    with pytest.raises(ValueError, match="warmup_steps=6"):
        warmup_cosine(learning_rate=1.0, total_steps=5, warmup_steps=6)


def updates(grads, params, **options):
    optimizer = plain_optimizer(learning_rate=0.1, total_steps=10, final_fraction=1.0, **options)
    return optimizer.update(grads, optimizer.init(params), params)[0]


def test_only_matrices_decay():
    params = {"matrix": jnp.full((2, 2), 3.0), "vector": jnp.full(2, 3.0)}
    zeros = {"matrix": jnp.zeros((2, 2)), "vector": jnp.zeros(2)}
    change = updates(zeros, params, weight_decay=0.5)
    np.testing.assert_allclose(change["matrix"], np.full((2, 2), -0.1 * 0.5 * 3.0), rtol=1e-6)
    np.testing.assert_array_equal(change["vector"], np.zeros(2))


def test_the_first_expression_found_in_a_name_decides_its_decay():
    params = {name: jnp.full((2, 2), 3.0) for name in ("user_embedding", "item_embedding", "kernel")}
    params["embedding_gain"] = jnp.full(2, 3.0)
    decays = (("^user_", 2.0), ("embedding", 0.25))
    change = updates({k: jnp.zeros_like(v) for k, v in params.items()}, params, weight_decay=0.5, decays=decays)
    for name, decay in (("user_embedding", 2.0), ("item_embedding", 0.25), ("kernel", 0.5), ("embedding_gain", 0.0)):
        np.testing.assert_allclose(change[name], np.full(params[name].shape, -0.1 * decay * 3.0), rtol=1e-6)


def test_gradients_are_clipped_by_their_global_norm():
    # Adam's first moment is at first a tenth of the gradient it was given, (30, 40) / 50.
    optimizer = plain_optimizer(learning_rate=0.1, total_steps=10, clip_norm=1.0)
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    _, state = optimizer.update({"a": jnp.array([30.0]), "b": jnp.array([40.0])}, optimizer.init(params), params)
    moment = optax.tree_utils.tree_get(state, "mu")
    np.testing.assert_allclose([moment["a"][0], moment["b"][0]], [0.06, 0.08], rtol=1e-6)


@pytest.mark.parametrize(("total", "warmup"), [(8, 2), (400, 100), (3, 0)])  # of 100 asked for
def test_a_short_training_warms_up_for_a_quarter_of_its_steps(total, warmup):
    optimizer = plain_optimizer(learning_rate=1.0, total_steps=total, warmup_steps=100, final_fraction=1.0)
    parameters = {"x": jnp.zeros(())}
    state = optimizer.init(parameters)
    for step in range(total):
        update, state = optimizer.update({"x": jnp.ones(())}, state, parameters)
        # Adam's step of a constant gradient is the rate.
        np.testing.assert_allclose(-update["x"], min(1.0, (step + 1) / max(warmup, 1)), rtol=1e-4)
