"""The towers: the memory of what was said no to against NumPy, one event at a time against whole rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from data.items.content import ItemContent
from retrieval.aversion import AversionMemory
from retrieval.model import TwoTower

NO, YES = 6, 2  # places of the bits that say no and yes
DIM, ITEMS = 4, 9


def tower(memory_bits=(NO,), seed=0, trends=None) -> TwoTower:
    codes = np.stack([np.arange(ITEMS + 1) % 3, np.minimum(np.arange(ITEMS + 1), 4)], axis=1)
    model = TwoTower(
        ItemContent(codes, (0, 1), ("creator", "cluster"), (3, 5), np.zeros((ITEMS + 1, 0), np.float32), ()),
        np.arange(ITEMS + 1) > 0,
        dim=DIM,
        hidden=5,
        input_bits=[NO],
        memory_bits=memory_bits,
        forgiving_bits=[YES],
        memory_size=2,
        dropout=0.0,
        trends=trends,
        rngs=nnx.Rngs(seed),
    )
    if memory_bits:
        model.aversion.erased[...] = jnp.full((), 0.7)
        model.aversion.key_kernel[...] += 0.3 * jax.random.normal(jax.random.key(1), (DIM, DIM))
    return model


def histories(rng, rows=3, length=7):
    item = rng.integers(1, ITEMS + 1, (rows, length)).astype(np.int32)
    feedback = sum(rng.integers(0, 2, (rows, length)) << bit for bit in (NO, YES)).astype(np.int32)
    return {"item": item, "dwell": rng.integers(1, 10, (rows, length)).astype(np.int32), "feedback": feedback}


def remembering(size=3, dim=DIM, forgets=True) -> AversionMemory:
    """A memory whose keys are the items themselves, which forgets all of a direction, or nothing yet."""
    memory = AversionMemory(dim, size)
    memory.ridge[...] = jnp.full((), -50.0)  # the least
    if forgets:
        memory.erased[...] = jnp.full((), dim**-0.5)
    return memory


def everywhere(rows):
    """All places of rows [B, T], of one shard: [1, B * T]."""
    return jnp.arange(rows.size)[None]


def after(memory, *events):
    """The memory [1, ...] after events (vector, said_no, said_yes), one after the other."""
    state = jnp.zeros((1, memory.state_size))
    for vector, said_no, said_yes in events:
        state = memory.step(state, jnp.asarray([vector], jnp.float32), jnp.array([said_no]), jnp.array([said_yes]))
    return state


A, B, C, D = np.eye(4)


def no(vector):
    return vector, True, False


def yes(vector):
    return vector, False, True


def neither(vector):
    return vector, False, False


def test_every_direction_said_no_to_is_forgotten_however_much_the_query_holds_of_it():
    memory = remembering()
    state = after(memory, no(3 * A), neither(C), no(0.1 * B))
    for query in ([5.0, 1.0, 2.0, 3.0], [50.0, -10.0, 2.0, 3.0]):
        forgotten = memory.forget(jnp.asarray([query]), state)
        np.testing.assert_allclose(forgotten, [[0.0, 0.0, 2.0, 3.0]], atol=0.1)  # λ = 1/1000 of 50


def test_a_no_said_again_changes_nothing():
    memory, query = remembering(size=4), jnp.asarray([[5.0, 1.0, 2.0, 3.0]])
    once = memory.forget(query, after(memory, no(A), no(B)))
    again = memory.forget(query, after(memory, no(A), no(B), no(2 * A), no(B)))
    np.testing.assert_allclose(again, once, atol=0.02)


def test_slanted_directions_are_forgotten_as_the_plane_they_span():
    memory, query = remembering(), np.array([[1.0, 2.0, 3.0, 4.0]])
    slanted = (A + B) / 2**0.5
    forgotten = memory.forget(jnp.asarray(query), after(memory, no(A), no(slanted)))
    np.testing.assert_allclose(forgotten, [[0.0, 0.0, 3.0, 4.0]], atol=0.02)


def test_the_oldest_no_makes_room():
    memory = remembering(size=2)
    forgotten = memory.forget(jnp.ones((1, 4)), after(memory, no(A), no(B), no(C)))
    np.testing.assert_allclose(forgotten, [[1.0, 0.0, 0.0, 1.0]], atol=0.02)


def test_a_yes_takes_back_what_it_is_like():
    memory = remembering()
    memory.yes_rate[...] = jnp.zeros(())  # b = 1/2
    slots = memory.slots(after(memory, no(A), no(B), yes(A), neither(B)))
    np.testing.assert_allclose(slots.strength, [[1.0, 0.5, 0.0]], atol=1e-2)  # B, then A
    slanted = (A + B) / 2**0.5  # half of each: cos⁴ = 1/4
    slots = memory.slots(after(memory, no(A), no(B), yes(slanted)))
    np.testing.assert_allclose(slots.strength, [[0.875, 0.875, 0.0]], atol=1e-5)


def test_what_is_liked_and_said_no_to_is_a_no():
    memory = remembering()
    slots = memory.slots(after(memory, no(A), (A, True, True)))
    np.testing.assert_allclose(slots.strength, [[1.0, 1.0, 0.0]])


def test_an_empty_memory_forgets_nothing_and_a_new_one_can_learn_to():
    memory, queries = remembering(forgets=False), jnp.ones((1, DIM))
    held = after(memory, no(A))
    np.testing.assert_array_equal(remembering().forget(queries, jnp.zeros((1, memory.state_size))), queries)
    np.testing.assert_array_equal(memory.forget(queries, held), queries)
    gradient = nnx.grad(lambda m: m.forget(queries, held).sum())(memory)
    np.testing.assert_allclose(gradient["erased"][...], -(DIM**0.5), rtol=2e-3)


def test_gradients_are_finite_where_slots_are_empty():
    memory = remembering()
    items = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, DIM)), jnp.float32).at[0].set(0.0)
    nothing, everything = jnp.zeros((2, 5), bool), jnp.ones((2, 5), bool)

    def total(m, said_no, said_yes):
        state = m.after(everywhere(everything), items, said_no, said_yes, where=everything, reset=nothing)
        return (m.forget(items.reshape(-1, DIM), state) ** 2).sum()

    for said_no, said_yes in ((nothing, everything), (everything, nothing), (everything, everything)):
        gradient = nnx.grad(total)(memory, said_no, said_yes)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("memory_bits", [(), (NO,)])
def test_one_event_at_a_time_is_the_whole_history(memory_bits):
    model, inputs = tower(memory_bits), histories(np.random.default_rng(0))
    inputs["item"][1, 4:] = inputs["item"][2, 2] = 0  # padding at the end, and in between
    vectors = model.items()
    states = model.states({k: jnp.asarray(v) for k, v in inputs.items()}, vectors, at=everywhere(inputs["item"]))
    whole = model.queries(states).reshape(*inputs["item"].shape, DIM)
    state = jnp.zeros((3, model.state_size))
    for t in range(inputs["item"].shape[1]):
        state = model.step(state, vectors, *(jnp.asarray(inputs[k][:, t]) for k in ("item", "dwell", "feedback")))
        np.testing.assert_allclose(model.queries(state), whole[:, t], atol=1e-5)


def test_a_packed_row_starts_each_window_without_a_memory():
    model, inputs = tower(), histories(np.random.default_rng(1), rows=2, length=4)
    inputs["feedback"][0, :] = 1 << NO
    at = everywhere(inputs["item"])
    apart = model.states({k: jnp.asarray(v) for k, v in inputs.items()}, model.items(), at=at)  # [8, state]
    packed = {k: jnp.asarray(v.reshape(1, 8)) for k, v in inputs.items()}
    packed["reset"] = jnp.asarray([[True, False, False, False] * 2])
    together = model.states(packed, model.items(), at=at)
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_states_at_places_of_shards_are_those_of_the_whole_rows():
    model, inputs = tower(), histories(np.random.default_rng(2), rows=4, length=5)
    given = {k: jnp.asarray(v) for k, v in inputs.items()}
    whole = model.states(given, model.items(), at=everywhere(inputs["item"])).reshape(4, 5, -1)
    at = jnp.asarray([[0, 3, 9], [4, 5, 5]])  # of two rows each
    expected = [whole[0, 0], whole[0, 3], whole[1, 4], whole[2, 4], whole[3, 0], whole[3, 0]]
    np.testing.assert_allclose(model.states(given, model.items(), at=at), expected, atol=1e-6)


def test_the_gradient_of_what_is_forgotten_is_that_of_the_formula():
    """Of q ← q − √D c Wᵀ Kᵀ (K Kᵀ + λ I)⁻¹ K W q, with every inverse NumPy's, by differences."""
    memory = remembering(size=3)
    memory.ridge[...] = jnp.full((), 0.5)
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(3, DIM))
    query, weight = rng.normal(size=(1, DIM)), rng.normal(size=(1, DIM))

    def by_formula(w):
        keys = vectors @ w / np.linalg.norm(vectors @ w, axis=1, keepdims=True)
        gram = keys @ keys.T + (1e-3 + np.log1p(np.exp(0.5))) * np.eye(3)
        erased = DIM**0.5 * float(memory.erased[...])
        return (weight * (query - erased * (query @ w @ keys.T @ np.linalg.inv(gram) @ keys @ w.T))).sum()

    def of_memory(memory):
        return (jnp.asarray(weight) * memory.forget(jnp.asarray(query), after(memory, *map(no, vectors)))).sum()

    gradient = nnx.grad(of_memory)(memory)
    step, eye = 1e-5, np.eye(DIM)
    differences = [
        [
            (by_formula(eye + step * np.outer(a, b)) - by_formula(eye - step * np.outer(a, b))) / (2 * step)
            for b in np.eye(DIM)
        ]
        for a in np.eye(DIM)
    ]
    np.testing.assert_allclose(gradient["key_kernel"][...], differences, rtol=1e-3, atol=1e-3)


def test_the_gru_alone_has_no_memory_in_its_state():
    assert tower(()).state_size == 5
    assert tower((NO,)).state_size == 5 + 2 * (DIM + 1)
