"""A feed's own distribution: as often as its platform draws, and above every rule that only counts."""

import math

import numpy as np
import pytest

from benchmarks.realism import comparison as realism
from configs.world import get_config
from data import assembly, feedback
from data.raw.tables import Tables
from data.timelines import Timelines
from pipelines.systems.retrieval.ceiling import run
from retrieval.queries import NEXT_ITEM
from runtime.artifact import read_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS
from simulation.world.behaviour import Environment
from simulation.world.clustered.logging_policy import LoggingPolicy
from simulation.world.expectation import clustered
from simulation.world.expectation.base import Moments
from simulation.world.expectation.latent import LatentExpectation, shown
from simulation.world.feed import simulate
from simulation.world.latent.catalogue import draw_items
from simulation.world.latent.people import draw_latent_users
from simulation.world.latent.platform import Platform, as_known
from simulation.world.latent.popularity import step_of
from simulation.world.newcomers import as_world
from simulation.world.state import open_world, take
from simulation.world.tables import tables, truth, write


def _config(size: str = "tiny,latent", **changes):
    config = get_config(size)
    config.update_from_flattened_dict(changes)
    return config


def test_a_latent_feed_shows_items_as_often_as_their_distribution_says() -> None:
    config = _config(num_items=200, **{"policy.random": 0.1})
    rng = np.random.default_rng(0)
    catalogue = draw_items(rng, config)
    draws, days = 40_000, np.full(40_000, 2.3)
    people = take(draw_latent_users(rng, catalogue, config), np.zeros(draws, np.int64))  # the first, again and again
    platform = Platform(people, catalogue, config)
    items, _ = platform.serve(rng, np.arange(draws), days, np.ones(draws, bool))
    rate = np.bincount(items, minlength=200) / draws
    expected = shown(
        as_known(people, np.arange(1), days[:1]),
        people.weight[:1],
        catalogue.path[step_of(days[:1], config)],
        np.zeros((1, 200), bool),
        catalogue,
        config,
    )[0]
    assert expected.sum() == pytest.approx(1)
    # The rest of a pool is taken at its mean: a fifth is what that may be off by, beside luck.
    error = 4.5 * np.sqrt(expected * (1 - expected) / draws) + 0.2 * expected
    assert (np.abs(rate - expected) <= error + 1e-12).all()
    assert np.corrcoef(rate, expected)[0, 1] > 0.99


def _timelines(folder, feed, config) -> Timelines:
    log = tables(feed)
    made = assembly.assemble(Tables(log["events"], log["items"], log["users"], None, len(log["events"])))
    made.write(folder / "timelines")
    for kind, frames in (("tables", log), ("truth", truth(feed, config))):
        write(folder / "world" / kind, frames, kind=kind, config=config.to_dict())
    return Timelines.open(folder / "timelines")


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("place", [0, 1, 40])
def test_a_clustered_feed_shows_items_as_often_as_their_distribution_says(
    tmp_path, monkeypatch, place: int, goes_on: bool
) -> None:
    config = _config("tiny", num_users=60, num_events=6_000, num_items=120, num_creators=30, num_clusters=8)
    feed = simulate(config)
    log, world = _timelines(tmp_path, feed, config), as_world(feed, config)
    monkeypatch.setattr(clustered, "liked", lambda environment: np.ones(config.num_items))
    moments = Moments(world, log)
    user = int(np.argmax(np.diff(log.offsets)))
    before = log.offsets[user] + place
    pause = 1_000 if goes_on else 3_600_000
    time = log.timestamp_ms[before - 1] + log.play_ms[before - 1] + pause if place else log.timestamp_ms[before]
    expected = clustered.ClusteredExpectation(moments).next_item(*(np.array([n]) for n in (user, before, time)))[0]
    # The same person many times over, who did what the log says until then.
    rng, draws = np.random.default_rng(0), 40_000
    everybody, person = np.arange(draws), np.full(draws, moments.user[user])
    policy = LoggingPolicy(rng, Environment(take(world.people, person), world.catalogue, config))
    policy.affinity[:] = world.people.believed[person]
    for event in range(log.offsets[user], before):
        item, clicked = moments.item[log.item[event]], feedback.has(log.feedback[event : event + 1], "click")
        policy.observe(everybody, np.full(draws, item), np.repeat(clicked, draws))
    items, _ = policy.serve(rng, everybody, np.full(draws, not (goes_on and place)))
    rate = np.bincount(items, minlength=config.num_items)[moments.item[1:]] / draws
    new = ~np.isin(np.arange(1, len(expected)), log.item[log.offsets[user] : before])
    error = 4.5 * np.sqrt(expected[1:] * (1 - expected[1:]) / draws)
    assert (np.abs(rate - expected[1:]) <= error + 1e-12)[new].all()
    assert not expected[1:][~new].any()
    assert new.sum() == log.num_items - len(np.unique(log.item[log.offsets[user] : before]))
    assert expected.sum() == pytest.approx(rate[new].sum(), abs=0.01)


@pytest.mark.parametrize(
    ("size", "times"),
    [("tiny,latent", 1.2), ("tiny", 1.05)],
)
def test_no_rule_that_counts_finds_more_than_the_truth(tmp_path, size: str, times: float) -> None:
    config = _config(size, num_users=300, num_items=600, num_events=15_000)
    log = _timelines(tmp_path, simulate(config), config)
    found = realism.recalls(log, users=150, world=str(tmp_path / "world"))
    for protocol in realism.PROTOCOLS:
        assert realism.order(found, protocol)[0] == "ceiling"
        rules = [recall for name, recall in found.items() if name.startswith(protocol) and "ceiling" not in name]
        assert found[f"{protocol}/ceiling"] > times * max(rules)
    files = {"data": str(log.path), "world": str(tmp_path / "world"), "workdir": str(tmp_path)}
    with pytest.raises(UsageError, match=r"--config.positive=\('clicks',\): only click, "):
        run(positive=("clicks",), **files, users=150, events=2_000)
    run(positive=(), **files, users=150, events=2_000)
    metrics = read_json(tmp_path / METRICS)
    for protocol, prefix in (("next_days", ""), ("next_item", NEXT_ITEM)):
        assert metrics[f"{prefix}recall@100"] == pytest.approx(found[f"{protocol}/ceiling"], abs=1e-12)
        assert metrics[f"{prefix}recall@100/low"] < metrics[f"{prefix}recall@100"]


def test_what_is_met_is_never_expected_and_what_is_not_uploaded_hardly_ever(tmp_path) -> None:
    config = _config(num_events=6_000)
    feed = simulate(config)
    log, world = _timelines(tmp_path, feed, config), as_world(feed, config)
    start = log.manifest["test_start_ms"]
    users = np.arange(20)
    scores = LatentExpectation(Moments(world, log)).next_days(
        users, log.test_start[users], np.full(20, start), ends_ms=log.manifest["end_ms"]
    )
    met = np.zeros(scores.shape, bool)
    met[log.items_met(users, log.test_start[users])] = True
    met[:, 0] = False
    number = log.items["item_id"].fill_null(-1).to_numpy()
    later = (number >= 0) & (world.catalogue.uploaded_ms[number] > start + 6 * 3_600_000)
    assert later.any()
    assert (scores >= 0).all()
    uniform = config.policy.random / config.num_items
    assert scores[met].max() <= 2 * config.people.tastes * 2 * uniform * math.ceil(config.days)
    assert not scores[:, later].any()


def test_a_world_of_before_beliefs_were_kept_is_refused(tmp_path) -> None:
    config = _config("tiny", num_users=20, num_events=400)
    feed = simulate(config)
    older = truth(feed, config)["users"].drop("believed")
    write(tmp_path / "older" / "tables", tables(feed), kind="tables", config=config.to_dict())
    write(tmp_path / "older" / "truth", truth(feed, config) | {"users": older}, kind="truth", config=config.to_dict())
    with pytest.raises(DataError, match="no column 'believed': of an older feed"):
        open_world(str(tmp_path / "older"))
