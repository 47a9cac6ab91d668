"""The GRU against a float64 NumPy GRU, with padding, resets and one event at a time."""

import jax
import numpy as np
import pytest
from flax import nnx

from nn import gru_kernels
from nn.gru import GRU

B, T, IN, H = 3, 7, 4, 5


@pytest.fixture(scope="module")
def gru():
    """With random biases too: they start at zero."""
    gru, rng = GRU(IN, H, rngs=nnx.Rngs(0)), np.random.default_rng(0)
    for bias in (gru.input_bias, gru.recurrent_bias):
        bias[...] = rng.normal(size=3 * H).astype(np.float32)
    return gru


FORMS = ["cpu", "gpu", "kernels"]


def set_form(patch, form):
    """From now on the GRU is traced in the form that a kind of device has; kernels as plain JAX, in two programs."""
    if form == "kernels":
        patch.setattr(gru_kernels, "suit", lambda hidden: True)
        patch.setattr(gru_kernels, "_ROWS", 2)
    else:
        patch.setattr(jax, "default_backend", lambda: form)


@pytest.fixture(scope="module", params=FORMS)
def call(gru, request):
    """In each form; that which trains is the kernels' alone."""
    graph, params = nnx.split(gru)

    @jax.jit
    def compiled(inputs, where, reset):
        def states(inputs):
            return nnx.merge(graph, params)(inputs, where=where, reset=reset)

        return jax.vjp(states, inputs)[0] if request.param == "kernels" else states(inputs)

    none = np.zeros((B, T), bool)
    with pytest.MonkeyPatch.context() as patch:
        set_form(patch, request.param)
        yield lambda inputs, where=~none, reset=none: compiled(inputs, where, reset)


def reference(gru, inputs, state=None):
    """States after each position of one sequence [T, I]: PyTorch's equations, gate by gate, in float64."""
    w, u = np.float64(gru.input_kernel[...]), np.float64(gru.recurrent_kernel[...])
    b, d = np.float64(gru.input_bias[...]), np.float64(gru.recurrent_bias[...])
    r, z, n = (slice(i * H, (i + 1) * H) for i in range(3))
    h, states = np.zeros(H) if state is None else state, []
    for x in np.asarray(inputs, np.float64):
        reset = 1 / (1 + np.exp(-(x @ w[:, r] + b[r] + h @ u[:, r] + d[r])))
        keep = 1 / (1 + np.exp(-(x @ w[:, z] + b[z] + h @ u[:, z] + d[z])))
        new = np.tanh(x @ w[:, n] + b[n] + reset * (h @ u[:, n] + d[n]))
        h = (1 - keep) * new + keep * h
        states.append(h)
    return np.array(states)


def random_inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(B, T, IN)).astype(np.float32)


def test_equations(gru, call):
    inputs = random_inputs()
    np.testing.assert_allclose(call(inputs), [reference(gru, row) for row in inputs], atol=1e-6)
    np.testing.assert_array_equal(gru(inputs, where=np.ones((B, T), bool)).shape, (B, T, H))  # without `reset`


def test_one_step_at_a_time_is_the_same(gru, call):
    inputs = random_inputs()
    state, states = jax.numpy.zeros((B, gru.hidden)), []
    for position in range(T):
        state = gru.step(state, inputs[:, position])
        states.append(state)
    np.testing.assert_allclose(np.stack(states, axis=1), call(inputs), atol=1e-6)


def test_padding_anywhere_leaves_the_state(gru, call):
    inputs = random_inputs()
    where = np.array([[1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]], bool)
    states = call(inputs, where)
    for row in range(B):
        events = reference(gru, inputs[row, where[row]])
        expected = np.concatenate([np.zeros((1, H)), events.reshape(-1, H)])[np.cumsum(where[row])]
        np.testing.assert_allclose(states[row], expected, atol=1e-6)
    np.testing.assert_array_equal(states[0, 3:], np.broadcast_to(states[0, 3], (4, H)))  # to the bit
    np.testing.assert_array_equal(states[2], 0.0)


def test_reset_starts_from_nothing(gru, call):
    inputs = random_inputs()
    where, reset = np.ones((B, T), bool), np.zeros((B, T), bool)
    reset[0, [0, 3, 4]] = True
    reset[1, 2], where[1, 2] = True, False  # starts with a position that reads nothing
    states = call(inputs, where, reset)
    expected = np.concatenate([reference(gru, inputs[0, part]) for part in (slice(3), slice(3, 4), slice(4, T))])
    np.testing.assert_allclose(states[0], expected, atol=1e-6)
    np.testing.assert_array_equal(states[1, 2], 0.0)
    np.testing.assert_allclose(states[1, 3:], reference(gru, inputs[1, 3:]), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_flows_back_from_padding_or_across_a_reset(gru, monkeypatch, form):
    set_form(monkeypatch, form)
    where, reset = np.ones((B, T), bool), np.zeros((B, T), bool)
    where[0, 2] = False
    reset[1, 4] = True
    gradient = jax.jit(jax.grad(lambda inputs: gru(inputs, where=where, reset=reset)[:, -1].sum()))(random_inputs())
    flows = np.any(gradient != 0, axis=-1)
    np.testing.assert_array_equal(flows[0], where[0])
    np.testing.assert_array_equal(flows[1], np.arange(T) >= 4)
    assert flows[2].all()


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_one_step_at_a_time(gru, monkeypatch, form):
    set_form(monkeypatch, form)
    graph, params = nnx.split(gru)
    rng = np.random.default_rng(1)
    where, reset = rng.random((B, T)) < 0.7, rng.random((B, T)) < 0.3
    cotangents = rng.normal(size=(B, T, H)).astype(np.float32)

    def at_once(params, inputs):
        return (nnx.merge(graph, params)(inputs, where=where, reset=reset) * cotangents).sum()

    def step_by_step(params, inputs):
        gru, total = nnx.merge(graph, params), 0.0
        state = jax.numpy.zeros((B, gru.hidden))
        for t in range(T):
            state = jax.numpy.where(reset[:, t, None], 0.0, state)
            state = jax.numpy.where(where[:, t, None], gru.step(state, inputs[:, t]), state)
            total += (state * cotangents[:, t]).sum()
        return total

    ours, expected = (jax.grad(f, argnums=(0, 1))(params, random_inputs()) for f in (at_once, step_by_step))
    for gradient, right in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert np.abs(right).max() > 0.1
        np.testing.assert_allclose(gradient, right, rtol=1e-5, atol=1e-5)
