"""Rows of SAQRec's benchmark: variants and the GRU over seeds, the baselines once, gains paired over users."""

import jax
import numpy as np
import pytest

from benchmarks.saqrec_runs import Bench, Measured, row
from configs.satisfaction import get_config
from runtime.artifact import write_json
from runtime.errors import UsageError
from satisfaction import scores
from satisfaction.embeddings import BaseEmbeddings
from satisfaction.training import EMBEDDINGS, SCORES
from tests import random_timelines
from training.compilation import enable_compilation_cache


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    enable_compilation_cache(tmp_path_factory.mktemp("cache"))
    yield
    jax.config.update("jax_compilation_cache_dir", None)


def test_variants_are_trained_once_and_paired_with_the_full_model(tmp_path):
    log = random_timelines.write(tmp_path / "timelines", lengths=[60] * 12, num_items=150, unseen=0)
    config, rng, run = get_config("tiny"), np.random.default_rng(0), tmp_path / "run"
    config.answers = "like_dislike"
    config.align.update({"length": 8, "satisfied_length": 4, "dissatisfied_length": 2, "hidden": 8, "gru_hidden": 8})
    config.align.update({"batch_size": 16, "num_levels": 3, "warmup_steps": 1, "dropout": 0.0, "gru_dropout": 0.0})
    config.align.update({"disentanglement": False, "levels": False, "refit": True})
    run.mkdir()
    write_json(run / "config.json", {"config": config.to_dict()})
    user, item = (rng.normal(size=(n, 6)).astype(np.float32) for n in (log.num_users, log.num_items + 1))
    BaseEmbeddings(user, item).save(run / EMBEDDINGS, log)
    imputed, propensity = rng.random((2, len(log.item)))
    scores.write(run / SCORES, log, satisfaction=imputed, propensity=propensity, method="ips", clip=0.1)

    bench = Bench(str(log.path), run=str(run), naive="", refit=False, workdir=tmp_path / "bench")
    found = bench.measure("exact/full", {"click_loss": "exact"}, seed=0, gru=True)
    assert set(found) == {"saqrec", "gru_softmax"}
    assert all(0 < each.valid < 1 for each in found.values())
    baselines = bench.baselines()
    ranks = [*(each.ranks for each in found.values()), *baselines.values()]
    assert {len(each) for each in ranks} == {12}
    assert min(each.min() for each in ranks) >= 1
    again = bench.measure("exact/full", {"click_loss": "exact"}, seed=0, gru=True)
    np.testing.assert_array_equal(again["saqrec"].ranks, found["saqrec"].ranks)
    assert not (tmp_path / "bench" / "exact" / "full" / "seed0" / "align" / "saqrec_refit").exists()
    with pytest.raises(UsageError, match=r"--run=.*: no run of satisfaction\.train here"):
        Bench(str(log.path), run=str(tmp_path), naive="", refit=False, workdir=tmp_path / "bench")


def test_a_row_is_the_mean_over_seeds_and_its_gain_is_paired():
    full, figures, _ = row("full", [Measured(np.array([1.0, 20.0]), 0.5), Measured(np.array([2.0, 20.0]), 0.7)], {})
    np.testing.assert_allclose(full["mrr"], [(1 + 1 / 2) / 2, 1 / 20])
    np.testing.assert_allclose(figures["full/valid"], 0.6)
    np.testing.assert_allclose(figures["full/hr@1/seeds_std"], 0.25)  # 1/2 and 0 of the users: 0.25 from their mean
    assert "gain_over/full/mrr" not in figures
    _, figures, line = row("item_knn", [Measured(np.array([4.0, 5.0]), float("nan"))], full)
    np.testing.assert_allclose(figures["gain_over/item_knn/mrr"], (3 / 4 - 1 / 4 + 1 / 20 - 1 / 5) / 2)
    np.testing.assert_allclose(figures["gain_over/item_knn/hr@10"], -0.5)
    assert "item_knn/valid" not in figures
    assert line.startswith("item_knn ")
