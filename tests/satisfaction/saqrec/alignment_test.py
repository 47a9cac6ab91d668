"""The align step as a whole: it learns, resumes to the bit, does nothing twice, and says what is wrong in one line."""

import json
import os
import signal

import numpy as np
import pytest

from configs.satisfaction import get_config
from runtime.errors import UsageError
from satisfaction.saqrec import alignment
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import Scores
from tests.logs import random_timelines
from training import run
from training.names import named_leaves
from training.saving.checkpoints import restore_params

DIM = 8


def config_of(**align):
    config = get_config("tiny")
    config.answers, config.save_every = "like_dislike", 2
    config.align.update({"length": 8, "satisfied_length": 4, "dissatisfied_length": 2, "hidden": 8, "gru_hidden": 8})
    config.align.update({"batch_size": 16, "num_epochs": 2, "patience": 5, "num_levels": 3, "correct_from": 1})
    # What compiles quickly: each dropout draws its own numbers, and two of the three transformers are left out.
    config.align.update({"dropout": 0.0, "gru_dropout": 0.0, "disentanglement": False})
    config.align.models = ("saqrec", "gru_softmax")
    config.align.update({"warmup_steps": 1, "learning_rate": 0.02, **align})
    return config


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[60] * 12, num_items=150, unseen=0)


@pytest.fixture(scope="module")
def base(log):
    rng = np.random.default_rng(0)
    shapes = (log.num_users, DIM), (log.num_items + 1, DIM)
    return BaseEmbeddings(*(rng.normal(size=shape).astype(np.float32) / 3 for shape in shapes))


@pytest.fixture(scope="module")
def scores(log):
    return Scores(*np.random.default_rng(1).random((2, len(log.item))).astype(np.float32), {})


@pytest.fixture(scope="module")
def trained(log, base, scores, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "align"
    assert alignment.train_alignment(config_of(), log, base, scores, folder).startswith("aligned, MRR ")
    return folder


def parameters(folder, log, base, scores):
    config = config_of()
    histories = alignment.histories_of(config, log, scores)
    return {
        f"{name}/{leaf}": np.asarray(array).tobytes()
        for name, model in alignment.architectures(config, histories, base).items()
        for leaf, array in named_leaves(restore_params(folder / name / "checkpoints", model.shapes)[0]).items()
    }


def test_it_learns_with_and_without_correction(log, scores, trained):
    lines = [json.loads(line) for line in (trained / "saqrec" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["value"] for line in lines if line["name"] == "train_loss"]
    assert losses[-1] < losses[0]
    metrics = json.loads((trained / "metrics.json").read_text())
    for name in ("saqrec", "gru_softmax"):
        clicks = alignment.histories_of(config_of(), log, scores).clicks
        assert metrics[f"{name}/labels_per_epoch"] == clicks.learned(("train",)).sum()


def test_terminated_and_started_again_is_bit_identical(log, base, scores, trained, tmp_path, monkeypatch):
    class Terminating:
        def __init__(self, *arguments):
            self._batches, self._step = original(*arguments), 0

        def __next__(self):
            self._step += 1
            if self._step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return next(self._batches)

        def __getattr__(self, name):
            return getattr(self._batches, name)

    original, folder = run.iterate, tmp_path / "align"
    with monkeypatch.context() as patch:
        patch.setattr(run, "iterate", Terminating)
        with pytest.raises(SystemExit):
            alignment.train_alignment(config_of(), log, base, scores, folder)
    assert not (folder / "metrics.json").exists()
    alignment.train_alignment(config_of(), log, base, scores, folder)
    assert parameters(folder, log, base, scores) == parameters(trained, log, base, scores)


def test_what_was_trained_is_loaded_and_nothing_is_done_twice(log, base, scores, trained):
    assert alignment.train_alignment(config_of(), log, base, scores, trained) == f"already complete: {trained}"
    models = load_aligned(config_of(), log, base, scores, trained, flag="--checkpoint")
    clicks = models["saqrec"].histories.clicks
    users, before = clicks.targets("test")
    found = models["saqrec"](before)
    assert found["click"].shape == found["satisfaction"].shape == (len(users), log.num_items + 1)
    assert found["levels"].shape == (len(users), 3)
    np.testing.assert_array_equal(models["saqrec"].score(users, before), found["click"])
    mixed = models["saqrec"].score(users, before, satisfaction_weight=0.5)
    log_p = -np.log1p(np.exp(-np.float64(found["satisfaction"])))
    np.testing.assert_allclose(mixed, found["click"] + 0.5 * log_p, rtol=1e-4, atol=1e-5)
    assert set(models["gru_softmax"](before)) == {"click"}


def test_a_refit_learns_the_validation_clicks_for_as_many_epochs_as_were_best(log, base, scores, trained, tmp_path):
    folder, config = tmp_path / "align", config_of(refit=True)
    alignment.train_alignment(config, log, base, scores, folder)
    metrics, first = (json.loads((path / "metrics.json").read_text()) for path in (folder, trained))
    clicks = alignment.histories_of(config, log, scores).clicks
    for name in ("saqrec", "gru_softmax"):
        assert metrics[f"{name}/valid/mrr"] == first[f"{name}/valid/mrr"]  # the same training chooses the epochs
        added = metrics[f"{name}/refit/labels_per_epoch"] - metrics[f"{name}/labels_per_epoch"]
        assert added == (clicks.test_start - clicks.valid_start).sum() > 0
        steps = first[f"{name}/steps"] / 2 * metrics[f"{name}/best_epochs"]
        assert 1 <= metrics[f"{name}/best_epochs"] <= 2
        assert metrics[f"{name}/refit/steps"] == pytest.approx(steps, rel=0.3)  # an epoch has a few more windows
    asked = {
        split: load_aligned(config, log, base, scores, folder, split=split, flag="--x") for split in ("valid", "test")
    }
    before = clicks.targets("test")[1]
    kept = load_aligned(config_of(), log, base, scores, trained, flag="--x")["saqrec"](before)["click"]
    np.testing.assert_array_equal(asked["valid"]["saqrec"](before)["click"], kept)
    assert not np.allclose(asked["test"]["saqrec"](before)["click"], kept)


def test_scores_of_another_run_are_refused(log, base, scores, trained):
    other = Scores(1 - scores.satisfaction, scores.propensity, {})
    with pytest.raises(UsageError, match=r"another config or dataset \(scores: "):
        alignment.train_alignment(config_of(), log, base, other, trained)


def test_no_run_to_load(log, base, scores, tmp_path):
    with pytest.raises(UsageError, match=r"--checkpoint=.*: no complete align step here; run satisfaction\.train"):
        load_aligned(config_of(), log, base, scores, tmp_path / "align", flag="--checkpoint")


@pytest.mark.parametrize(
    ("align", "message"),
    [
        ({"num_levels": 0}, r"--config\.align\.num_levels=0: must be at least 1"),
        ({"batch_size": 0}, r"--config\.align\.batch_size=0: must be at least 1"),
        ({"satisfaction_weight": -1.0}, r"--config\.align\.satisfaction_weight=-1\.0: must be finite and not negative"),
        ({"label_correction": (0.0, 0.5)}, r"--config\.align\.label_correction=\(0\.0, 0\.5\): the two parameters"),
        ({"click_loss": "hinge"}, r"--config\.align\.click_loss=hinge: one of bce, exact, sampled"),
        ({"length": 1}, r"--config\.align\.length=1: a window needs at least 2"),
        ({"heads": 3}, r"--config\.align\.heads=3: does not divide the item vectors' 8 dimensions"),
        ({"blocks": 0}, r"--config\.align\.blocks=0: must be at least 1"),
        ({"gru_hidden": 0}, r"--config\.align\.gru_hidden=0: must be at least 1"),
        ({"models": ("lstm",)}, r"--config\.align\.models=\('lstm',\): of saqrec, base, gru_softmax"),
        ({"models": ()}, r"--config\.align\.models=\(\): of saqrec"),
        ({"patience": 0}, r"--config\.align\.patience=0: must be at least 1"),
        ({"dropout": 1.0}, r"--config\.align\.dropout=1\.0: must be at least 0 and below 1"),
        ({"dated_weight": -1.0}, r"--config\.align\.dated_weight=-1\.0: must be finite and not negative"),
    ],
)
def test_a_mistake_in_the_config(log, base, scores, tmp_path, align, message):
    with pytest.raises(UsageError, match=message) as raised:
        alignment.train_alignment(config_of(**align), log, base, scores, tmp_path / "align")
    assert "\n" not in str(raised.value)
