"""Hashed ids: stable, spread evenly, no more collisions than chance has, rows for an id nobody has heard of."""

import math

import numpy as np
import pytest
from flax import nnx

from data.items.content import ItemContent
from encoders import item_tower
from encoders.hashed_ids import hashed_rows
from encoders.item_tower import ItemTower
from training.names import named_leaves

D, ROWS, HASHES = 4, 50, 2


def test_the_hash_is_that_of_its_definition():
    def fnv(text):
        digest = 0xCBF29CE484222325
        for byte in text.encode():
            digest = (digest ^ byte) * 0x100000001B3 % 2**64
        return digest

    def mixed(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    ids = ["", "a", "item-17", "Łódź", "9" * 40]
    expected = [[mixed((fnv(i) + k * 0x9E3779B97F4A7C15) % 2**64) % 1000 for k in range(3)] for i in ids]
    np.testing.assert_array_equal(hashed_rows(ids, rows=1000, hashes=3), expected)
    np.testing.assert_array_equal(hashed_rows([17, 5], rows=99, hashes=2), hashed_rows(["17", "5"], rows=99, hashes=2))
    with pytest.raises(ValueError, match="rows=0 and hashes=2: at least 1 each"):
        hashed_rows(["a"], rows=0, hashes=2)


@pytest.mark.parametrize("hashes", [1, 2, 3])
def test_pairs_share_all_rows_as_often_as_chance_has_it(hashes):
    n, rows = 3_000, {1: 400, 2: 400, 3: 80}[hashes]
    found = hashed_rows(np.arange(n), rows=rows, hashes=hashes)
    assert found.shape == (n, hashes)
    assert 0 <= found.min() <= found.max() < rows
    _, times = np.unique(np.sort(found, axis=1), axis=0, return_counts=True)  # the sum of rows has no order
    pairs = (times * (times - 1) // 2).sum()
    expected = math.factorial(hashes) * n * (n - 1) / 2 / rows**hashes
    assert abs(pairs - expected) < 4 * expected**0.5


def tower_of(num_items, seen):
    """Of items without content, numbered as they are hashed."""
    none = np.zeros((num_items + 1, 0))
    content = ItemContent(none.astype(np.int32), (), (), (), none.astype(np.float32), ())
    hashed = hashed_rows(np.arange(num_items + 1), rows=ROWS, hashes=HASHES)
    return ItemTower(content, seen, dim=D, table_rows=ROWS, hashed=hashed, rngs=nnx.Rngs(0)), hashed


def test_new_ids_have_vectors_in_the_same_table():
    known, _ = tower_of(20, np.arange(21) > 0)
    later, later_hashed = tower_of(25, (np.arange(26) > 0) & (np.arange(26) != 23))
    shapes = [
        {name: leaf.shape for name, leaf in named_leaves(nnx.state(tower, nnx.Param)).items()}
        for tower in (known, later)
    ]
    assert shapes == [{"id_embedding": (ROWS, D)}] * 2
    nnx.update(later, nnx.state(known, nnx.Param))
    table = np.asarray(known.id_embedding[...])
    vectors = np.asarray(later())
    np.testing.assert_array_equal(vectors[:21], known())
    expected = table[later_hashed[24, 0]] + table[later_hashed[24, 1]]
    np.testing.assert_allclose(vectors[24], expected, rtol=1e-6)
    np.testing.assert_array_equal(vectors[23], 0.0)  # training has not met it


def test_first_vectors_have_one_scale_however_many_rows_they_sum():
    content = ItemContent(np.zeros((2, 0), np.int32), (), (), (), np.zeros((2, 0), np.float32), ())
    for hashes in (1, 4):
        hashed = np.zeros((2, hashes), np.int32)
        tower = ItemTower(content, np.ones(2, bool), dim=16, table_rows=4_000, hashed=hashed, rngs=nnx.Rngs(0))
        # K rows of variance 1 / (D K) each, D numbers a row.
        assert np.var(tower.id_embedding[...]) * 16 * hashes == pytest.approx(1.0, rel=0.05)


def test_a_large_table_is_drawn_in_blocks_that_differ(monkeypatch):
    monkeypatch.setattr(item_tower, "_BLOCK", 1_000)
    content = ItemContent(np.zeros((1, 0), np.int32), (), (), (), np.zeros((1, 0), np.float32), ())
    tables = [
        np.asarray(ItemTower(content, np.ones(1, bool), dim=D, table_rows=2_500, rngs=nnx.Rngs(0)).id_embedding[...])
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*tables)
    assert tables[0].shape == (2_500, D)
    assert len(np.unique(tables[0], axis=0)) == 2_500
    for rows in (tables[0][:1_000], tables[0][-1_000:]):
        assert np.var(rows) * D == pytest.approx(1.0, rel=0.1)
