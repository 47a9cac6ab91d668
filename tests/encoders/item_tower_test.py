"""Item vectors: means over an item's codes, what was never trained, and content that alone tells who likes what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from data.items.content import ItemContent
from encoders.item_content import shares, standard_of, trained_codes
from encoders.item_tower import ItemTower
from encoders.new_items import NewItems

DIM = 4


def content(codes, owner, embeddings=None, sizes=()):
    codes = np.asarray(codes, np.int32)
    sizes_of = [1 + int(codes[:, np.asarray(owner) == f].max()) for f in dict.fromkeys(owner)]
    embeddings = np.zeros((len(codes), 0), np.float32) if embeddings is None else np.asarray(embeddings, np.float32)
    names = tuple(map(str, dict.fromkeys(owner)))
    return ItemContent(codes, tuple(owner), names, tuple(sizes_of), embeddings, sizes)


def test_several_codes_weigh_alike_and_padding_nothing():
    found = shares(np.array([[0, 0, 0], [3, 0, 1], [3, 4, 0], [0, 2, 5]]), (0, 0, 1))
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 0, 1], [0.5, 0.5, 0], [0, 1, 1]])


def test_a_code_is_known_wherever_in_its_feature_training_saw_it():
    codes = np.array([[0, 0], [1, 2], [2, 3], [3, 1]])
    seen = np.array([False, True, False, False])
    np.testing.assert_array_equal(trained_codes(codes, seen, (0, 0)), [[0, 0], [1, 2], [2, 0], [0, 1]])
    np.testing.assert_array_equal(trained_codes(codes, seen), [[0, 0], [1, 2], [0, 0], [0, 0]])


def test_item_vectors_are_the_sum_over_features_of_means_over_codes():
    codes = [[0, 0, 0], [1, 2, 1], [2, 0, 1], [1, 3, 2]]  # 3 and the 2 of the second feature are of no trained item
    seen = np.array([False, True, True, False])
    tower = ItemTower(content(codes, (0, 0, 1)), seen, dim=DIM, rngs=nnx.Rngs(0))
    first, second = (np.asarray(table[...]) for table in tower.feature_embeddings)
    ids = np.asarray(tower.id_embedding[...])
    expected = [0 * ids[0], ids[1] + (first[1] + first[2]) / 2 + second[1], ids[2] + first[2] + second[1], first[1]]
    np.testing.assert_allclose(tower(), expected, rtol=1e-6)


def standardised(embeddings, sizes, seen):
    of_items = content(np.zeros((len(embeddings), 0)), (), embeddings, sizes)
    return standard_of(of_items, seen)(of_items.embeddings)


def test_embeddings_have_mean_0_and_mean_square_norm_1_over_what_was_seen():
    rng = np.random.default_rng(0)
    look = 100 + 30 * rng.normal(size=(9, 3))
    sound = rng.normal(size=(9, 2)) * 1e30
    look[[0, 4]], sound[[0, 5]] = 0, 0  # padding, and items whose embedding is unknown
    seen = np.arange(9) > 2
    found = standardised(np.concatenate([look, sound], axis=1), (3, 2), seen)
    for part, raw, missing in ((found[:, :3], look, 4), (found[:, 3:], sound, 5)):
        known = [row for row in range(3, 9) if row != missing]
        unit = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)
        centred = unit - unit[known].mean(axis=0)
        expected = centred / np.sqrt((centred[known] ** 2).sum(axis=1).mean())
        expected[[0, missing]] = 0
        np.testing.assert_allclose(part, expected, rtol=1e-3, atol=1e-4)
    unseen = standardised(look, (3,), np.zeros(9, bool))
    np.testing.assert_array_equal(unseen, np.zeros((9, 3)))  # nobody to learn from
    assert not standardised(np.ones((9, 3)), (3,), seen).any()  # all are alike


def test_a_new_item_is_what_the_catalogues_would_be_without_events():
    rng = np.random.default_rng(0)
    codes = [[0, 0, 0], [1, 2, 1], [2, 0, 1], [1, 3, 2], [3, 2, 1], [2, 1, 0]]
    look = rng.normal(size=(6, 3)) * [[0], [1], [1], [1], [1], [0]]
    of_items = content(codes, (0, 0, 1), look, (3,))
    seen = np.arange(6) == [[1], [2]]
    tower = ItemTower(of_items, seen.any(axis=0), dim=DIM, rngs=nnx.Rngs(0))
    tower.projection[...] = jnp.asarray(rng.normal(size=(3, DIM)), jnp.float32)
    new = NewItems(of_items, seen.any(axis=0))
    found = new(tower, jnp.asarray(codes, jnp.int32), jnp.asarray(look, jnp.float32))
    np.testing.assert_allclose(found[3:], tower()[3:], rtol=1e-5, atol=1e-6)
    # Codes that the catalogue does not have are unknown, as those without events are.
    unheard = new(tower, jnp.array([[99, -1, 7]]), jnp.zeros((1, 3)))
    np.testing.assert_array_equal(unheard, np.zeros((1, DIM)))


GROUPS, NUM_ITEMS, NEW = 3, 30, 12


def planted(kind):
    """Items whose group, j mod 3, is in one part of the content, and in another part nothing."""
    rng = np.random.default_rng(0)
    group = np.arange(NUM_ITEMS + 1) % GROUPS
    by_lot = rng.integers(1, 5, NUM_ITEMS + 1)
    codes = np.stack([by_lot, np.where(kind == "second category", 5 + group, 0)], axis=1)
    codes[0] = 0
    look = (10 + np.eye(5)[group] + 0.1 * rng.normal(size=(NUM_ITEMS + 1, 5))) * (kind == "embedding")
    return content(codes, (0, 0), np.where(np.arange(NUM_ITEMS + 1)[:, None] > 0, look, 0), (5,))


class Likes(nnx.Module):
    """Scores of all items for somebody who likes a group."""

    def __init__(self, kind, seen):
        self.items = ItemTower(planted(kind), seen, dim=DIM, rngs=nnx.Rngs(1))
        self.users = nnx.Param(0.1 * jax.random.normal(jax.random.key(0), (GROUPS, DIM)))

    def __call__(self):
        return self.users[...] @ self.items().T  # [groups, rows]


@pytest.mark.parametrize("kind", ["second category", "embedding"])
def test_a_group_that_one_part_of_the_content_tells_is_learned(kind):
    assert share_in_order(kind) > 0.85 > 0.7 > share_in_order("neither")


def share_in_order(kind):
    """How often a new item of the liked group is above a new one of another, after 60 steps on the other items."""
    index = np.arange(NUM_ITEMS + 1)
    seen = (index > 0) & (index <= NUM_ITEMS - NEW)
    model = Likes(kind, seen)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    liked = jnp.asarray((index % GROUPS == np.arange(GROUPS)[:, None]) & seen)
    optimizer = optax.adam(0.05)

    def loss(params):
        log_p = jax.nn.log_softmax(nnx.merge(graph, params, rest)()[:, 1:])
        return -jnp.where(liked[:, 1:], log_p, 0).sum() / liked.sum()

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(60):
        params, state = step(params, state)
    scores = np.asarray(nnx.merge(graph, params, rest)())[:, NUM_ITEMS + 1 - NEW :]
    own = index[NUM_ITEMS + 1 - NEW :] % GROUPS == np.arange(GROUPS)[:, None]
    above = [(row[mine][:, None] > row[~mine]).mean() for row, mine in zip(scores, own, strict=True)]
    return float(np.mean(above))
