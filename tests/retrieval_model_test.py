"""The towers: the memory of what was said no to against NumPy, one event at a time against whole rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from retrieval.aversion import AversionMemory
from retrieval.model import TwoTower

NO = 6  # place of the bit that says no
DIM, ITEMS = 4, 9


def tower(memory_bits=(NO,), seed=0) -> TwoTower:
    features = np.stack([np.arange(ITEMS + 1) % 3, np.minimum(np.arange(ITEMS + 1), 4)], axis=1)
    model = TwoTower(
        features,
        [3, 5],
        np.arange(ITEMS + 1) > 0,
        dim=DIM,
        hidden=5,
        input_bits=[NO],
        memory_bits=memory_bits,
        dropout=0.0,
        rngs=nnx.Rngs(seed),
    )
    if memory_bits:
        model.aversion.value_kernel[...] = jax.random.normal(jax.random.key(1), (DIM, DIM))
    return model


def histories(rng, rows=3, length=7):
    item = rng.integers(1, ITEMS + 1, (rows, length)).astype(np.int32)
    feedback = (rng.integers(0, 2, (rows, length)) << NO).astype(np.int32)
    return {"item": item, "dwell": rng.integers(1, 10, (rows, length)).astype(np.int32), "feedback": feedback}


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def test_memory_is_replaced_by_a_no_and_fades_otherwise():
    memory = AversionMemory(2)
    memory.write[...], memory.keep[...] = jnp.array([0.0, 1.0]), jnp.array([2.0, -1.0])
    old, item = np.array([[1.0, -2.0], [1.0, -2.0]]), np.array([[4.0, 4.0], [4.0, 4.0]])
    write, keep = sigmoid([0.0, 1.0]), sigmoid([2.0, -1.0])
    after = memory.step(jnp.asarray(old), jnp.asarray(item), jnp.array([True, False]))
    np.testing.assert_allclose(after, [(1 - write) * old[0] + write * item[0], keep * old[1]], rtol=1e-6)


def test_forgetting_takes_out_as_much_as_the_query_holds():
    memory = AversionMemory(3)
    direction = np.array([1.0, 0.0, 0.0])
    memory.key_kernel[...], memory.value_kernel[...] = jnp.eye(3), jnp.eye(3)
    queries = np.array([[5.0, 1.0, 2.0], [50.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    forgotten = memory.forget(jnp.asarray(queries), jnp.broadcast_to(direction, (3, 3)))
    np.testing.assert_allclose(forgotten, queries * [0.0, 1.0, 1.0])  # all of it, however much it was
    np.testing.assert_array_equal(memory.forget(jnp.asarray(queries), jnp.zeros((3, 3))), queries)


def test_a_new_memory_has_no_effect_yet_and_can_learn_one():
    memory = AversionMemory(3)
    queries, held = jnp.ones((2, 3)), jnp.ones((2, 3))
    np.testing.assert_array_equal(memory.forget(queries, held), queries)
    gradient = nnx.grad(lambda m: m.forget(queries, held).sum())(memory)
    assert np.abs(gradient["value_kernel"][...]).min() > 0


@pytest.mark.parametrize("memory_bits", [(), (NO,)])
def test_one_event_at_a_time_is_the_whole_history(memory_bits):
    model, inputs = tower(memory_bits), histories(np.random.default_rng(0))
    inputs["item"][1, 4:] = inputs["item"][2, 2] = 0  # padding at the end, and in between
    vectors = model.items()
    whole = model.queries(model.states({k: jnp.asarray(v) for k, v in inputs.items()}, vectors))
    state = jnp.zeros((3, model.state_size))
    for t in range(inputs["item"].shape[1]):
        state = model.step(state, vectors, *(jnp.asarray(inputs[k][:, t]) for k in ("item", "dwell", "feedback")))
        np.testing.assert_allclose(model.queries(state), whole[:, t], atol=1e-5)


def test_a_packed_row_starts_each_window_without_a_memory():
    model, inputs = tower(), histories(np.random.default_rng(1), rows=2, length=4)
    inputs["feedback"][0, :] = 1 << NO
    apart = model.states({k: jnp.asarray(v) for k, v in inputs.items()}, model.items())  # [2, 4, state]
    packed = {k: jnp.asarray(v.reshape(1, 8)) for k, v in inputs.items()}
    packed["reset"] = jnp.asarray([[True, False, False, False] * 2])
    together = model.states(packed, model.items())
    np.testing.assert_allclose(together.reshape(apart.shape), apart, atol=1e-6)


def test_the_gru_alone_has_no_memory_in_its_state():
    assert tower(()).state_size == 5
    assert tower((NO,)).state_size == 5 + DIM
