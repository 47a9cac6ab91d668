import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from data.feedback import has, mask_of
from data.impressions import ranked_positions
from metrics import binary, intervals
from ranking import checkpoint, comparison, figures, fusion, held_out, log_statistics, tasks
from ranking.predictions import calibrated_and_fused
from runtime.errors import DataError, UsageError
from tests.logs import impression_log

TASKS = ("EVV", "GVV", "click")


class Oracle:
    """Predicts the labels themselves behind noise: the interface of a trained ranker."""

    run, scores = "", ""

    def __init__(self, log, names=TASKS, *, noise=0.8, seed=0, trained_on=("train",)):
        self.tasks = tuple(names)
        self.statistics = log_statistics.build(log, ("EVV", "FVV", "GVV"))
        self._labels = tasks.labels(names, log, self.statistics.thresholds, None)
        chance = np.random.default_rng(seed).normal(size=self._labels.values.shape)
        self._p = (1 / (1 + np.exp(-(self._labels.values - 0.5 + noise * chance)))).astype(np.float32)
        self.config = ConfigDict({"train_on": trained_on, "seed": seed})

    def predict(self, positions):
        return self._p[positions]

    def has_scores_of(self, other):
        return self.scores == other.scores

    def labels(self, positions):
        return self._labels.values[positions], self._labels.where[positions]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return impression_log.write(tmp_path_factory.mktemp("log") / "timelines", per_day=12, one_class=(0, 1, 2))


@pytest.fixture(scope="module")
def model(log):
    return Oracle(log)


@pytest.fixture(scope="module")
def days(log, model):
    return [held_out.held_out(log, split, model.tasks, model.labels) for split in ("valid", "test")]


def _score(model, valid, held, weights=None, penalty=1.0):
    on_valid, on_held = (model.predict(part.positions) for part in (valid, held))
    return calibrated_and_fused(on_valid, on_held, valid, held, weights, penalty)


@pytest.fixture(scope="module")
def scored(model, days):
    return _score(model, *days)[0]


def test_impressions_are_the_splits_events_of_known_time(log, model, days):
    valid, held = days
    np.testing.assert_array_equal(held.positions, np.flatnonzero(log.in_split("test")))
    np.testing.assert_array_equal(held.users[held.user], log.user_of_event()[held.positions])
    np.testing.assert_array_equal(held.positive, model.labels(held.positions)[0] == 1)
    assert valid.split == "valid"


def test_figures_are_those_of_the_metrics(scored, days):
    held = days[1]
    found = figures.figures(scored, samples=3)
    for k, task in enumerate(TASKS):
        p, label = scored.probabilities[:, k], held.positive[:, k]
        assert found[f"{task}/auc"][0] == pytest.approx(binary.auc(p, label))
        of_users = [
            (binary.auc(p[held.user == u], label[held.user == u]), (held.user == u).sum()) for u in np.unique(held.user)
        ]
        areas, size = np.array([one for one in of_users if not np.isnan(one[0])]).T
        assert found[f"{task}/gauc"][0] == pytest.approx(np.average(areas, weights=size))
        assert found[f"{task}/logloss"][0] == pytest.approx(binary.logloss(p, label))
        assert found[f"{task}/ece"][0] == pytest.approx(binary.ece(p, label))
    quality = fusion.quality_of_lists(scored.probabilities @ scored.weights, held.lists)
    assert found["fused/ndcg@10"][0] == pytest.approx(quality.ndcg)
    assert found["fused/skip@10"][0] == pytest.approx(quality.skip)


def test_resamples_are_figures_of_the_drawn_users(scored, days):
    held, k = days[1], 0
    found = figures.figures(scored, samples=4)
    drawn = intervals.resampled(lambda times: times, len(held.users), samples=4).astype(int)
    ece = []
    for n, times in enumerate(drawn):
        rows = np.repeat(np.arange(len(held.user)), times[held.user])
        p, label = scored.probabilities[rows, k], held.positive[rows, k]
        assert found["EVV/auc"][n] == pytest.approx(binary.auc(p, label))
        assert found["EVV/logloss"][n] == pytest.approx(binary.logloss(p, label))
        ece.append(binary.ece(p, label))
    np.testing.assert_allclose(found["EVV/ece"], ece - np.array([0, *[np.mean(ece[1:]) - ece[0]] * 4]))


def test_the_interval_of_the_ece_holds_it(scored, days):
    found = figures.figures(scored, samples=100)
    for task in TASKS:
        value, low, high = intervals.of_resamples(found[f"{task}/ece"])
        assert 0 <= low <= value <= high


def test_calibration_is_fitted_on_validation_days_alone(model, days, scored):
    valid, held = days
    changed = held._replace(label=1 - held.label, wanted=~held.wanted)
    again, _ = _score(model, valid, changed)
    assert again.calibrators == scored.calibrators
    np.testing.assert_array_equal(again.weights, scored.weights)
    np.testing.assert_array_equal(again.probabilities, scored.probabilities)
    raw = binary.ece(scored.raw[:, 0], held.positive[:, 0])
    assert binary.ece(scored.probabilities[:, 0], held.positive[:, 0]) < raw


def test_validation_days_are_calibrated_on_other_users(model, days):
    valid = days[0]
    own, _ = _score(model, valid, valid)
    flipped = valid.label.copy()
    first = valid.user == 0
    flipped[first] = 1 - flipped[first]
    again, _ = _score(model, valid._replace(label=flipped), valid._replace(label=flipped))
    np.testing.assert_array_equal(own.probabilities[first], again.probabilities[first])
    odd = valid.user % 2 == 1
    assert (own.probabilities[odd] != again.probabilities[odd]).all()


def test_users_of_one_class_are_left_out_and_counted(scored, days):
    held = days[1]
    found = figures.counts(scored)
    by_user = [held.positive[held.user == u, 1] for u in range(len(held.users))]
    alike = sum(len(set(labels)) == 1 for labels in by_user)
    assert alike >= 3  # those who glanced past everything
    assert found["GVV/gauc/left_out"] == alike
    assert found["GVV/gauc/users"] == len(held.users) - alike
    users = figures.per_user(scored)
    assert np.isnan(users["GVV/auc"]).sum() == alike


def test_groups_cover_every_impression_twice(log, days):
    held = days[1]
    groups = held_out.groups(log, held)
    for kind in ("engagement", "platform"):
        together = np.sum([inside for name, inside in groups.items() if name.startswith(kind)], axis=0)
        np.testing.assert_array_equal(together, np.ones(len(held.user)))
    assert "platform/feed" in groups
    assert "platform/(few)" in groups  # search has under 200 impressions


def test_a_surface_of_any_name_is_a_group_of_its_own(log, days):
    held = days[1]
    size = np.bincount(log.surface[held.positions], minlength=4)
    for name in ("other", "unknown", "few", "none"):
        named = dataclasses.replace(log, manifest={**log.manifest, "surfaces": [name, "search", "profile"]})
        assert held_out.groups(named, held)[f"platform/{name}"].sum() == size[1]


def test_groups_of_one_class_are_left_out_and_counted(scored, days):
    held = days[1]
    alone = held.positive[:, 1]
    groups = {"platform/a": alone, "platform/b": np.ones(len(alone), bool)}
    found = figures.group_figures(scored, groups, samples=2)
    assert np.isnan(found["platform/a/GVV/auc"]).all()
    metrics, _ = comparison.compare_rows({"": [scored]}, groups, samples=2)
    assert "platform/a/GVV/auc" not in metrics
    assert metrics["groups/left_out"] >= 1
    assert metrics["platform/b/GVV/auc"] == pytest.approx(metrics["GVV/auc"])


def test_differences_are_paired_and_named(log, model, days, scored):
    worse, _ = _score(Oracle(log, noise=3.0, seed=1), *days)
    groups = held_out.groups(log, days[1])
    rows = {"": [scored], comparison.BASELINE: [worse], "same": [scored]}
    metrics, per_user = comparison.compare_rows(rows, groups, samples=50)
    name = f"{comparison.BASELINE}/EVV/auc"
    assert metrics[f"{name}/difference"] == pytest.approx(metrics["EVV/auc"] - metrics[name])
    assert metrics[f"{name}/difference/low"] > 0
    for end in ("", "/low", "/high"):
        assert metrics[f"same/click/logloss/difference{end}"] == 0.0
    assert f"{comparison.BASELINE}/platform/feed/EVV/auc/difference" in metrics
    assert "same/platform/feed/EVV/auc" not in metrics
    assert per_user["EVV/auc"].shape == per_user["same/EVV/auc"].shape == (len(days[1].users),)


def test_rows_of_several_seeds_are_means_with_room_for_another_seed(log, days, scored):
    seeds = [_score(Oracle(log, noise=noise, seed=n), *days)[0] for n, noise in enumerate((0.8, 1.0, 1.2))]
    rows = {"": seeds, "one": [scored], "again": seeds}
    metrics, per_user = comparison.compare_rows(rows, held_out.groups(log, days[1]), samples=400)
    areas = [figures.figures(one, samples=1)["EVV/auc"][0] for one in seeds]
    assert metrics["EVV/auc"] == pytest.approx(np.mean(areas))
    assert metrics["EVV/auc/seeds_std"] == pytest.approx(np.std(areas, ddof=1))
    assert (metrics["seeds"], metrics["one/seeds"]) == (3, 1)
    assert "one/EVV/auc/seeds_std" not in metrics
    # Of seeds alone: 4.303 standard deviations / √3 to either side, of two degrees of freedom.
    half = 4.303 * np.std(areas, ddof=1) / np.sqrt(3)
    assert metrics["EVV/auc/high"] - metrics["EVV/auc/low"] > 1.6 * half
    # The same three trainings on both sides differ by nothing, but three others of each would.
    assert metrics["again/EVV/auc/difference"] == 0
    assert metrics["again/EVV/auc/difference/low"] < -half < half < metrics["again/EVV/auc/difference/high"]
    each = [figures.per_user(one)["EVV/auc"] for one in seeds]
    np.testing.assert_allclose(per_user["EVV/auc"], np.mean(each, axis=0))


@pytest.fixture
def runs(log, model, monkeypatch):
    """Folders of trained rankers, as checkpoint.load finds them."""
    found = {"full": model, "single": Oracle(log, ("GVV",), seed=2), "other": Oracle(log, ("long_view",))}
    found["final"] = Oracle(log, trained_on=("train", "valid"))
    found["full1"], found["other1"] = Oracle(log, seed=1), Oracle(log, ("EVV",), seed=1)
    found["other1"].config.dim = 3
    nan = Oracle(log)
    nan._p = np.full_like(nan._p, np.nan)
    found["nan"] = nan
    monkeypatch.setattr(checkpoint, "load", lambda folder, timelines, flag: found[folder])
    return found


def _run(log, folder, **changes):
    options: dict[str, Any] = {"checkpoint": ["full"], "compare": [], "split": "test", "gamma": [], "penalty": 1.0}
    options |= {"data": str(log.path), "workdir": str(folder), "with_lightgbm": False, "samples": 20} | changes
    comparison.run(**options)


def test_run_writes_what_the_report_reads(log, runs, tmp_path, capsys):
    _run(log, tmp_path, compare=["single_task_GVV=single"])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    for name in ("EVV/auc", "GVV/gauc", "click/ece", "fused/ndcg@10", "fused/skip@10", "popularity/click/logloss"):
        assert {name, f"{name}/low", f"{name}/high"} <= metrics.keys()
    assert "single_task_GVV/GVV/auc/difference/low" in metrics
    assert "single_task_GVV/EVV/auc" not in metrics
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert [point["penalty"] for point in curves["trade_off"]] == list(fusion.PENALTIES)
    assert curves["gamma"]["model"]["GVV"] <= 0
    bins = json.loads((tmp_path / "reliability.json").read_text())["model"]["EVV"]["calibrated"]
    assert sum(bins["examples"]) == metrics["EVV/labels"]
    with np.load(tmp_path / "per_user.npz") as arrays:
        assert len(arrays["user"]) == metrics["users"]
    _run(log, tmp_path, compare=["single_task_GVV=single"])
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(UsageError, match="another config"):
        _run(log, tmp_path)


def test_weights_by_hand_are_used_for_the_models_tasks(log, runs, tmp_path):
    _run(log, tmp_path, gamma=["EVV=1", "GVV=-3"], compare=["single=single"])
    gamma = json.loads((tmp_path / "curves.json").read_text())["gamma"]
    assert gamma["model"] == gamma["popularity"] == {"EVV": 0.25, "GVV": -0.75, "click": 0.0}
    assert gamma["single"] == {"GVV": -1.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gamma": ["like=1"]}, "--gamma=like: the model has no such task; it has EVV, GVV, click"),
        ({"compare": ["single"]}, "--compare=single: write NAME=DIR, DIR being the folder that ranking.train wrote"),
        ({"compare": ["lightgbm=single"]}, "metrics.json uses the name 'lightgbm'"),
        ({"compare": ["model=single"]}, "metrics.json uses the name 'model'"),  # whose γ an export would take
        ({"compare": ["ceiling=single"]}, "metrics.json uses the name 'ceiling'"),
        (
            {"compare": ["a=full", "a=other1"]},
            r"--compare=a=other1: differs from full in config\.dim; the runs of a row",
        ),
        ({"checkpoint": ["full", "full"]}, "--checkpoint=full,full: two runs of one seed; train each with another"),
        ({"truth": "nothing"}, "--truth=nothing: "),
        ({"compare": ["a=other"]}, "--compare=a: predicts long_view, none of the tasks of --checkpoint"),
        ({"checkpoint": ["final"]}, "--checkpoint=final: has learned from the validation days"),
        ({"compare": ["a=final"]}, "--compare=a=final: has learned from the validation days"),
        ({"penalty": -1.0}, "--penalty=-1.0: at least 0"),
    ],
)
def test_mistakes_are_named(log, runs, tmp_path, changes, said):
    with pytest.raises(UsageError, match=said):
        _run(log, tmp_path, **changes)
    assert not (tmp_path / "metrics.json").exists()


def test_predictions_that_diverged_are_refused(log, runs, tmp_path):
    with pytest.raises(DataError, match="bad: a prediction is not finite"):
        _run(log, tmp_path, compare=["bad=nan"])


def test_a_log_without_watch_time_measures_the_other_tasks(tmp_path, monkeypatch):
    log = impression_log.write(tmp_path / "log", watch_times=False)
    model = Oracle(log, ("click",))
    monkeypatch.setattr(checkpoint, "load", lambda folder, timelines, flag: model)
    _run(log, tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "click/auc" in metrics
    assert "fused/skip@10" not in metrics  # no play times, no skips


def test_lists_of_a_log_without_long_views_are_measured_by_what_counts_as_positive(log, days):
    bits = np.where(has(log.feedback, "long_view"), mask_of(["like"]), 0).astype(log.feedback.dtype)
    traits = dataclasses.replace(log.traits, feedback={"like": 0.3})
    liked = dataclasses.replace(log, feedback=bits, manifest=log.manifest | {"traits": dataclasses.asdict(traits)})
    model = Oracle(log, TASKS)
    valid, held = (held_out.held_out(liked, split, TASKS, model.labels) for split in ("valid", "test"))
    assert valid.wanted.any()
    for found, was in zip((valid, held), days, strict=True):
        np.testing.assert_array_equal(found.wanted, was.wanted)  # one like for each long view


def test_users_without_history_are_measured_too(tmp_path):
    log = impression_log.write(tmp_path / "log", silent=5)
    model = Oracle(log)
    valid, held = (held_out.held_out(log, split, TASKS, model.labels) for split in ("valid", "test"))
    assert set(range(5)) <= set(held.users)
    assert not set(range(5)) & set(valid.users)
    found = figures.figures(_score(model, valid, held)[0], samples=2)
    assert all(np.isfinite(values[0]) for name, values in found.items() if name.endswith("auc"))


def test_a_task_of_one_class_has_no_auc(model, days):
    valid, held = days
    label = held.label.copy()
    label[:, 0] = 1.0
    scored, _ = _score(model, valid, held)
    found = figures.figures(scored._replace(days=held._replace(label=label)), samples=2)
    assert np.isnan(found["EVV/auc"]).all()
    assert np.isnan(found["EVV/gauc"]).all()
    assert np.isfinite(found["EVV/logloss"]).all()


def test_soft_labels_are_calibrated_as_they_are(log):
    """A model that predicts them exactly stays so; taken as classes they would be pushed to 0 and 1."""
    values = np.linspace(0.1, 0.6, len(log.item))[:, None].astype(np.float32)
    where = np.ones(values.shape, bool)
    valid, held = (
        held_out.held_out(log, split, ("satisfaction",), lambda at: (values[at], where[at]))
        for split in ("valid", "test")
    )
    exact = {split: values[days.positions] for split, days in (("valid", valid), ("test", held))}
    scored, _ = calibrated_and_fused(exact["valid"], exact["test"], valid, held, np.ones(1), 1.0)
    np.testing.assert_allclose(scored.probabilities, exact["test"], atol=0.01)
    assert figures.figures(scored, samples=2)["satisfaction/ece"][0] < 0.01


def test_soft_labels_above_a_half_are_positives(log):
    where = np.ones((len(log.item), 1), bool)
    values = np.linspace(0, 1, len(log.item))[:, None].astype(np.float32)
    held = held_out.held_out(log, "test", ("satisfaction",), lambda at: (values[at], where[at]))
    np.testing.assert_array_equal(held.positive[:, 0], ranked_positions(log, "test") > (len(log.item) - 1) / 2)
