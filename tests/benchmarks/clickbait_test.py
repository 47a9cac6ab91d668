"""Whose lists satisfy by the feed's truth: what is compared, that the truth itself wins, and the mistakes reported."""

import numpy as np
import pytest

from benchmarks.clickbait import comparison
from benchmarks.clickbait.comparison import (
    CHOSEN,
    PAPER,
    WEIGHTS,
    ablated,
    compare,
    figures,
    table,
    true_satisfaction,
    weight_that_keeps,
)
from configs.satisfaction import get_config
from data import assembly
from data.raw import quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from runtime.artifact import write_json
from runtime.errors import UsageError
from satisfaction.experiments.trials import Trials
from satisfaction.run import identity
from satisfaction.run_folder import open_run
from satisfaction.saqrec.alignment import SAQREC, train_alignment
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.unbiased import imputed as scores
from satisfaction.unbiased.steps import EMBEDDINGS, SCORES
from simulation.world.state import open_world
from tests.logs import small_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny world, its timelines, a run of the main model, and an ablation, which is what that run is anyway."""
    root = tmp_path_factory.mktemp("clickbait")
    small_world.write(root, num_users=200, num_events=16_000)
    made = assembly.assemble(read_tables(root / "tables", quarantine=quarantine.Quarantine()))
    made.write(root / "timelines")
    log = Timelines.open(root / "timelines")

    config, rng, run = get_config("tiny"), np.random.default_rng(0), root / "run"
    config.protocol, config.base.recommender = "leave_one_out", "elsewhere"
    config.align.update({"length": 8, "satisfied_length": 4, "dissatisfied_length": 2, "hidden": 8, "gru_hidden": 8})
    config.align.update(
        {"num_levels": 3, "disentanglement": False, "levels": False, "popularity": False}
    )  # compiles quickly
    run.mkdir()
    write_json(run / "config.json", identity(config, log))
    user, item = (rng.normal(size=(n, 6)).astype(np.float32) for n in (log.num_users, log.num_items + 1))
    base = BaseEmbeddings(user, item)
    base.save(run / EMBEDDINGS, log)
    imputed, propensity = rng.random((2, len(log.item)))
    scores.write(
        run / SCORES, log, satisfaction=imputed, propensity=propensity, method="ips", clip=0.1, protocol=config.protocol
    )
    train_alignment(config, log, base, scores.open_scores(run / SCORES, log, "--run"), run / "align")
    trials = Trials(str(log.path), run=str(run), refit=False, workdir=str(root / "ablations"))
    trials.measure("exact/no_sid", {"disentanglement": False, "click_loss": "exact"}, seed=0)
    return root


def opened(folder):
    log = Timelines.open(folder / "timelines")
    return open_world(str(folder)), log, open_run(folder / "run", log, flag="--run")


def measured(folder, **options):
    given = {"ablations": str(folder / "ablations"), "keep": 0.0, **options}
    return compare(world=str(folder), data=str(folder / "timelines"), run=str(folder / "run"), **given)


def test_every_row_is_measured_and_saqrec_is_held_up_against_each(folder, capsys):
    metrics = measured(folder)
    rows = ("popularity", "item_knn", "item_knn_popularity", "base", "gru_softmax", "no_sid", PAPER, CHOSEN)
    assert {key.removesuffix("/hr@10") for key in metrics if key.endswith("/hr@10") and "valid" not in key} == {*rows}
    for ours in (PAPER, CHOSEN):
        for row in set(rows) - {ours}:
            key = f"{ours}/gain_over/{row}/satisfaction@10"
            expected = metrics[f"{ours}/satisfaction@10"] - metrics[f"{row}/satisfaction@10"]
            np.testing.assert_allclose(metrics[key], expected, atol=1e-12)
            assert metrics[f"{key}/low"] <= metrics[key] <= metrics[f"{key}/high"]
    assert metrics[f"{PAPER}/gain_over/no_sid/satisfaction@10"] == 0  # the same model, from the same seed
    assert metrics["satisfaction_weight"] == max(WEIGHTS)  # every weight keeps nothing of the base's
    lines = table(metrics).splitlines()
    shown = ["popularity", "item_knn", "item_knn_popularity", "base", "gru_softmax", PAPER, CHOSEN, "no_sid"]
    assert [line.split()[0] for line in lines[1:]] == shown
    assert capsys.readouterr().out == ""


def test_where_no_weight_keeps_enough_the_papers_ranking_is_measured_alone(folder, capsys):
    metrics = measured(folder, ablations=None, keep=100.0)
    assert (metrics["satisfaction_weight"], metrics["valid/kept"]) == (0.0, 0.0)
    assert not any(key.startswith(f"{CHOSEN}/") for key in metrics)
    assert "no weight keeps 10000% of the base recommender's HR@10" in capsys.readouterr().out


def test_a_list_by_the_truth_satisfies_most_and_its_figure_is_that_of_the_best_items_not_clicked(folder):
    world, log, run = opened(folder)
    clicks = run.models[SAQREC].histories.clicks
    users, before = clicks.targets("test")
    moments = np.asarray(log.timestamp_ms)[clicks.event[before]]
    every = np.broadcast_to(clicks.corpus[1 : clicks.num_items + 1], (len(users), clicks.num_items))
    known = true_satisfaction(world, log, users, every, moments)  # [Q, n]
    row_of = {int(user): row for row, user in enumerate(users)}

    def by_truth(asked, _):
        found = known[[row_of[int(user)] for user in asked]]
        return np.concatenate([np.zeros((len(asked), 1)), found], axis=1)

    best = comparison.satisfaction(by_truth, clicks, log, world)
    worst = comparison.satisfaction(lambda u, b: -by_truth(u, b), clicks, log, world)
    for row in range(0, len(users), 7):
        new = np.setdiff1d(np.arange(1, clicks.num_items + 1), clicks.item[clicks.offsets[users[row]] : before[row]])
        expected = np.sort(known[row, new - 1])
        np.testing.assert_allclose([worst[row], best[row]], [expected[:10].mean(), expected[-10:].mean()])
    assert (best >= comparison.satisfaction(run.models[SAQREC].score, clicks, log, world) - 1e-12).all()


def test_figures_are_means_and_paired_gains():
    found = {
        "item_knn": (np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.5, 0.6, 0.7, 0.8])),
        PAPER: (np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.6, 0.7, 0.8, 0.9])),
    }
    metrics = figures(found, of=[PAPER])
    assert (metrics["item_knn/hr@10"], metrics[f"{PAPER}/hr@10"]) == (0.5, 0.75)
    np.testing.assert_allclose(metrics[f"{PAPER}/gain_over/item_knn/hr@10/relative"], 0.75 / 0.5 - 1)
    # 0.1 for each user: no draw of users can say anything else
    gain = f"{PAPER}/gain_over/item_knn/satisfaction@10"
    np.testing.assert_allclose([metrics[gain], metrics[f"{gain}/low"], metrics[f"{gain}/high"]], 0.1)


def test_the_largest_weight_that_keeps_enough_is_chosen():
    kept = {0.0: 0.6, 1.0: 0.62, 2.0: 0.58, 4.0: 0.59, 8.0: 0.5}
    assert weight_that_keeps(kept, 0.59) == (4.0, True)  # whatever a smaller one loses
    assert weight_that_keeps(kept, 0.7) == (0.0, False)


def test_ablations_that_are_none_or_of_another_run_are_refused(folder, tmp_path):
    _, log, run = opened(folder)
    with pytest.raises(UsageError, match=r"--ablations=.*: no variants of click loss exact here; run sat"):
        ablated(tmp_path, str(folder / "run"), run, log)
    run.config.align.refit = True
    with pytest.raises(UsageError, match=r"--ablations=.*: trained with --refit=False, not as --run was"):
        ablated(folder / "ablations", str(folder / "run"), run, log)
    run.config.align.refit = False
    mine = BaseEmbeddings.open(folder / "run" / EMBEDDINGS, log, "--run")
    BaseEmbeddings(mine.user, mine.item + 1).save(tmp_path / EMBEDDINGS, log)
    with pytest.raises(UsageError, match=r"--ablations=.*: of another run than --run"):
        ablated(folder / "ablations", str(tmp_path), run, log)
