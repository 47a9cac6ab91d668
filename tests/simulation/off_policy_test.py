"""Off-policy estimates: the estimators by hand, then a whole check on a small world whose truth is known."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.off_policy import get_config
from data import assembly, feedback
from data.raw.quarantine import Quarantine
from data.readers.canonical.layout import read_tables
from data.timelines import Timelines
from metrics.intervals import Interval
from runtime.errors import UsageError
from simulation.exported.recommender import load
from simulation.off_policy.check import not_uniform, run
from simulation.off_policy.contexts import Contexts, Policy, contexts, policy
from simulation.off_policy.coverage import coverage
from simulation.off_policy.estimators import effective_size, estimate
from simulation.off_policy.exposures import REWARDS, Exposures
from simulation.off_policy.reward_model import fit
from simulation.off_policy.truth import TruthAt
from simulation.world.state import World, open_world
from tests.helpers import command_line
from tests.logs import random_timelines, small_world

NUM_ITEMS = 400
BEFORE_TEST = {"counted_until": "test", "config": {"train_on": ["train", "valid"]}}  # the lineage of an arm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world, its timelines and an arm that was trained on them."""
    folder = tmp_path_factory.mktemp("all")
    small_world.write(folder / "world")
    tables = read_tables(folder / "world" / "tables", quarantine=Quarantine(enabled=False))
    # Most random exposures of so small a world are needed: it is tested on most of its days.
    made = assembly.assemble(tables, valid_share=0.1, test_share=0.7)
    made.write(folder / "timelines", {"dataset": "tables"})
    known = Timelines.open(folder / "timelines").manifest["vocabulary_hash"]
    small_world.arm(folder / "arm", num_items=NUM_ITEMS, seed=0, vocabulary_hash=known, lineage=BEFORE_TEST)
    return folder


@pytest.fixture(scope="module")
def log(folder: Path) -> Timelines:
    return Timelines.open(folder / "timelines")


@pytest.fixture(scope="module")
def world(folder: Path) -> World:
    return open_world(str(folder / "world"))


def test_estimates_by_hand() -> None:
    weights = np.array([0.0, 4.0, 1.0, 0.0, 2.0])
    reward = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    of_policy, of_item = np.full(5, 0.5), np.array([0.2, 0.5, 0.5, 0.2, 1.0])
    found = estimate(weights, {"r": reward}, {"r": (of_policy, of_item)}, np.arange(5), samples=200, seed=0)
    assert found["r/ips"].value == pytest.approx((4 + 2) / 5)
    assert found["r/snips"].value == pytest.approx((4 + 2) / (4 + 1 + 2))
    assert found["r/dr"].value == pytest.approx((5 * 0.5 + 4 * 0.5 + 1 * -0.5 + 2 * 0.0) / 5)
    assert effective_size(weights) == 7**2 / (16 + 1 + 4)
    for interval in found.values():
        assert interval.low <= interval.value <= interval.high


def test_the_mean_weight_is_one_where_items_are_drawn_from_the_whole_catalogue_and_tells_where_not() -> None:
    # Of four items two are shown, each with ½: weights 2 and 0, of variance 4 (¼ + ¼) − 1 = 1 each.
    shown = Policy(np.array([[1, 2], [1, 2]]), np.full((2, 2), 0.5))
    by_hand = Exposures(np.arange(2), np.array([2, 4]), {}, np.full(2, 4)).mean_weight(shown)
    assert by_hand == pytest.approx((1.0, 1 - 1.96 * math.sqrt(2) / 2, 1 + 1.96 * math.sqrt(2) / 2))

    rng, n, catalogue = np.random.default_rng(0), 2_000, 300
    slates = np.argsort(rng.random((n, catalogue)), axis=1)[:, :30] + 1
    probability = rng.dirichlet(np.ones(30), size=n)
    everywhere, pool = rng.integers(1, catalogue + 1, (200, n)), rng.integers(1, catalogue // 3 + 1, n)

    def mean(items: np.ndarray, slates: np.ndarray) -> Interval:
        return Exposures(np.arange(n), items, {}, np.full(n, catalogue)).mean_weight(Policy(slates, probability))

    held = [low <= 1 <= high for _, low, high in (mean(items, slates) for items in everywhere)]
    assert 0.9 <= np.mean(held) <= 0.99
    # Shown are those of the first third, and drawn from the whole of it alone: three times too likely.
    of_pool = (slates - 1) % (catalogue // 3) + 1
    found = mean(pool, of_pool)
    assert found.low > 1
    assert found.value == pytest.approx(3, abs=0.5)
    figures = {"a/mean_weight/low": found.low, "a/mean_weight/high": found.high, "b/mean_weight/low": 0.9}
    assert not_uniform(figures, ["a", "b", "c"]) == ["a"]


def test_an_interval_knows_of_the_rewards_it_has_missed() -> None:
    # 60 exposures of weight 1 without a reward: the bootstrap says [0, 0], Wilson's upper bound is z²/(60 + z²).
    ones, none = np.ones(60), np.zeros(60)
    found = estimate(ones, {"r": none}, {"r": (none, none)}, np.arange(60), samples=50, seed=0)
    z = 1.959964
    for estimator in ("ips", "snips", "dr"):
        assert found[f"r/{estimator}"] == pytest.approx((0.0, 0.0, z * z / (60 + z * z)), abs=1e-6)
    nothing = estimate(none, {"r": none}, {"r": (none, none)}, np.arange(60), samples=50, seed=0)
    assert all(math.isnan(bound) for interval in nothing.values() for bound in interval)


def test_the_reward_model_multiplies_shrunk_rates(tmp_path: Path) -> None:
    log = random_timelines.write(tmp_path / "log", lengths=[30, 20])
    model = fit(log, "like")
    train = log.in_split("train")
    liked = feedback.has(log.feedback[train], "like")
    user, item, cluster = log.user_of_event()[train], log.item[train], log.items["cluster"].to_numpy()
    overall = liked.mean()

    def shrunk(where, around):
        return (liked[where].sum() + 20 * around) / (where.sum() + 20)

    of_user = shrunk(user == 1, overall)
    expected = shrunk(item == 5, overall) * shrunk((user == 1) & (cluster[item] == cluster[5]), of_user) / overall
    assert model.predict(np.array([1]), np.array([5]))[0] == pytest.approx(expected)
    assert model.predict(np.array([[0], [1]]), np.arange(21)[None]).shape == (2, 21)


def test_contexts_are_moments_with_a_past_and_policies_show_what_is_new(folder: Path, log: Timelines) -> None:
    every = contexts(log, np.ones(len(log.item), bool))
    assert len(every) == len(log.item) - log.num_users
    at = Contexts(every.user[::97], every.position[::97])
    recommender = load(folder / "arm")
    shown = policy(recommender, log, at, slate_size=7, temperature=1.0, label="test")
    np.testing.assert_allclose(shown.probability.sum(axis=1), 1.0, rtol=1e-5)
    for row, (user, position) in enumerate(zip(at.user, at.position, strict=True)):
        before = slice(max(log.offsets[user], position - small_world.HISTORY), position)
        sign = 1 - 2 * feedback.has(log.feedback[before], "dislike")
        query = (sign[:, None] * recommender.item_vectors[log.item[before]].astype(np.float64)).sum(axis=0)
        logits = recommender.item_vectors.astype(np.float64) @ query
        logits[[0, *log.item[log.offsets[user] : position]]] = -np.inf
        best = np.argsort(-logits)[:7]
        assert shown.items[row].tolist() == best.tolist()
        odds = np.exp(logits[best] - logits[best[0]])
        np.testing.assert_allclose(shown.probability[row], odds / odds.sum(), rtol=1e-3, atol=1e-6)


def test_the_truth_reacts_as_the_log_did(log: Timelines, world: World) -> None:
    # The items that were shown, in their own contexts: dislikes are as likely as the log's truth has them.
    at = contexts(log, np.ones(len(log.item), bool))
    known = pl.read_parquet(Path(log.path).parent / "world" / "truth" / "impressions.parquet")
    outside = log.users["user_id"].to_numpy()[at.user]
    keys = pl.DataFrame({"user_id": outside, "timestamp_ms": log.timestamp_ms[at.position]})
    expected = keys.join(known, on=["user_id", "timestamp_ms"], how="left", maintain_order="left")
    truth = TruthAt(world, log, at)
    found = truth.react(np.random.default_rng(0), np.arange(len(at)), log.item[at.position])
    np.testing.assert_allclose(found.dislike_probability, expected["dislike_probability"].to_numpy(), rtol=1e-12)


def test_ips_is_unbiased_for_the_policys_truth(log: Timelines, world: World) -> None:
    at = contexts(log, np.arange(len(log.item)) % 29 == 0)
    rng = np.random.default_rng(1)
    items = np.argsort(rng.random((len(at), NUM_ITEMS)), axis=1)[:, :20] + 1
    shown = Policy(items, np.full((len(at), 20), 1 / 20))
    truth = TruthAt(world, log, at)
    known = truth.value(rng, shown, draws=200)["long_view"]
    rows = rng.integers(len(at), size=60_000)
    item = rng.integers(1, NUM_ITEMS + 1, size=60_000)
    weights = NUM_ITEMS * shown.at(rows).probability_of(item)
    weighted = weights * truth.react(rng, rows, item).long_view
    assert weights.mean() == pytest.approx(1.0, abs=4 * weights.std() / math.sqrt(60_000))
    assert abs(weighted.mean() - known) < 4 * weighted.std() / math.sqrt(60_000)


def check(folder: Path, workdir: Path, *, arms=None, data="timelines", world="world", seeds=0, **changes):
    config = get_config("tiny")
    config.update({"bootstrap_samples": 50, **changes})
    run(
        config,
        data=str(folder / data),
        arms=[f"a={folder / 'arm'}"] if arms is None else arms,
        world=world and str(folder / world),
        coverage_seeds=seeds,
        workdir=str(workdir),
    )
    return json.loads((workdir / "metrics.json").read_text())


def test_a_whole_check_and_its_coverage(folder: Path, log: Timelines, world: World, tmp_path: Path, capsys) -> None:
    found = check(folder, tmp_path, seeds=3)
    # Those of the test days, and no others.
    of_test = np.arange(len(log.item)) >= log.test_start[log.user_of_event()]
    first = np.arange(len(log.item)) == log.offsets[:-1][log.user_of_event()]
    exposed = (log.randomly_exposed > 0) & of_test & ~first
    assert exposed.sum() < (log.randomly_exposed > 0).sum()
    assert found["exposures"] == exposed.sum()
    assert found["random/long_view"] == pytest.approx(feedback.has(log.feedback[exposed], "long_view").mean())
    for feedback_name in ("long_view", "dislike"):
        for name in ("ips", "snips", "dr"):
            value, low, high = (found[f"a/{feedback_name}/{name}{bound}"] for bound in ("", "/low", "/high"))
            # What the estimate is of: within twice the distance to its bounds, about four standard errors.
            assert value - 2 * (value - low) < found[f"a/{feedback_name}/truth"] < value + 2 * (high - value)
    # The truth is of `truth_draws` items a context: here of the whole slate, weighted by the policy.
    config = get_config("tiny")
    at = contexts(log, exposed)
    settings = {"slate_size": config.slate_size, "temperature": config.temperature, "label": "test"}
    shown = policy(load(folder / "arm"), log, at, **settings)
    rows = np.repeat(np.arange(len(at)), config.slate_size)
    reactions = TruthAt(world, log, at).react(np.random.default_rng(0), rows, shown.items.ravel())
    dislike = reactions.dislike_probability.reshape(shown.items.shape)  # [n, slate]
    expected = (shown.probability * dislike).sum(axis=1)
    spread = (shown.probability * dislike**2).sum(axis=1) - expected**2
    error = np.sqrt(spread.sum() / config.truth_draws) / len(at)
    assert abs(found["a/dislike/truth"] - expected.mean()) < 4 * error
    assert {f"a/{name}/dr/coverage{end}" for name in REWARDS for end in ("", "/low", "/high")} <= found.keys()
    check(folder, tmp_path, seeds=3)
    assert "complete already" in capsys.readouterr().out


def test_intervals_cover_the_truth_and_no_other_value(log: Timelines, world: World) -> None:
    # The policy of the log itself: every weight is 1, estimates are means of 300 draws.
    every = contexts(log, np.ones(len(log.item), bool))
    pool = Contexts(every.user[::7], every.position[::7])
    items = np.broadcast_to(np.arange(1, NUM_ITEMS + 1), (len(pool), NUM_ITEMS))
    shown = Policy(items, np.full(items.shape, 1 / NUM_ITEMS))
    models = {name: fit(log, name) for name in REWARDS}
    config = get_config("tiny")
    config.update(bootstrap_samples=200, exposures=300, truth_draws=200)

    class Elsewhere(TruthAt):
        def value(self, *given, **options):
            return {name: value + 0.2 for name, value in super().value(*given, **options).items()}

    for truth, least, most in ((TruthAt, 0.85, 1.0), (Elsewhere, 0.0, 0.05)):
        found = coverage(truth(world, log, pool), shown, pool, models, timelines=log, seeds=40, config=config)
        for estimator in ("ips", "snips", "dr"):
            assert least <= found[f"long_view/{estimator}/coverage"] <= most
            assert found[f"long_view/{estimator}/coverage/low"] < found[f"long_view/{estimator}/coverage/high"]


def test_random_exposures_are_of_what_was_there(log: Timelines, world: World) -> None:
    # Half of the items are uploaded in the middle of the log.
    middle = int(np.median(log.timestamp_ms))
    uploaded_ms = np.where(np.arange(NUM_ITEMS + 1) % 2, middle, 1)
    log = dataclasses.replace(log, items=log.items.with_columns(uploaded_ms=pl.Series(uploaded_ms)))
    every = contexts(log, np.ones(len(log.item), bool))
    pool = Contexts(every.user[::7], every.position[::7])
    early = log.timestamp_ms[pool.position] < middle
    there = log.num_there(log.timestamp_ms[pool.position])
    np.testing.assert_array_equal(there, np.where(early, NUM_ITEMS // 2, NUM_ITEMS))
    everything = np.broadcast_to(np.arange(1, NUM_ITEMS + 1), (len(pool), NUM_ITEMS))
    shown = Policy(everything, np.where(early[:, None] & (everything % 2 == 1), 0.0, 1 / there[:, None]))
    drawn: list[np.ndarray] = []

    class Watched(TruthAt):
        def react(self, rng, rows, items):
            drawn.append(np.stack([early[rows], items % 2, there[rows] * shown.at(rows).probability_of(items)]))
            return super().react(rng, rows, items)

    config = get_config("tiny")
    config.update(bootstrap_samples=20, exposures=300, truth_draws=1)
    models = {name: fit(log, name) for name in REWARDS}
    coverage(Watched(world, log, pool), shown, pool, models, timelines=log, seeds=2, config=config)
    before, odd, weight = drawn[-1]
    assert not odd[before == 1].any()
    assert 0.3 < odd[before == 0].mean() < 0.7
    np.testing.assert_allclose(weight, 1)


def test_a_truth_of_zero_has_no_bias(log: Timelines, world: World) -> None:
    every = contexts(log, np.ones(len(log.item), bool))
    pool = Contexts(every.user[:3], every.position[:3])
    shown = Policy(np.tile([1, 2], (3, 1)), np.full((3, 2), 1 / 2))

    class Nothing(TruthAt):
        def value(self, *given, **options):
            return super().value(*given, **options) | {"long_view": 0.0}

    config = get_config("tiny")
    config.update(bootstrap_samples=20, exposures=3_000, truth_draws=1)
    models = {name: fit(log, name) for name in REWARDS}
    truth = Nothing(world, log, pool)
    found = coverage(truth, shown, pool, models, timelines=log, seeds=2, config=config)
    assert found["long_view/pool_truth"] == 0
    assert "long_view/ips/coverage" in found
    assert "long_view/ips/bias" not in found
    assert found["long_view/ips/defined"] == 1
    # Where no exposure lies in a slate there is no estimate, which is no miss.
    config.exposures = 1
    found = coverage(truth, shown, pool, models, timelines=log, seeds=2, config=config)
    assert found["long_view/ips/defined"] == 0
    assert "long_view/ips/coverage" not in found


def test_without_a_world_there_is_no_truth(folder: Path, tmp_path: Path) -> None:
    found = check(folder, tmp_path, world="")
    assert "a/long_view/ips" in found
    assert not any("truth" in name or "coverage" in name for name in found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slate_size": 401}, "--config.slate_size=401: there are 400 items"),
        ({"pool": 0}, "--config.pool=0: at least 1"),
        ({"temperature": -1.0}, "--config.temperature=-1.0"),
        ({"arms": []}, "--arms is required"),
    ],
)
def test_what_cannot_be_run_is_named(folder: Path, tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(UsageError) as error:
        check(folder, tmp_path / "run", **changes)
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lineage", "message"),
    [
        ({**BEFORE_TEST, "counted_until": "end"}, "--arms=a: has counted up to the end of the log, and the "),
        ({**BEFORE_TEST, "counted_until": "valid"}, ""),
        ({}, "--arms=a: does not say up to when it has counted, and the test days judge it; "),
        (None, "export it with --counted_until=test"),
        ({**BEFORE_TEST, "timelines": "of another split"}, "--arms=a: trained on another log than --data="),
        ({**BEFORE_TEST, "config": {"train_on": ["train", "test"]}}, "--arms=a: has learned from the test days"),
    ],
)
def test_arms_that_know_what_came_of_the_exposures_are_refused(
    folder: Path, log: Timelines, tmp_path: Path, lineage, message: str
) -> None:
    known = log.manifest["vocabulary_hash"]
    arm = small_world.arm(tmp_path / "arm", num_items=NUM_ITEMS, seed=0, vocabulary_hash=known, lineage=lineage)
    if not message:  # it knows less than it might
        assert check(folder, tmp_path / "run", arms=[f"a={arm}"])["exposures"] > 0
        return
    with pytest.raises(UsageError) as error:
        check(folder, tmp_path / "run", arms=[f"a={arm}"])
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_logs_and_worlds_that_do_not_fit_are_named(folder: Path, log: Timelines, tmp_path: Path) -> None:
    other = small_world.arm(
        tmp_path / "other", num_items=NUM_ITEMS, seed=0, vocabulary_hash="another", lineage=BEFORE_TEST
    )
    with pytest.raises(UsageError, match="exported for another vocabulary"):
        check(folder, tmp_path / "run", arms=[f"a={other}"])
    small_world.write(tmp_path / "world", num_items=200, num_creators=50)
    with pytest.raises(
        UsageError, match="--data: item 200 is not of --world; give the world that the timelines were made"
    ):
        check(folder, tmp_path / "run", world=str(tmp_path / "world"))
    small_world.write(tmp_path / "seed", seed=2)  # of the same size
    with pytest.raises(UsageError, match=r"--data: item \d+ has creator_id \d+, in --world \d+; give the world"):
        check(folder, tmp_path / "run", world=str(tmp_path / "seed"))
    with pytest.raises(UsageError, match="no truth/ here"):
        check(folder, tmp_path / "run", world=str(tmp_path / "other"))
    random_timelines.write(tmp_path / "quiet", vocabulary_hash="another", num_items=NUM_ITEMS)
    with pytest.raises(UsageError, match="no randomly exposed event"):
        check(folder, tmp_path / "run", arms=[f"a={other}"], data=str(tmp_path / "quiet"))
    assert not (tmp_path / "run").exists()


def test_the_command_line(folder: Path) -> None:
    binary = "simulation.off_policy"
    ended = command_line.run(
        {
            "no_data": [binary, "--workdir=x"],
            "no_world": [binary, "--workdir=x", f"--data={folder / 'timelines'}", "--coverage_seeds=3"],
        },
        preload=["simulation.off_policy.check"],
    )
    assert (ended["no_data"].status, ended["no_data"].stderr.strip()) == (
        2,
        "simulation.off_policy: --data is required: the timelines, with randomly exposed events; see --help",
    )
    assert ended["no_world"].status == 2
    assert "above 0 only with --world" in ended["no_world"].stderr
