"""What a user has met is taken out of what its labels are held up against: of its own window, once, and no more."""

import jax.numpy as jnp
import numpy as np
import pytest

from encoders.labels import Asked
from retrieval.margins.unmet import among_unmet

N, D, T = 12, 5, 6
# Two rows: a user of four events, then one of two; a user of six, who met item 3 twice and is asked for it once more.
ITEM = np.array([[0, 2, 5, 9, 0, 7], [0, 3, 4, 3, 1, 8]])
RESET = np.array([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0]], bool)
MET = {2: {2, 5}, 3: {2, 5, 9}, 5: {7}, 6: set(), 10: {3, 4, 1}, 11: {4, 1, 8}}  # by place, without the label's own
LABEL = {2: 6, 3: 1, 5: 2, 6: 3, 10: 10, 11: 3}


def margins_of(logits, label, left_out):
    others = np.delete(logits, [label, *left_out])
    return logits[label] - np.log(np.exp(others).sum())


@pytest.mark.parametrize("shards", [1, 2])
def test_what_was_met_is_taken_out_once_and_of_its_own_window(shards):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N, D))
    place, size = np.array(list(LABEL)), 2 * T // shards
    per_shard = [place[place // size == shard] % size for shard in range(shards)]
    filled = np.array([np.pad(places, (0, 7 - len(places))) for places in per_shard])
    real = np.array([np.arange(7) < len(places) for places in per_shard])
    queries = rng.normal(size=(filled.size, D))  # rows that fill up ask too, and change nothing
    item = np.where(real, 0, 1)
    item[real] = list(LABEL.values())
    logits = queries @ vectors.T
    of_all = [margins_of(row, label, ()) for row, label in zip(logits, item.reshape(-1), strict=True)]
    asked = Asked(
        queries=jnp.asarray(queries, jnp.float32),
        vectors=jnp.asarray(vectors, jnp.float32),
        item=jnp.asarray(item.reshape(-1)),
        kind=jnp.asarray(real.reshape(-1).astype(np.int8)),
        window=jnp.zeros(filled.shape, int),
    )
    batch = {"item": jnp.asarray(ITEM), "reset": jnp.asarray(RESET), "label_position": jnp.asarray(filled)}
    found = np.asarray(among_unmet(jnp.asarray(of_all, jnp.float32), asked, batch)).reshape(real.shape)
    expected = [
        margins_of(row, LABEL[at], MET[at]) for at, row in zip(place, logits.reshape(*real.shape, N)[real], strict=True)
    ]
    np.testing.assert_allclose(found[real], expected, rtol=1e-4)


def test_a_model_that_scores_nothing_but_what_was_met_stays_finite():
    vectors = jnp.eye(N) * 60.0
    asked = Asked(
        queries=vectors[jnp.array([5])],
        vectors=vectors,
        item=jnp.array([6]),
        kind=jnp.array([1], jnp.int8),
        window=jnp.zeros((1, 1), int),
    )
    batch = {"item": jnp.asarray(ITEM), "reset": jnp.asarray(RESET), "label_position": jnp.array([[2]])}
    [margin] = np.asarray(among_unmet(jnp.array([-3600.0]), asked, batch))
    assert np.isfinite(margin)
    assert margin > -3600.0
