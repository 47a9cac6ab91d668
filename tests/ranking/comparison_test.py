"""A real ranker, not yet trained, measured beside a baseline on a small log, and mistakes as a user makes them."""

import json

import jax
import numpy as np
import pytest

from configs.ranking import get_config
from data.impressions import ranked_positions
from ranking import checkpoint, comparison, log_statistics
from ranking.model import inspection
from runtime.errors import UsageError
from tests.helpers import command_line
from tests.logs import impression_log


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return impression_log.write(tmp_path_factory.mktemp("log") / "timelines", per_day=8, silent=2)


@pytest.fixture(scope="module")
def ranker(log):
    config = get_config("tiny,full")
    statistics = log_statistics.build(log, config.history_feedback)
    model = checkpoint.build(config, log, statistics)
    return checkpoint.Ranker(model.merge, jax.jit(model.init)(jax.random.key(0)), config, log, statistics, None)


@pytest.fixture(scope="module")
def measured(log, ranker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "load", lambda path, timelines, flag: ranker)
        comparison.run(
            data=str(log.path),
            checkpoint=["full"],
            compare=["no_feedback_encoder=other"],
            workdir=str(folder),
            split="test",
            gamma=[],
            penalty=1.0,
            with_lightgbm=True,
            samples=20,
        )
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "curves", "reliability")}


def test_every_row_has_every_figure_and_its_difference(measured):
    metrics = measured["metrics"]
    for row in ("", "no_feedback_encoder/", "lightgbm/", "popularity/"):
        for name in ("EVV/auc", "FVV/gauc", "GVV/logloss", "GVV/ece", "fused/ndcg@10"):
            assert f"{row}{name}" in metrics
            if row:
                assert metrics[f"{row}{name}/difference"] == pytest.approx(metrics[name] - metrics[f"{row}{name}"])
                assert {f"{row}{name}/difference/low", f"{row}{name}/difference/high"} <= metrics.keys()
    assert all(np.isfinite(value) for value in metrics.values())
    # The baseline is the same ranker; the trees, which alone are trained, find the taste that is planted.
    assert (
        metrics["no_feedback_encoder/EVV/auc/difference/low"]
        == metrics["no_feedback_encoder/EVV/auc/difference/high"]
        == 0
    )
    assert metrics["lightgbm/EVV/auc/low"] > 0.55
    assert metrics["lightgbm/EVV/auc/difference/high"] < 0
    assert measured["reliability"].keys() == {"model", "no_feedback_encoder", "lightgbm", "popularity"}


def test_gates_sum_to_one_and_every_feature_has_its_weight(log, ranker, measured):
    curves = measured["curves"]
    assert curves["gates"].keys() == {"EVV", "FVV", "GVV"}
    for weights in curves["gates"].values():
        assert len(weights) == 4
        assert sum(weights) == pytest.approx(1, abs=1e-4)
    assert [name for name, _ in curves["slots"]] == list(ranker.model.features.names)
    # α, of equation 7: σ(W_slot [E_trans; e_u; e_i; e_p]) in NumPy, on the impressions that were measured.
    layer, held = ranker.model.context, ranked_positions(log, "test")
    found = ranker.model.features(ranker.impressions.inputs(held))
    features, context = (np.asarray(part, np.float64) for part in found)
    w_1, w_slot = (np.asarray(part.kernel[...], np.float64) for part in (layer.transformation, layer.importance))
    alpha = 1 / (1 + np.exp(-np.concatenate([features * (1 + context @ w_1), context], axis=-1) @ w_slot))
    np.testing.assert_allclose([weight for _, weight in curves["slots"]], alpha.mean(axis=(0, 1)), atol=1e-5)


def test_slots_that_cut_through_features_are_named_by_their_ends():
    assert inspection._slot_names(("a", "b", "c", "d"), 2) == ["a … b", "c … d"]
    assert inspection._slot_names(("a", "b", "c"), 2) == ["a … b", "b … c"]
    assert inspection._slot_names(("a", "b"), 4) == ["a", "a", "b", "b"]
    assert inspection._slot_names(("a", "b"), 1) == ["a … b"]


def test_a_comparison_that_was_never_trained_is_named_by_its_flag(log, tmp_path):
    with pytest.raises(UsageError, match=r"^--compare=mlp=.*none: no complete training run here; run ranking.train"):
        checkpoint.load_row([str(tmp_path / "none")], log, "--compare=mlp")


EVALUATE = ["ranking.evaluate", "--data={folder}/timelines", "--workdir={folder}/new"]
MISTAKES = {
    "no checkpoint": (EVALUATE, "--checkpoint is required", "--help"),
    "no data": (["ranking.evaluate", "--checkpoint={folder}/full"], "--data is required", "--help"),
    "nothing trained": (
        [*EVALUATE, "--checkpoint={folder}/none"],
        "--checkpoint={folder}/none: no complete training run",
        "run ranking.train on it first",
    ),
    "comparison without a name": (
        [*EVALUATE, "--checkpoint={folder}/full", "--compare={folder}/none"],
        "--compare={folder}/none: write NAME=DIR",
        "DIR being the folder that ranking.train wrote",
    ),
    "no timelines": (
        ["ranking.evaluate", "--data={folder}/none", "--checkpoint={folder}/full", "--workdir={folder}/new"],
        "--data={folder}/none: no timelines",
        "give the folder",
    ),
}


@pytest.fixture(scope="module")
def folder(log):
    return log.path.parent


@pytest.fixture(scope="module")
def ended(folder):
    commands = {
        name: [word.replace("{folder}", str(folder)) for word in words] for name, (words, *_) in MISTAKES.items()
    }
    return command_line.run(commands, preload=("ranking.comparison",))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_status_and_one_line_that_names_the_thing_and_a_remedy(ended, folder, name):
    _, wrong, remedy = MISTAKES[name]
    done = ended[name]
    assert done.status == 2, done.stderr
    assert wrong.replace("{folder}", str(folder)) in done.stderr
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1
