"""Popularity: the positives since ever and of the last days before a split, as the rules count them."""

import dataclasses

import numpy as np
import pytest

from configs.retrieval import get_config
from data.feedback import BITS
from retrieval.counted.parts import KINDS
from tests.logs import random_timelines

DAY = 86_400_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    log = random_timelines.write(tmp_path_factory.mktemp("popularity") / "timelines", lengths=[20] * 12, num_items=30)
    times = np.random.default_rng(0).integers(0, 10 * DAY, len(log.item))
    manifest = {**log.manifest, "valid_start_ms": 8 * DAY, "test_start_ms": 9 * DAY, "end_ms": 10 * DAY}
    return dataclasses.replace(log, timestamp_ms=times, manifest=manifest)


@pytest.mark.parametrize(("name", "days"), [("popularity", 10), ("popularity_1d", 1), ("popularity_7d", 7)])
@pytest.mark.parametrize(("split", "begin"), [("valid", 8), ("test", 9), ("end", 10)])
def test_scores_are_logarithms_of_how_many_liked_an_item(log, split, begin, name, days):
    config = get_config()
    config.positive = ("like",)
    kind = KINDS[name]
    counted = kind.counted(log, split, config)
    when = log.timestamp_ms / DAY
    liked = (when < begin) & (when >= begin - days) & (log.feedback & 1 << BITS["like"] > 0)
    n = np.bincount(log.item[liked], minlength=log.num_items + 1)
    assert n.sum() > 2
    of = kind.make(counted, log.item_content(), config, weight=2.5)
    scores = of.queries(np.zeros((3, of.state_size))) @ np.asarray(of.vectors).T
    np.testing.assert_allclose(scores, np.tile(2.5 * np.log1p(n), (3, 1)), rtol=1e-5)
    assert not np.any(of.of_content(np.zeros((2, 2), np.int32)))
