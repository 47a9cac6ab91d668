"""satisfaction.compare with trainings that cost nothing: same chances for all, gone on with, chosen on validation."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from configs.satisfaction import get_config
from runtime.artifact import write_json
from satisfaction.click_ranks import Ranks
from satisfaction.experiments import held_out
from satisfaction.experiments import rows as comparison
from satisfaction.saqrec.alignment import MODELS
from tests.logs import random_timelines


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[60] * 12, num_items=150, unseen=0)


@pytest.fixture
def asked(monkeypatch):
    """What is trained, in order; a model's validation MRR is its setting's dropout, and it ranks by item number."""
    seen = []

    def step(config, *, data, workdir, only):
        seen.append((only, config.seed))
        (comparison.Path(workdir) / only).mkdir(parents=True)
        write_json(comparison.Path(workdir) / only / "metrics.json", {})

    def align(config, timelines, base, scores, folder):
        (model,) = config.align.models
        prefix = {"saqrec": "", "base": "base_", "gru_softmax": "gru_"}[model]
        seen.append((model, config.seed, config.align.refit, config.align[f"{prefix}dropout"]))
        folder.mkdir(parents=True)
        write_json(folder / "metrics.json", {f"{model}/valid/mrr": config.align[f"{prefix}dropout"]})

    def load(config, *rest, **options):
        (model,) = config.align.models
        sign = 1 if model == "saqrec" else -1
        return {model: SimpleNamespace(score=lambda users, before: np.tile(sign * np.arange(151.0), (len(users), 1)))}

    monkeypatch.setattr(comparison.training, "train", step)
    monkeypatch.setattr(comparison, "train_alignment", align)
    monkeypatch.setattr(held_out, "load_aligned", load)
    monkeypatch.setattr(comparison.Comparison, "_artifacts", lambda self, seed: (None, None))
    return seen


def run(log, folder, stop_after=0):
    config = get_config("tiny")
    comparison.run(config, data=str(log.path), workdir=str(folder), seeds=2, stop_after=stop_after)


def test_each_model_is_tuned_alike_and_refitted_with_its_best_for_each_seed(log, tmp_path, asked, capsys):
    folder = tmp_path / "compare"
    run(log, folder, stop_after=5)
    assert "5 of 24 trainings done; the same command goes on" in capsys.readouterr().out
    assert not (folder / "metrics.json").exists()
    run(log, folder)
    steps, tuned, final = asked[:6], asked[6:18], asked[18:]
    assert steps == [(step, seed) for seed in (0, 1) for step in ("base", "propensity", "satisfaction")]
    for model in MODELS:
        assert sum(name == model for name, *_ in tuned) == 4
        assert [one for one in final if one[0] == model] == [(model, seed, True, 0.5) for seed in (0, 1)]  # the best
    assert not any(refit for _, _, refit, _ in tuned)
    metrics = json.loads((folder / "metrics.json").read_text())
    rows = [*MODELS, "item_knn_popularity", "item_knn", "popularity"]
    for row in rows:
        for metric in comparison.SHOWN:
            assert metrics[f"{row}/{metric}/low"] <= metrics[f"{row}/{metric}"] <= metrics[f"{row}/{metric}/high"]
    gain = metrics["saqrec/full/mrr"] - metrics["base/full/mrr"]
    assert metrics["gain_over/base/full/mrr"] == pytest.approx(gain)
    assert [line.split(" | ")[0] for line in comparison._table(metrics).splitlines()[2:]] == [
        f"| {row}" for row in rows
    ]
    run(log, folder)
    assert "complete already" in capsys.readouterr().out
    assert len(asked) == 24


def test_as_many_settings_for_each_model():
    align = get_config("kuairand_pure").align
    assert {len(comparison.settings_of(align, model)) for model in MODELS} == {4}
    tried = comparison.settings_of(align, "base")
    assert {"base_learning_rate": align.base_learning_rate, "base_dropout": align.base_dropout} in tried


def test_seeds_widen_the_interval():
    """Two trainings of opposite luck for each user: over users alone their mean would seem certain."""
    alone = np.stack([np.ones(50), np.ones(50)], axis=-1)
    behind = np.stack([np.full(50, 2.0), np.ones(50)], axis=-1)
    good, bad = Ranks(alone, alone), Ranks(behind, behind)
    found = comparison.summary({"saqrec": [good, bad], "base": [bad, bad]})
    assert found["saqrec/mrr"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["saqrec/mrr/seeds_std"] == pytest.approx(0.25 * np.sqrt(2))  # 0.25 from the mean, of two
    assert found["saqrec/mrr/low"] < 0.5
    assert found["base/mrr/low"] == found["base/mrr/high"] == 0.5
    assert found["gain_over/base/mrr"] == pytest.approx(0.25)
    assert found["gain_over/base/mrr/low"] < 0 < found["gain_over/base/mrr/high"]
