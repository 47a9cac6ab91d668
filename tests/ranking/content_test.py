"""What the ranker reads of items: means over several categories, and embeddings, of items that nobody has met too."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
import pytest
from flax import nnx

from data.timelines import Timelines
from metrics import binary
from ranking import log_statistics
from ranking.model.features import FeatureConstruction
from tests.logs import impression_log

NUM_ITEMS, NEW, DIM = 30, 10, 4
GROUP = np.arange(NUM_ITEMS + 1) % 2
BOTH = [(1, 2), (2, 3), (3, 1)]  # clusters that items may have


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Timelines:
    """Two clusters an item, and an embedding that tells its group; the last items are in no training event."""
    made = impression_log.write(tmp_path_factory.mktemp("log") / "timelines", num_items=NUM_ITEMS)
    new = made.in_split("train") & (made.item > NUM_ITEMS - NEW)
    rng = np.random.default_rng(0)
    embeddings = (4 + np.eye(3)[GROUP] + 0.1 * rng.normal(size=(NUM_ITEMS + 1, 3))).astype(np.float32)
    embeddings[[0, 2]] = 0
    several = [None, *(list(BOTH[lot]) for lot in rng.integers(0, 3, NUM_ITEMS))]
    items = made.items.with_columns(
        pl.Series("all.cluster", several, dtype=pl.List(pl.Int32)),
        cluster=pl.Series([pair[0] if pair else 0 for pair in several], dtype=pl.Int32),
        label=pl.Series([0, *[1] * NUM_ITEMS], dtype=pl.Int32),
    )
    features = [{"name": "cluster", "cardinality": 4, "width": 2}, {"name": "label", "cardinality": 2}]
    manifest = made.manifest | {"item_features": features, "item_embeddings": [{"name": "item.look", "size": 3}]}
    item = np.where(new, made.item - NEW, made.item).astype(np.int32)
    return dataclasses.replace(made, item=item, items=items, manifest=manifest, embeddings=embeddings)


@pytest.fixture(scope="module")
def features(log) -> FeatureConstruction:
    schema = log_statistics.schema(log, log_statistics.build(log, ("GVV", "click")))
    return FeatureConstruction(schema, dim=DIM, rngs=nnx.Rngs(0))


def test_an_item_is_its_id_the_means_of_its_categories_and_its_embedding(log, features):
    graph, params, rest = nnx.split(features, nnx.Param, ...)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    model = nnx.merge(graph, params, rest)
    content = np.asarray(model.content_embedding[...])  # clusters at 0 to 3, labels at 4 and 5
    clusters = log.items["all.cluster"][7].to_list()
    looks = np.asarray(model.embedded[...])
    expected = np.asarray(model.item_embedding[...])[7] + content[clusters].mean(axis=0) + content[5]
    expected += looks[7] @ np.asarray(model.content_projection[...])
    np.testing.assert_allclose(model.item_vectors()[7], expected, rtol=1e-5, atol=1e-5)
    assert not looks[[0, 2]].any()  # none is logged
    assert "item/embedding" in model.names


def test_a_group_that_embeddings_alone_tell_is_learned_and_of_new_items_too(features):
    graph, start, rest = nnx.split(features, nnx.Param, ...)
    index = np.arange(NUM_ITEMS + 1)
    known, new = np.flatnonzero((index > 2) & (index <= NUM_ITEMS - NEW)), index[-NEW:]
    optimizer = optax.adam(0.05)

    def logits(params):
        return nnx.merge(graph, params, rest).item_vectors().sum(axis=1)

    @jax.jit
    def step(params, state):
        def loss(params):
            return optax.sigmoid_binary_cross_entropy(logits(params)[known], GROUP[known]).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    assert not np.asarray(logits(start)).any()  # before training, content says nothing
    params, state = start, optimizer.init(start)
    for _ in range(60):
        params, state = step(params, state)
    assert binary.auc(np.asarray(logits(params))[new], GROUP[new]) > 0.85
    params["content_projection"] = jax.tree.map(jnp.zeros_like, params["content_projection"])
    assert binary.auc(np.asarray(logits(params))[new], GROUP[new]) < 0.7
