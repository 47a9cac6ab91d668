"""satisfaction.ablate as a whole on a small run: killed, gone on with, extended, and the mistakes that it reports."""

import json
import shutil

import numpy as np
import pytest

from configs.satisfaction import get_config
from runtime.artifact import write_json
from runtime.errors import UsageError
from satisfaction.click_ranks import Ranks
from satisfaction.experiments import trials, variants_table
from satisfaction.experiments.trials import Measured, Trials
from satisfaction.experiments.variants import variants_of
from satisfaction.run import identity
from satisfaction.unbiased import imputed as scores
from satisfaction.unbiased.steps import SCORES
from tests.logs import random_timelines
from tests.satisfaction import finished_steps
from training import run as training_run


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=[60] * 12, num_items=150, unseen=0)


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    """What the steps before align have left behind."""
    folder, config, rng = tmp_path_factory.mktemp("run"), get_config("tiny"), np.random.default_rng(0)
    config.answers = "like_dislike"
    config.align.update(
        {"length": 8, "satisfied_length": 4, "dissatisfied_length": 2, "hidden": 8, "gru_hidden": 8, "base_hidden": 8}
    )
    config.align.update(
        {"batch_size": 8, "num_levels": 3, "warmup_steps": 1, "dropout": 0.0, "gru_dropout": 0.0, "base_dropout": 0.0}
    )
    # What compiles quickly: two of the three transformers are left out, and the levels.
    config.align.update({"disentanglement": False, "levels": False, "popularity": False, "refit": True})
    config.align.update({"num_epochs": 2, "patience": 5})
    write_json(folder / "config.json", identity(config, log))
    finished_steps.write(folder, log, config, rng)
    return folder


@pytest.fixture(scope="module")
def whole(log, run, tmp_path_factory):
    """A finished workdir; no_sid is what the run is anyway."""
    folder = tmp_path_factory.mktemp("whole") / "ablations"
    ablate(log, run, folder, ["no_sid", "no_unbiased"])
    return folder


def ablate(log, run, workdir, what, losses=("exact",)):
    variants_table.run(
        data=str(log.path),
        run=str(run),
        workdir=str(workdir),
        variants=variants_of(what),
        click_losses=losses,
        seeds=1,
        refit=False,
    )


class Batches:
    """Counts the batches that each training takes, and ends as a SIGTERM does before it gives number `last`."""

    def __init__(self, batches, taken, last=None):
        self._batches, self._taken, self._last = batches, taken, last
        taken.append(0)

    def __next__(self):
        if self._taken[-1] == self._last:
            raise SystemExit(143)
        self._taken[-1] += 1
        return next(self._batches)

    def __getattr__(self, name):
        return getattr(self._batches, name)


def read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


def test_a_killed_run_goes_on_where_it_was_and_more_may_follow(log, run, whole, tmp_path, monkeypatch, capsys):
    original, folder, taken = training_run.iterate, tmp_path / "ablations", []
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "exact" / "no_unbiased")
    (folder / "metrics.json").unlink()
    monkeypatch.setattr(trials, "_SAVE_EVERY", 1)
    monkeypatch.setattr(training_run, "iterate", lambda *arguments: Batches(original(*arguments), taken, last=3))
    with pytest.raises(SystemExit):
        ablate(log, run, folder, ["no_unbiased", "no_sid"])
    assert not (folder / "metrics.json").exists()
    partial, metrics = read(folder, "metrics.partial.json"), read(whole)
    assert partial.items() < metrics.items()
    assert "exact/full/mrr" in partial
    assert "exact/no_unbiased/mrr" not in partial

    monkeypatch.setattr(training_run, "iterate", lambda *arguments: Batches(original(*arguments), taken))
    ablate(log, run, folder, ["no_unbiased", "no_sid"])
    assert taken == [3, read(whole / "exact" / "no_unbiased" / "seed0" / "align")["saqrec/steps"] - 3]
    assert read(folder) == metrics
    assert not (folder / "metrics.partial.json").exists()
    assert capsys.readouterr().out.count("[2/2] exact/no_unbiased, seed 0") == 2

    ablate(log, run, folder, ["beta=1", "N_I=3"])  # both what the run is
    assert len(taken) == 2
    assert metrics["exact/full/mrr"] == read(folder)["exact/beta=1/mrr"]
    assert "exact/no_sid/mrr" not in read(folder)


def test_what_the_rows_are(log, whole):
    metrics = read(whole)
    assert (metrics["users"], metrics["items"], metrics["seeds"], metrics["refit"]) == (12, 150, 1, False)
    for name in variants_table.SHOWN:
        assert metrics[f"exact/no_sid/{name}"] == metrics[f"exact/full/{name}"]
        assert metrics[f"exact/gain_over/no_sid/{name}"] == 0
        row, full = metrics[f"exact/item_knn/{name}"], metrics[f"exact/full/{name}"]
        np.testing.assert_allclose(metrics[f"exact/gain_over/item_knn/{name}"], full - row, atol=1e-12)
        assert metrics[f"exact/full/{name}/low"] <= full <= metrics[f"exact/full/{name}/high"]
    for row in ("base", "gru_softmax"):
        trained = read(whole / "exact" / "full" / "seed0" / "align")[f"{row}/valid/mrr"]
        assert metrics[f"exact/{row}/valid/mrr"] == trained  # of one seed the mean is its own
    assert "exact/item_knn/valid/mrr" not in metrics
    assert not any("seeds_std" in name for name in metrics)  # of one seed there is none
    assert not (whole / "exact" / "full" / "seed0" / "align" / "saqrec_refit").exists()


def test_the_unbiased_model_is_left_out_by_imputing_with_a_naive_one(log, run, whole):
    naive = scores.open_scores(whole / "naive" / SCORES, log, "--workdir")
    assert naive.manifest["method"] == "naive"
    assert len(np.unique(naive.propensity)) == 1
    own, other = (read(whole / "exact" / name / "seed0" / "align", "config.json") for name in ("full", "no_unbiased"))
    assert {name for name in own if own[name] != other[name]} == {"config", "scores"}
    assert {name for name in own["config"] if own["config"][name] != other["config"][name]} == {"models"}


def test_a_variant_that_the_run_is_anyway_is_the_full_model():
    config = get_config("kuairand_pure")
    assert variants_table.is_full("N_mix=3", {"correct_from": 3}, config)
    assert not variants_table.is_full("no_sid", {"disentanglement": False}, config)
    assert not variants_table.is_full("no_unbiased", {}, config)
    assert variants_table.is_full("no_unbiased", {}, get_config("kuairand_27k_explicit"))  # its estimator is naive


def test_a_folder_of_another_run_is_refused(log, run, tmp_path):
    common = {"refit": False, "workdir": str(tmp_path / "workdir")}
    Trials(str(log.path), run=str(run), **common)
    other = shutil.copytree(run, tmp_path / "run")
    satisfaction = np.full(len(log.item), 0.5)
    scores.write(
        other / SCORES, log, satisfaction=satisfaction, propensity=satisfaction, method="ips", clip=0.1, protocol="time"
    )
    with pytest.raises(UsageError, match=r"--workdir=.*: holds a run of another config or dataset \(scores: "):
        Trials(str(log.path), run=str(other), **common)
    with pytest.raises(UsageError, match=r"another config or dataset \(config\.align\.refit: False there, True now\)"):
        Trials(str(log.path), run=str(run), **{**common, "refit": True})
    saved = read(other, "config.json")
    write_json(other / "config.json", {**saved, "log": "another"})
    with pytest.raises(UsageError, match=r"--run=.*: trained on other timelines than --data="):
        Trials(str(log.path), run=str(other), **common)
    with pytest.raises(UsageError, match=r"--run=.*: no run of satisfaction\.train here"):
        Trials(str(log.path), run=str(tmp_path), **common)


def test_what_is_asked_for_are_groups_or_single_variants():
    assert list(variants_of(["levels", "no_mtl"])) == ["no_mtl", *(f"N_I={n}" for n in (1, 3, 5, 7, 9, 11))]
    assert variants_of(["beta=0.01", "beta=0.01"]) == {"beta=0.01": {"satisfaction_weight": 0.01}}
    with pytest.raises(UsageError, match="--what=no_sad: of ablations, levels, mix, beta, or single ones: no_unbiased"):
        variants_of(["no_sad"])


def test_an_unknown_click_loss_is_refused(log, run, tmp_path):
    with pytest.raises(UsageError, match="--click_losses=softmax: of "):
        ablate(log, run, tmp_path, ["no_sid"], losses=("softmax",))


def places(*ranks):
    """Each target alone at its place, among few and among all."""
    return Ranks(*[np.stack([ranks, np.ones(len(ranks))], axis=-1)] * 2)


def test_a_row_is_the_mean_over_seeds_and_its_gain_is_paired():
    full, figures = variants_table.row("full", [Measured(places(1.0, 20.0), 0.5), Measured(places(2.0, 20.0), 0.7)], {})
    np.testing.assert_allclose(full["mrr"], [[1, 1 / 20], [1 / 2, 1 / 20]])
    np.testing.assert_allclose(figures["full/mrr"], ((1 + 1 / 2) / 2 + 1 / 20) / 2)
    np.testing.assert_allclose(figures["full/valid/mrr"], 0.6)
    np.testing.assert_allclose(figures["full/hr@1/seeds_std"], 0.25 * 2**0.5)  # 1/2 and 0 of the users
    assert "gain_over/full/mrr" not in figures
    _, figures = variants_table.row("item_knn", [Measured(places(4.0, 5.0))], full)
    np.testing.assert_allclose(figures["gain_over/item_knn/mrr"], (3 / 4 - 1 / 4 + 1 / 20 - 1 / 5) / 2)
    np.testing.assert_allclose(figures["gain_over/item_knn/hr@10"], -0.5)
    assert "item_knn/valid/mrr" not in figures
