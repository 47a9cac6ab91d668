"""The true probabilities of a feed: as often as it would draw, and above any other order of the log."""

import dataclasses
import json

import numpy as np
import pytest

from configs.world import get_config
from data import assembly
from data.feedback import SKIP_BELOW_MS, has
from data.raw import quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from data.watch_time import RELATIVE, thresholds, watch_feedback
from metrics import binary
from ranking.baselines.truth import read_truth
from runtime.errors import UsageError
from simulation.world import true_probabilities
from simulation.world.behaviour import Environment, react
from simulation.world.chances import TASKS, chances
from simulation.world.state import open_world
from tests.logs import small_world

DRAWS = 4_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    small_world.write(root)
    made = assembly.assemble(read_tables(root / "tables", quarantine=quarantine.Quarantine()))
    made.write(root / "timelines")
    true_probabilities.run(world=str(root), data=str(root / "timelines"), workdir=str(root / "ceiling"))
    return root


def test_chances_are_the_rates_of_many_draws(folder):
    world = open_world(str(folder))
    users, items = np.array([0, 1, 2, 3, 4]), np.array([0, 7, 20, 33, 100])
    ready, sour = world.people.readiness.copy(), world.people.sour_cluster.copy()
    ready[2], sour[2] = 0.4, True  # one who has had enough, and says so
    people = dataclasses.replace(world.people, readiness=ready, sour_cluster=sour)
    above = np.array([[2_500.5, 6_999], [7_000, 30_000], [900, 1e9], [0, 4_000], [20_000, 100]], np.float32)
    environment = Environment(people, world.catalogue, world.config)
    expected = chances(TASKS, environment, users, items, above_ms=above)
    drawn = react(np.random.default_rng(0), environment, np.repeat(users, DRAWS), np.repeat(items, DRAWS))
    play = drawn.play_ms.reshape(-1, DRAWS)
    rates = {
        "EVV": play > above[:, :1],
        "FVV": play > above[:, 1:],
        "GVV": play < SKIP_BELOW_MS,
        **{name: getattr(drawn, name).reshape(-1, DRAWS) for name in ("long_view", "click", "like", "dislike")},
    }
    for column, task in enumerate(TASKS):
        p = expected[:, column]
        error = np.sqrt(p * (1 - p) / DRAWS)
        assert (np.abs(rates[task].mean(axis=1) - p) <= 4.5 * error + 1e-12).all(), task


def test_the_truth_of_a_log_is_calibrated_and_orders_it_better_than_what_is_seen_of_it(folder):
    log = Timelines.open(folder / "timelines")
    truth = read_truth(folder / "ceiling" / "truth", log, ("EVV", "GVV", "click"))
    at = np.flatnonzero(~log.in_split("train"))
    p = truth.predict(at)
    watched = watch_feedback(log.play_ms[at], log.item[at], thresholds(log))
    labels = np.stack([watched["EVV"], watched["GVV"], has(log.feedback[at], "click")], axis=1)
    error = np.sqrt((p * (1 - p)).sum(axis=0)) / len(at)
    assert (np.abs(labels.mean(axis=0) - p.mean(axis=0)) < 4.5 * error).all()
    for k in range(3):
        share = np.bincount(log.item, minlength=log.num_items + 1)[log.item[at]]
        assert binary.auc(p[:, k], labels[:, k]) > 0.55 + max(0, abs(binary.auc(share, labels[:, k]) - 0.5))


def test_days_that_are_learned_from_have_no_truth(folder):
    log = Timelines.open(folder / "timelines")
    truth = read_truth(folder / "ceiling" / "truth", log, ("EVV",))
    held = ~log.in_split("train")
    np.testing.assert_array_equal(np.isfinite(truth.predict(np.arange(len(log.item)))[:, 0]), held)
    metrics = json.loads((folder / "ceiling" / "metrics.json").read_text())
    assert metrics["click/probability"] == pytest.approx(metrics["click/observed"], abs=0.1)
    test = np.flatnonzero(log.in_split("test"))
    click = read_truth(folder / "ceiling" / "truth", log, ("click",)).predict(test)[:, 0]
    assert metrics["click/auc"] == pytest.approx(binary.auc(click, has(log.feedback[test], "click")))
    true_probabilities.run(world=str(folder), data=str(folder / "timelines"), workdir=str(folder / "ceiling"))


def test_the_truth_of_another_log_is_refused(folder, tmp_path):
    log = Timelines.open(folder / "timelines")
    with pytest.raises(UsageError, match=r"--truth=.*: knows EVV, .*, none of the tasks satisfaction; leave it out"):
        read_truth(folder / "ceiling" / "truth", log, ("satisfaction",))
    config = get_config("tiny")
    small_world.write(tmp_path, seed=config.seed + 1)
    with pytest.raises(UsageError, match="give the world that the timelines were made of"):
        true_probabilities.true_probabilities(
            open_world(str(tmp_path)), log, np.arange(9), thresholds(log)[:, : len(RELATIVE)]
        )
