"""SAQRec's base reads the embeddings of items: what it says of one that nobody has clicked."""

import jax
import jax.numpy as jnp
import numpy as np

from configs.satisfaction import get_config
from satisfaction.saqrec import base
from tests.logs import planted_content


def test_items_without_clicks_are_their_embeddings(tmp_path):
    log = planted_content.write(tmp_path, users=12, events=10)
    config = get_config("tiny")
    config.protocol = "time"
    model = base._build(config, base.clicks_only(log, config.protocol))
    recommender = model.merge(jax.jit(model.init)(jax.random.key(0)))
    new = slice(log.num_items - 19, None)
    assert not np.asarray(recommender.items())[new].any()  # before training an embedding says nothing
    size, dim = recommender.items.projection[...].shape
    assert size == planted_content.SIZE
    recommender.items.projection[...] = jnp.asarray(np.random.default_rng(0).normal(size=(size, dim)), jnp.float32)
    x = np.asarray(recommender.items.embedded[...])
    found = np.asarray(recommender.items())
    np.testing.assert_allclose(found[new], x[new] @ np.asarray(recommender.items.projection[...]), rtol=1e-4, atol=1e-5)
    assert np.abs(found[new]).max() > 0.1
