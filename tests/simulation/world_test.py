"""The synthetic feed: what its log looks like, what sets in after an aversion, and that the truth stays apart."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.world import get_config
from runtime.errors import UsageError
from simulation.world.behaviour import Environment, react
from simulation.world.draws import GroupSampler
from simulation.world.facts import around_first_dislike, given_feedback, log_facts, stickiness, truth_facts
from simulation.world.feed import Feed, check, simulate
from simulation.world.population import draw_catalogue, draw_users
from simulation.world.tables import tables, truth

ROOT = Path(__file__).resolve().parent.parent.parent


def _config(size: str = "tiny", **changes):
    config = get_config(size)
    config.update(changes)
    return config


@pytest.fixture(scope="module")
def feed() -> Feed:
    return simulate(_config(num_users=600, num_items=1_200, num_creators=240, num_clusters=24, num_events=90_000))


@pytest.fixture(scope="module")
def log(feed: Feed) -> dict[str, pl.DataFrame]:
    return tables(feed)


@pytest.fixture(scope="module")
def known(feed: Feed) -> dict[str, pl.DataFrame]:
    return truth(feed, get_config("tiny"))


def _run(workdir: Path, *flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "simulation.world", "--config=configs/world.py:tiny", f"--workdir={workdir}"]
    return subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, check=False)


def test_rates_lie_where_the_real_logs_put_them(log, known) -> None:
    facts = log_facts(log["events"], log["items"]) | truth_facts(log["events"], known["impressions"])
    bands = {
        "rate/click": (0.38, 0.52),
        "rate/long_view": (0.26, 0.37),
        "rate/like": (0.012, 0.025),
        "rate/dislike": (0.01, 0.02),
        "rate/under_3_s": (0.35, 0.47),
        "play_ms/disliked/median": (3_000, 7_000),
        "disliked/long_view": (0.15, 0.30),
        "averse/share": (0.015, 0.05),
        "questionnaires/answered": (0.01, 0.04),
    }
    outside = {name: facts[name] for name, (low, high) in bands.items() if not low <= facts[name] <= high}
    assert not outside
    assert facts["play_ms/liked/median"] > 2 * facts["play_ms/disliked/median"]


def test_a_sour_cluster_is_disliked_far_above_base_and_still_watched(log, known) -> None:
    facts = truth_facts(log["events"], known["impressions"])
    assert facts["averse/dislike"] > 50 * facts["not_averse/dislike"]
    assert facts["averse/like"] < 0.5 * facts["not_averse/like"]
    assert 0.4 * facts["not_averse/long_view"] < facts["averse/long_view"] < 0.85 * facts["not_averse/long_view"]


def test_dislikes_do_not_depend_on_dwell_once_sour(log, known) -> None:
    sour = log["events"].filter(known["impressions"]["averse"])
    long, short = sour.filter("long_view"), sour.filter(~pl.col("long_view"))
    spread = math.sqrt(0.25 / long.height + 0.25 / short.height)
    assert abs(long["dislike"].mean() - short["dislike"].mean()) < 4 * spread


def test_after_a_dislike_the_same_cluster_is_disliked_again_and_still_served(log) -> None:
    facts = log_facts(log["events"], log["items"])
    assert facts["cluster_after_dislike/dislike"] > 5 * facts["rate/dislike"]
    assert facts["cluster_after_dislike/long_view"] < 0.9 * facts["cluster_before_dislike/long_view"]
    # The platform is deaf to dislikes.
    assert facts["cluster_after_dislike/share"] > 0.5 * facts["cluster_before_dislike/share"]
    assert facts["next_same_cluster/within_a_minute"] > 1.5 * facts["next_same_cluster/hours_later"]
    assert facts["next_same_creator/within_a_minute"] > 2 * facts["next_same_creator/hours_later"]


def test_aversions_begin_at_a_watched_item_of_their_target_and_last(log, known) -> None:
    groups = log["items"].select("item_id", cluster="cluster_id", creator="creator_id")
    shown = pl.concat([log["events"], known["impressions"].select("averse")], how="horizontal").join(
        groups, on="item_id"
    )
    for against in ("cluster", "creator"):
        onsets = (
            known["aversions"].filter(pl.col("against") == against).select("user_id", "target_id", since="timestamp_ms")
        )
        assert len(onsets) == onsets.select("user_id", "target_id").n_unique() > 0
        met = shown.join(onsets, left_on=["user_id", against], right_on=["user_id", "target_id"])
        assert met.filter(pl.col("timestamp_ms") > pl.col("since"))["averse"].all()
        begun = met.filter(pl.col("timestamp_ms") == pl.col("since"))
        assert begun.height == len(onsets)
        assert begun["click"].all()
        assert not begun["averse"].any()


def test_random_exposure_is_uniform_over_the_catalogue(log) -> None:
    shown = log["events"].filter("randomly_exposed")
    assert 0.02 < shown.height / log["events"].height < 0.03
    counts = np.bincount(shown["item_id"].to_numpy(), minlength=log["items"].height)
    # Pearson's statistic has mean and half variance N - 1.
    expected = shown.height / len(counts)
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - (len(counts) - 1)) < 5 * math.sqrt(2 * (len(counts) - 1))


@pytest.mark.parametrize("feature", ["answered", "shown"])
def test_propensities_are_those_with_which_questionnaires_come(log, known, feature: str) -> None:
    events, impressions = log["events"], known["impressions"]
    shown = events["questionnaire_shown"].to_numpy()
    answered = events["questionnaire_answer"].is_not_null().to_numpy()
    assert not (answered & ~shown).any()
    propensity = impressions[f"{feature}_propensity"].to_numpy()
    happened = shown
    if feature == "answered":
        propensity, happened = propensity[shown], answered[shown]
    order = np.argsort(propensity)
    for part in np.array_split(order, 5):
        p = propensity[part]
        assert abs(happened[part].mean() - p.mean()) < 4 * math.sqrt((p * (1 - p)).mean() / len(part))


def test_answers_are_kinder_than_the_truth_and_inverse_propensity_mends_it(log, known) -> None:
    impressions = known["impressions"]
    everybody = impressions["satisfaction_probability"].mean()
    answered = log["events"]["questionnaire_answer"]
    assert answered.mean() > everybody + 0.04
    propensity = (impressions["shown_propensity"] * impressions["answered_propensity"]).to_numpy()
    weight = answered.is_not_null().to_numpy() / propensity
    mended = (weight * answered.fill_null(0).to_numpy()).mean()
    assert abs(mended - everybody) < 4 * math.sqrt((1 / propensity).mean() / len(propensity))


def test_answers_are_the_satisfaction_that_was_drawn(log, known) -> None:
    there = log["events"]["questionnaire_answer"].is_not_null()
    answers = log["events"]["questionnaire_answer"].filter(there)
    assert (answers == known["impressions"]["satisfied"].filter(there).cast(pl.Int8)).all()


def test_clickbait_is_clicked_and_disappoints() -> None:
    config = _config()
    rng = np.random.Generator(np.random.PCG64(0))
    catalogue = draw_catalogue(rng, config)
    people = draw_users(rng, catalogue, config)
    users, items = np.zeros(40_000, int), np.full(40_000, 7)
    react_ = {}
    for clickbait in (0.0, 1.0):
        catalogue.clickbait[7] = clickbait
        react_[clickbait] = react(rng, Environment(people, catalogue, config), users, items)
    assert react_[1.0].click.mean() > react_[0.0].click.mean() + 0.05
    assert react_[1.0].play_ms.mean() > react_[0.0].play_ms.mean()
    assert react_[1.0].satisfied.mean() < react_[0.0].satisfied.mean() - 0.1


def test_turning_sour_touches_the_users_named_and_no_other() -> None:
    config = _config()
    config.behaviour.cluster_turns_sour = 1.0
    rng = np.random.Generator(np.random.PCG64(0))
    catalogue = draw_catalogue(rng, config)
    people = draw_users(rng, catalogue, config)
    users, items, engaged = np.array([3, 5]), np.array([1, 2]), np.array([True, False])
    environment = Environment(people, catalogue, config)
    cluster, creator = environment.people.take_in(rng, environment, users, items, engaged)
    assert cluster.tolist() == [True, False]
    assert not creator.any()
    assert people.sour_cluster.sum() == 1
    assert people.sour_cluster[3, catalogue.cluster[1]]
    before = react(rng, environment, users, items)
    assert before.averse.tolist() == [True, False]


def test_ids_and_times_are_consistent(log, known) -> None:
    events, items, users = log["events"], log["items"], log["users"]
    assert items["item_id"].n_unique() == items.height == 1_200
    assert users["user_id"].n_unique() == users.height == 600
    assert set(events["user_id"]) == set(users["user_id"])
    assert set(events["item_id"]) <= set(items["item_id"])
    assert abs(events.height - 90_000) < 900
    start = get_config("tiny").start_ms
    assert start <= events["timestamp_ms"].min()
    assert events["timestamp_ms"].max() <= start + 14 * 86_400_000
    assert items["uploaded_ms"].max() <= start
    assert events["timestamp_ms"].is_sorted()
    apart = events.sort("user_id", "timestamp_ms").select(pl.col("timestamp_ms").diff().over("user_id")).drop_nulls()
    assert apart["timestamp_ms"].min() > 0
    assert (events["play_ms"] <= events["duration_ms"]).all()
    for table in ("items", "users"):
        assert (known[table].to_series(0) == log[table].to_series(0)).all()
    assert (
        known["impressions"]
        .select("user_id", "item_id", "timestamp_ms")
        .equals(events.select("user_id", "item_id", "timestamp_ms"))
    )


def test_no_true_quantity_is_in_the_tables(log, known) -> None:
    keys = {"user_id", "item_id", "timestamp_ms"}
    hidden = {name for frame in known.values() for name in frame.columns} - keys
    assert not hidden & {name for frame in log.values() for name in frame.columns}


def test_another_seed_gives_another_feed() -> None:
    first, second = (simulate(_config(seed=seed, num_events=2_000)) for seed in (1, 2))
    assert not np.array_equal(first.item[:500], second.item[:500])


@pytest.mark.parametrize(
    ("size", "users", "items", "events"), [("demo", 2_000, 3_000, 3e5), ("standard", 5_000, 10_000, 1e6)]
)
def test_sizes_are_those_promised(size: str, users: int, items: int, events: float) -> None:
    config = get_config(size)
    assert (config.num_users, config.num_items, config.num_events) == (users, items, events)


def test_group_sampler_draws_by_weight_within_the_group() -> None:
    sampler = GroupSampler(np.array([1, 0, 1, 1]), np.array([1.0, 5.0, 1.0, 2.0]), 2)
    ones = np.ones(4, int)
    # Weights 1, 1, 2 of items 0, 2, 3 cut [0, 1) at 1/4 and 1/2.
    assert sampler.draw(ones, np.array([0.0, 0.3, 0.5, 0.999])).tolist() == [0, 2, 3, 3]
    assert sampler.draw(np.zeros(2, int), np.array([0.0, 0.999])).tolist() == [1, 1]


def test_facts_of_a_log_by_hand() -> None:
    hour = 3_600_000
    events = pl.DataFrame(
        {
            "user_id": [1] * 6,
            "item_id": [1, 2, 1, 3, 4, 4],
            "timestamp_ms": [0, 1_000, 2_000, 9 * hour, 9 * hour + 1, 18 * hour],
            "play_ms": [10, 20, 30, 40, 50, 60],
            "click": [1, 0, 1, 0, 1, 0],
            "long_view": [1, 1, 0, 0, 0, 0],
            "like": [1, 0, 0, 0, 0, 1],
            "dislike": [0, 1, 1, 0, 0, 0],
            "cluster_id": [0, 0, 0, 0, 1, 1],
            "creator_id": [5, 5, 6, 7, 8, 8],
        }
    )
    given = given_feedback(events)
    # like, dislike, dislike, like: after the like a dislike, after the dislikes a dislike and a like.
    assert given["next_explicit_is_dislike/after_like"] == 1.0
    assert given["next_explicit_is_dislike/after_dislike"] == 1 / 2
    assert given["play_ms/disliked/median"] == 25
    assert given["disliked/clicked"] == 1 / 2
    assert given["dislikes_per_disliking_user/median"] == 2
    sticky = stickiness(events)
    # In session 1->2, 2->1, 3->4; hours later 1->3; 4->4 is the same item.
    assert sticky["next_same_cluster/within_a_minute"] == pytest.approx(2 / 3)
    assert sticky["next_same_creator/within_a_minute"] == pytest.approx(1 / 3)
    assert sticky["next_same_cluster/hours_later"] == 1.0
    around = around_first_dislike(events)
    # The first dislike is the second of six events: one event before, four after, two of them of its cluster.
    assert around["cluster_before_dislike/share"] == 1.0
    assert around["cluster_after_dislike/share"] == 2 / 4
    assert around["cluster_after_dislike/dislike"] == 1 / 2
    assert around["cluster_after_dislike/click"] == 1 / 2


def test_facts_without_a_dislike_are_not_numbers(log) -> None:
    quiet = log["events"].with_columns(dislike=pl.lit(False))
    facts = log_facts(quiet, log["items"])
    assert facts["rate/dislike"] == 0.0
    assert math.isnan(facts["cluster_after_dislike/dislike"])
    assert math.isnan(facts["play_ms/disliked/median"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_creators", 5, "--config.num_creators=5: at least 12, one for each cluster"),
        ("num_items", 10, "--config.num_items=10: at least 80, one for each creator"),
        ("num_events", 10, "--config.num_events=10: at least 600, 3 for each user"),
        ("num_users", 0, "--config.num_users=0: at least 1"),
        ("interests", 0, "--config.interests=0: at least 1"),
    ],
)
def test_worlds_that_cannot_be_are_refused(name: str, value: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(_config(**{name: value}))


@pytest.mark.parametrize(("name", "num_events"), [("tiny", 18_000), ("tiny,latent", 27_000)])
def test_a_world_whose_days_are_over_before_its_people_are_done_is_refused(name: str, num_events: int) -> None:
    config = get_config(name)
    config.update({"num_users": 3, "days": 1, "num_items": 8_000, "num_events": num_events})
    check(config)
    with pytest.raises(UsageError, match=r"--config\.days=1: over before the busiest user has watched it"):
        simulate(config)


@pytest.mark.parametrize("name", ["behaviour.like", "behaviour.dislike_sour", "policy.random"])
def test_probabilities_beyond_one_are_refused(name: str) -> None:
    config = _config()
    section, entry = name.split(".")
    config[section][entry] = 1.5
    with pytest.raises(UsageError, match=f"--config.{name}=1.5"):
        check(config)


def test_binary_writes_the_same_bytes_twice_and_keeps_truth_apart(tmp_path) -> None:
    for name in ("a", "b"):
        done = _run(tmp_path / name)
        assert done.returncode == 0, done.stderr
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert {str(p) for p in files} == {
        "config.json",
        "metrics.json",
        *(f"tables/{name}" for name in ("manifest.json", "events.parquet", "items.parquet", "users.parquet")),
        *(f"truth/{name}.parquet" for name in ("impressions", "items", "users", "aversions")),
        "truth/manifest.json",
    }
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert 0.01 <= json.loads((tmp_path / "a" / "metrics.json").read_text())["rate/dislike"] <= 0.02

    again = _run(tmp_path / "a")
    assert again.returncode == 0
    assert "complete already" in again.stdout
    other = _run(tmp_path / "a", "--config.seed=2")
    assert other.returncode == 2
    assert "seed" in other.stderr
    assert "Traceback" not in other.stderr


def test_binary_names_the_mistake(tmp_path) -> None:
    done = _run(tmp_path / "w", "--config.num_items=10")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("--config.num_items=10: at least 80, one for each creator")
    assert not (tmp_path / "w").exists()
