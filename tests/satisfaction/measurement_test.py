"""satisfaction.evaluate as a whole on a small run, and the mistakes that it reports."""

import json

import numpy as np
import pytest

from configs.satisfaction import get_config
from runtime.artifact import write_json
from runtime.errors import UsageError
from satisfaction.click_ranks import Ranks
from satisfaction.experiments import measurement, summary
from satisfaction.saqrec.alignment import train_alignment
from satisfaction.unbiased import imputed as scores
from satisfaction.unbiased.steps import SCORES
from tests.logs import random_timelines
from tests.satisfaction import finished_steps

ROWS = ("popularity", "item_knn", "item_knn_popularity", "gru_softmax", "again")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[60] * 12, num_items=150, unseen=0)


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    """What satisfaction.train leaves behind, with an exported recommender's vectors for a base."""
    folder = tmp_path_factory.mktemp("run") / "workdir"
    config, rng = get_config("tiny"), np.random.default_rng(0)
    config.answers, config.base.recommender = "like_dislike", "elsewhere"
    config.align.update({"length": 8, "satisfied_length": 4, "dissatisfied_length": 2, "hidden": 8, "gru_hidden": 8})
    config.align.update({"batch_size": 16, "num_levels": 3, "warmup_steps": 1, "dropout": 0.0, "gru_dropout": 0.0})
    config.align.disentanglement = False  # its two transformers take the longest to compile
    config.align.models = ("saqrec", "gru_softmax")
    folder.mkdir()
    write_json(folder / "config.json", {"config": config.to_dict()})
    base = finished_steps.write(folder, log, config, rng)
    opened = scores.open_scores(folder / SCORES, log, "--workdir")
    train_alignment(config, log, base, opened, folder / "align")
    return folder


def evaluate(log, run, folder, **options):
    given = {"compare": {"again": str(run)}, "split": "test", "seed": 0, "satisfaction_weight": 0.0, **options}
    measurement.run(data=str(log.path), checkpoint=str(run), workdir=str(folder), **given)
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def measured(log, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "workdir"
    return folder, evaluate(log, run, folder)


def test_every_row_has_every_metric_with_bounds_groups_and_gains(measured):
    _, metrics = measured
    for prefix in ("", *(f"{row}/" for row in ROWS)):
        for where in ("", "full/"):
            for metric in ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"):
                name = f"{prefix}{where}{metric}"
                assert metrics[f"{name}/low"] <= metrics[name] <= metrics[f"{name}/high"]
        assert {f"{prefix}{group}/hr@10" for group in ("G1", "G2", "G3", "G4")} <= metrics.keys()
    for row in ROWS:
        difference = metrics["mrr"] - metrics[f"{row}/mrr"]
        np.testing.assert_allclose(metrics[f"gain_over/{row}/mrr"], difference, atol=1e-12)


def test_a_model_gains_nothing_over_itself(measured):
    _, metrics = measured
    assert metrics["gain_over/again/mrr/low"] == metrics["gain_over/again/mrr/high"] == 0.0


def test_what_lies_beside_the_metrics(measured, log):
    folder, metrics = measured
    with np.load(folder / "per_user.npz") as per_user:
        first, tied = per_user["saqrec/sampled"].T
        np.testing.assert_allclose(np.clip((11 - first) / tied, 0, 1).mean(), metrics["hr@10"])
        assert len(first) == metrics["users"]
    with np.load(folder / "negatives.npz") as saved:
        assert saved["items"].shape == (metrics["users"], 99)
    assert sum(name.startswith("level_weight/") for name in metrics) == 3
    for example in json.loads((folder / "examples.json").read_text()):
        levels = [click["level"] for click in sorted(example["clicks"], key=lambda click: -click["satisfaction"])]
        assert levels == sorted(levels)  # the higher the imputed satisfaction, the lower the level's number


def test_measured_again_it_says_so(measured, log, run, capsys):
    folder, _ = measured
    evaluate(log, run, folder)
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"another config or dataset \(seed: 0 there, 1 now\)"):
        evaluate(log, run, folder, seed=1)


def test_satisfaction_in_the_ranking_changes_it(measured, log, run, tmp_path):
    metrics = evaluate(log, run, tmp_path / "workdir", compare={}, satisfaction_weight=50.0)
    assert metrics["full/mrr"] != measured[1]["full/mrr"]
    assert metrics["gru_softmax/mrr"] == measured[1]["gru_softmax/mrr"]


def test_satisfaction_weighs_as_much_in_the_rows_it_is_compared_with(log, run, tmp_path):
    metrics = evaluate(log, run, tmp_path / "workdir", satisfaction_weight=50.0)
    assert metrics["again/mrr"] == metrics["mrr"]
    assert metrics["gain_over/again/mrr"] == 0


def test_names_that_the_metrics_use_are_no_names_of_rows(measured):
    used = {name.partition("/")[0] for name in measured[1] if "/" in name} - {"again"}
    own = {"hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"}  # their bounds: a row's figures have two names more
    assert used - own <= set(measurement.RESERVED)


def test_a_checkpoint_that_is_none(log, tmp_path):
    with pytest.raises(UsageError, match=r"--checkpoint=.*: no run of satisfaction\.train here"):
        evaluate(log, tmp_path, tmp_path / "workdir")


def test_gains_are_paired():
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 100, 400).astype(float)
    was, now = (np.stack([r, np.ones(400)], axis=-1) for r in (ranks, np.maximum(1, ranks - 1)))
    old, new = Ranks(was, was), Ranks(now, was)
    found = summary.figures_by_activity({"saqrec": new, "base": old}, main="saqrec", groups=np.arange(400) % 4)
    expected = (1 / np.maximum(1, ranks - 1) - 1 / ranks).mean()
    np.testing.assert_allclose(found["gain_over/base/mrr"], expected)
    assert found["mrr"] - found["base/mrr"] == pytest.approx(expected)
    assert found["base/G2/mrr"] == pytest.approx((1 / ranks[1::4]).mean())
    assert not {"G1/full/mrr", "gain_over/saqrec/mrr", "gain_over/G1/mrr"} & found.keys()
    assert 0 < found["gain_over/base/mrr/low"] < expected < found["gain_over/base/mrr/high"]
    assert [found[f"gain_over/base/full/mrr{end}"] for end in ("", "/low", "/high")] == [0, 0, 0]
