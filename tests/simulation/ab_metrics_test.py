import math

import numpy as np
import pytest

from metrics.two_samples import share
from simulation.ab_test.aa_tests import differences, shares
from simulation.ab_test.long_run import lines, relation, slopes
from simulation.ab_test.metrics import all_metrics, changes
from simulation.ab_test.tallies import COUNTED, Tallies
from simulation.ab_test.trial import Trial
from simulation.world.behaviour import Reactions
from simulation.world.state import World, open_world
from tests.logs import small_world

METRICS = all_metrics(long_day_ms=100.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    small_world.write(folder)
    return open_world(str(folder))


def _reactions(count: int, **values) -> Reactions:
    blank = dict.fromkeys(Reactions.__dataclass_fields__, np.zeros(count, bool))
    return Reactions(**{**blank, **{name: np.asarray(value) for name, value in values.items()}})


def _sums(users: int, days: int, **values) -> dict[str, np.ndarray]:
    return {name: np.broadcast_to(np.asarray(values.get(name, 0.0)), (users, days)) + 0.0 for name in COUNTED}


def test_what_one_impression_adds(world: World) -> None:
    tallies = Tallies(world, days=2, window=100)
    tallies.add(
        1,
        np.array([5]),
        np.array([7]),
        _reactions(
            1,
            play_ms=[5_000],
            click=[True],
            like=[True],
            share=[True],
            satisfied=[True],
            satisfaction_probability=[0.75],
        ),
        skip=np.array([False]),
    )
    tallies.dismiss(1, np.array([5]))
    expected = {
        "impressions": 1,
        "clicks": 1,
        "likes": 1,
        "positives": 2,
        "play_ms": 5_000,
        "satisfied_ms": 5_000,
        "satisfied_plays": 1,
        "satisfaction": 0.75,
        "dismissals": 1,
    }
    for name, values in tallies.sums.items():
        assert values[5].tolist() == [0, expected.get(name, 0)], name
        assert not np.delete(values, 5, axis=0).any(), name


def test_repeated_means_a_creator_of_before_in_the_log_or_since(world: World) -> None:
    log, creator_of = world.log, world.catalogue.creator
    disliked = np.flatnonzero((log.feedback >> 6) & 1)
    user = int(log.user[disliked[0]])
    theirs = {int(creator_of[log.item[e]]) for e in disliked if log.user[e] == user}
    known = int(log.item[disliked[0]])
    other = next(i for i in range(world.num_items) if int(creator_of[i]) not in theirs)
    tallies = Tallies(world, days=1, window=100)
    who, none = np.array([user]), np.zeros(1, bool)
    for item, expected in ((known, 1), (other, 1), (other, 2)):
        tallies.add(0, who, np.array([item]), _reactions(1, dislike=[True]), skip=none)
        assert tallies.sums["repeated_dislikes"][user, 0] == expected
    tallies.add(0, who, np.array([other]), _reactions(1), skip=none)
    assert tallies.sums["repeated_dislikes"][user, 0] == 2
    assert tallies.sums["dislikes"][user, 0] == 3


def test_windows_run_on_over_days_and_count_where_they_end(world: World) -> None:
    tallies = Tallies(world, days=3, window=4)
    cluster = world.catalogue.cluster
    one, two = (np.flatnonzero(cluster == c)[:1] for c in (0, 1))
    for day, item in ((0, one), (0, one), (0, two), (1, two), (2, one)):
        tallies.add(day, np.zeros(1, int), item, _reactions(1), skip=np.zeros(1, bool))
    assert tallies.sums["windows"][0].tolist() == [0, 1, 0]
    # Two of each of two clusters.
    assert tallies.sums["window_entropy"][0, 1] == pytest.approx(math.log(2))


def test_metrics_are_their_formulas() -> None:
    # Two users, two days: the second user is away on the second day.
    there = np.array([[1, 1], [1, 0]])
    sums = _sums(
        2,
        2,
        impressions=10 * there,
        dislikes=2 * there,
        repeated_dislikes=there,
        skips=4 * there,
        repeated_skips=3 * there,
        clicks=5 * there,
        dismissals=np.array([[0, 3], [0, 0]]),
        play_ms=np.array([[90, 3_600_000], [100, 0]]),
        satisfied_ms=60 * there,
        satisfied_plays=3 * there,
        unsatisfied_plays=2 * there,
        likes=there,
        positives=3 * there,
        satisfaction=7 * there,
        windows=there,
        window_entropy=1.5 * there,
    )
    expected = {
        "dislike_rate": 6 / 30,
        "repeated_dislike_rate": 3 / 30,
        "skip_rate": 12 / 30,
        "repeated_skip_rate": 9 / 30,
        "dismissing_users": 1 / 4,
        "viewers": 3 / 4,
        "active_users": 3 / 4,
        "long_day_users": 2 / 4,  # at least 100
        "hour_users": 1 / 4,
        "satisfied_consumption": 9 / 4,
        "unsatisfied_consumption": 6 / 4,
        "enjoyment": 180 / 4,
        "watch_time": 3_600_190 / 4,
        "watch_time_per_item": 3_600_190 / 30,
        "likes": 3 / 4,
        "diversity": 1.5,
        "positive_to_negative": 9 / 6,
        "true_satisfaction": 21 / 30,
    }
    assert expected.keys() == METRICS.keys()
    found = changes(METRICS, sums, sums, by_day=True, samples=5, seed=0)
    for name, value in expected.items():
        assert found[name][0].control == pytest.approx(value), name
        assert len(found[name]) == 3
    assert found["viewers"][2].control == 1 / 2
    assert found["dismissing_users"][1].control == 0


def test_a_change_shows_on_its_day_alone() -> None:
    rng = np.random.default_rng(0)
    shown, disliked = rng.integers(5, 15, (400, 2)), rng.binomial(3, 0.5, (400, 2))
    before = _sums(400, 2, impressions=shown, dislikes=disliked)
    after = _sums(400, 2, impressions=shown, dislikes=disliked * np.array([1, 0.5]))
    total, first, second = changes(METRICS, before, after, by_day=True, samples=200, seed=0)["dislike_rate"]
    assert first.relative.value == 0
    assert first.relative.low < 0 < first.relative.high
    assert second.relative.value == pytest.approx(-0.5)
    assert second.relative.high < 0
    assert second.relative.value < total.relative.value < first.relative.value


def test_two_equal_arms_differ_about_as_often_as_intervals_of_95_percent_say() -> None:
    rng = np.random.default_rng(1)
    some = {name: METRICS[name] for name in ("skip_rate", "dislike_rate", "viewers")}
    found = []
    for n in range(200):
        shown = rng.poisson(20, (150, 1)) + 1
        sums = _sums(150, 1, impressions=shown, skips=rng.binomial(shown, rng.beta(4, 6, (150, 1))), clicks=shown)
        done = Trial(arm_of=np.arange(150) % 2, activity=np.ones(150), sums=sums)
        found.append(differences(some, done, samples=200, seed=n))
    # Nobody dislikes anything: no test. Everybody views: no difference.
    assert all(test.keys() == {"skip_rate", "viewers"} for test in found)
    figures = shares(some, found, seed=0)
    assert figures["skip_rate/low"] <= 0.05 <= figures["skip_rate/high"]
    assert figures["viewers"] == 0


def test_an_arm_that_differs_is_found() -> None:
    rng = np.random.default_rng(2)
    shown, arm_of = rng.poisson(20, (150, 1)) + 1, np.arange(150) % 2
    skips = rng.binomial(shown, np.where(arm_of == 1, 0.3, 0.5)[:, None])
    done = Trial(arm_of=arm_of, activity=np.ones(150), sums=_sums(150, 1, impressions=shown, skips=skips))
    assert differences({"skip_rate": METRICS["skip_rate"]}, done, samples=200, seed=0) == {"skip_rate": True}


def test_shares_of_false_positives_count_the_tests_in_which_a_metric_is_defined() -> None:
    tests = [{"a": True, "b": True}, {"a": False}, {"a": False, "b": False}, {"a": False, "b": False}]
    found = shares(("a", "b", "c"), tests, seed=0)
    assert (found["a"], found["a/low"], found["a/high"]) == share(1, 4)
    assert (found["b"], found["b/low"], found["b/high"]) == share(1, 3)
    assert "c" not in found
    # Of 7 answers 2 are positive, both of one test: resamples of tests have none, or up to all, of them.
    assert found["mean"] == pytest.approx(2 / 7)
    assert (found["mean/low"], found["mean/high"]) == (0.0, pytest.approx(6 / 8, abs=0.12))
    assert shares(("c",), tests, seed=0) == {}


def test_the_long_run_relates_dislikes_and_entropy() -> None:
    # 80 users in two exposure groups; the entropy is 1 + 0.5 per dislike in 100 impressions, exactly.
    shown = np.repeat([100.0, 200.0], 40)[:, None]
    dislikes = np.tile([0.0, 1.0, 2.0, 3.0], 20)[:, None] * shown / 100
    entropy = 1 + 0.5 * 100 * dislikes / shown
    sums = _sums(81, 1)
    for name, values in (("impressions", shown), ("dislikes", dislikes), ("window_entropy", entropy)):
        sums[name][:80] = values
    sums["windows"][:80] = 1.0
    sums["impressions"][80] = 50  # has no full window
    found = relation(sums, bins=(0.0, 1.0, 3.0), samples=100, seed=0)
    assert found.keys() == {"low_exposure", "high_exposure"}
    for group in found.values():
        assert [row["users"] for row in group["bins"]] == [10, 20, 10]
        assert [row["dislikes"] for row in group["bins"]] == [0.0, 1.5, 3.0]
        assert [row["entropy"] for row in group["bins"]] == [1.0, 1.75, 2.5]
        assert group["slope"] == pytest.approx(0.5)
    slope = slopes({"arm": found})["arm/low_exposure/slope"]
    assert slope.value == slope.high == pytest.approx(0.5)
    assert len(lines({"arm": found})) == 2
    assert "+0.500" in lines({"arm": found})[0]
    # Of the first 29 and the last 30 of these the larger group alone has a slope, and both have their bins.
    some = {name: values[11:70] for name, values in sums.items()}
    few = relation(some, bins=(0.0,), samples=10, seed=0)
    assert [(group["bins"][0]["users"], group["slope"] is None) for group in few.values()] == [(29, True), (30, False)]
    assert slopes({"arm": few}).keys() == {"arm/high_exposure/slope"}
    nobody = relation(_sums(3, 1), bins=(0.0,), samples=10, seed=0)
    assert nobody["low_exposure"] == {"bins": [], "slope": None, "low": None, "high": None}
    assert slopes({"arm": nobody}) == {}
    assert lines({"arm": nobody}) == []
