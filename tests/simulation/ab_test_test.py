"""A whole A/B test on a small world, with arms of which one sees dislikes and the other does not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from configs.ab_test import get_config
from runtime.errors import UsageError
from simulation.ab_test import closed_loop, trial
from simulation.ab_test.aa_tests import false_positives
from simulation.ab_test.experiment import run
from simulation.ab_test.metrics import all_metrics
from simulation.exported.arms import load_arms
from simulation.world.feed import Feed
from simulation.world.newcomers import child, newcomers
from simulation.world.returning import habits
from simulation.world.state import World, open_world
from tests.helpers import command_line, fake_ranker
from tests.logs import small_world

NUM_ITEMS = 400


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Feed]:
    folder = tmp_path_factory.mktemp("world")
    return folder, small_world.write(folder)


@pytest.fixture(scope="module")
def world(feed: tuple[Path, Feed]) -> Path:
    return feed[0]


@pytest.fixture(scope="module")
def opened(world: Path) -> World:
    return open_world(str(world))


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("arms")
    return {
        "blind": small_world.arm(folder / "blind", num_items=NUM_ITEMS, seed=0, sees_dislikes=False),
        "sees": small_world.arm(folder / "sees", num_items=NUM_ITEMS, seed=0),
        "third": small_world.arm(folder / "third", num_items=NUM_ITEMS, seed=1),
    }


def settings(**changes):
    config = get_config("tiny")
    config.update({"users": 40, "bootstrap_samples": 50, **changes})
    return config


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shows what has the highest index first."""
    return small_ranker(tmp_path_factory.mktemp("ranker") / "ranker")


def small_ranker(folder: Path, *, num_items: int = NUM_ITEMS, weight: float = 1.0) -> Path:
    return fake_ranker.write(
        folder,
        probabilities=lambda *given: given[-1],
        gamma={"like": weight},
        rates=np.arange(num_items + 1, dtype=np.float32)[:, None] / num_items,
        thresholds=np.zeros((num_items + 1, 6), np.float32),
        length=5,
        vocabulary_hash="of this world",
    )


def ab_test(world: Path, workdir: Path, *named: str, aa_tests: int = 0, rankers=(), **changes) -> None:
    config = settings(**changes)
    run(config, world=str(world), arms=named, rankers=rankers, aa_tests=aa_tests, workdir=str(workdir))


@pytest.fixture(scope="module")
def tested(world: Path, arms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("tested")
    names = ("control=" + str(arms["blind"]), "treatment=" + str(arms["sees"]), "third=" + str(arms["third"]))
    ab_test(world, workdir, *names, aa_tests=3, users=150, days=4, aa_users=60)
    return workdir


def test_figures_follow_from_the_per_user_sums(tested: Path) -> None:
    figures = json.loads((tested / "metrics.json").read_text())
    with np.load(tested / "per_user.npz") as arrays:
        per_user = dict(arrays)
    rates = [
        per_user["skips"][per_user["arm"] == n].sum() / per_user["impressions"][per_user["arm"] == n].sum()
        for n in range(3)
    ]
    assert figures["skip_rate/relative"] == pytest.approx(rates[1] / rates[0] - 1)
    assert figures["third/skip_rate/relative"] == pytest.approx(rates[2] / rates[0] - 1)
    assert figures["skip_rate/relative/low"] <= figures["skip_rate/relative"] <= figures["skip_rate/relative/high"]
    assert [figures[f"skip_rate/{arm}"] for arm in ("control", "treatment", "third")] == pytest.approx(rates)
    assert [figures[f"users/{arm}"] for arm in ("control", "treatment", "third")] == [50, 50, 50]
    # In 3 tests a metric differs 0 to 3 times; all of them together have a share between the least and the most.
    assert (figures["aa/tests"], figures["aa/users"]) == (3, 60)
    assert figures["aa/skip_rate"] in (0, 1 / 3, 2 / 3, 1)
    each = [figures[f"aa/{name}"] for name in all_metrics(long_day_ms=1) if f"aa/{name}" in figures]
    assert min(each) <= figures["aa/mean"] <= max(each)
    assert any(name.startswith("group/high_activity/") for name in figures)
    assert all(np.isfinite(value) for value in figures.values())


def test_days_definitions_and_the_long_run_lie_beside(tested: Path) -> None:
    daily = json.loads((tested / "by_day.json").read_text())
    assert daily.keys() == {"treatment", "third"}
    assert [len(daily["treatment"]["skip_rate"][end]) for end in ("value", "low", "high")] == [4, 4, 4]
    definitions = json.loads((tested / "definitions.json").read_text())
    assert definitions["viewers"]["formula"] == "user-days with a click / user-days assigned"
    assert definitions.keys() == daily["treatment"].keys()
    long_run = json.loads((tested / "long_run.json").read_text())
    assert long_run.keys() == {"control", "treatment", "third"}
    figures = json.loads((tested / "metrics.json").read_text())
    for arm, groups in long_run.items():
        for group, found in groups.items():
            assert figures.get(f"long_run/{arm}/{group}/slope") == found["slope"]
            assert figures.get(f"long_run/{arm}/{group}/slope/low") == found["low"]
    # 50 people an arm: fewer than 30 in each group of those with a full window.
    assert not any(name.startswith("long_run/") for name in figures)


def test_the_same_seed_gives_the_same_files_and_another_does_not(world: Path, arms, tmp_path: Path) -> None:
    names = [f"{name}={arms[name]}" for name in ("blind", "sees")]
    for folder, seed in (("once", 0), ("again", 0), ("other", 1)):
        ab_test(world, tmp_path / folder, *names, seed=seed, days=1)
    for file in ("metrics.json", "per_user.npz"):
        once, again, other = ((tmp_path / folder / file).read_bytes() for folder in ("once", "again", "other"))
        assert once == again
        assert once != other


def test_a_complete_workdir_is_left_alone_and_another_test_refused(world: Path, arms, tmp_path: Path, capsys) -> None:
    names = [f"{name}={arms[name]}" for name in ("blind", "sees")]
    ab_test(world, tmp_path, *names)
    ab_test(world, tmp_path, *names)
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(UsageError, match="another config or dataset"):
        ab_test(world, tmp_path, *reversed(names))


def test_an_arm_with_a_ranker_is_served_in_its_order(opened: World, arms, ranker: Path) -> None:
    # Near temperature 0 everybody is served the first of its slate: the highest index among the ten.
    loaded = load_arms({name: str(arms["sees"]) for name in ("plain", "ranked")}, {"ranked": str(ranker)})
    always = dataclasses.replace(habits(opened), visit=np.full(opened.num_users, 1 - 1e-12))
    first: list[np.ndarray] = []
    for arm in loaded:
        shown: list[np.ndarray] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                closed_loop.Tallies, "add", lambda self, day, who, items, *_, into=shown, **__: into.append(items)
            )
            closed_loop.live_on(
                np.random.default_rng(0),
                opened,
                np.zeros(opened.num_users, int),
                [arm],
                habits=always,
                config=settings(days=1, temperature=1e-6, slate_size=10),
            )
        first.append(shown[0])
    plain, ranked = first
    assert (ranked >= plain).all()
    assert (ranked > plain).mean() > 0.5


def test_a_ranker_is_part_of_what_a_workdir_holds(world: Path, arms, ranker: Path, tmp_path: Path) -> None:
    names = [f"{name}={arms[name]}" for name in ("blind", "sees")]
    ab_test(world, tmp_path / "run", *names, rankers=[f"sees={ranker}"], days=1)
    other = small_ranker(tmp_path / "other", weight=-1.0)
    for rankers in ([], [f"blind={ranker}"], [f"sees={other}"]):
        with pytest.raises(UsageError, match="another config or dataset"):
            ab_test(world, tmp_path / "run", *names, rankers=rankers, days=1)


def test_rankers_that_do_not_fit_are_named(world: Path, arms, ranker: Path, tmp_path: Path) -> None:
    names = [f"{name}={arms[name]}" for name in ("blind", "sees")]
    small = small_ranker(tmp_path / "small", num_items=30)
    cases = {
        "--rankers: no arm is called 'both'; there are blind, sees": [f"both={ranker}"],
        "--rankers=sees: write NAME=DIR, DIR being the folder that ranking.export wrote": ["sees"],
        "--rankers: 'sees' is there twice": [f"sees={ranker}", f"sees={ranker}"],
        f"--rankers=sees={tmp_path}: no exported_ranker here": [f"sees={tmp_path}"],
        f"--rankers=sees={small}: ranks other items than the recommender has": [f"sees={small}"],
    }
    for message, rankers in cases.items():
        with pytest.raises(UsageError) as error:
            ab_test(world, tmp_path / "run", *names, rankers=rankers)
        assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_another_world_of_the_same_size_is_named(feed: tuple[Path, Feed], tmp_path: Path) -> None:
    world, known = feed
    items = small_world.item_table(NUM_ITEMS, known)
    names = [
        f"{name}={small_world.arm(tmp_path / name, num_items=NUM_ITEMS, seed=n, items=items)}"
        for n, name in enumerate("ab")
    ]
    other = small_world.write(tmp_path / "world", seed=2).catalogue
    with pytest.raises(UsageError) as error:
        ab_test(tmp_path / "world", tmp_path / "run", *names)
    differs = int(np.flatnonzero(other.creator != known.catalogue.creator)[0])
    ours, theirs = known.catalogue.creator[differs], other.creator[differs]
    assert f"--arms: item {differs} has creator_id {ours}, in --world {theirs}; give the world" in str(error.value)
    assert not (tmp_path / "run").exists()
    ab_test(world, tmp_path / "run", *names, days=1)


def test_users_meet_new_items_from_where_their_log_ends(opened: World, arms) -> None:
    config = settings(days=2)
    shown: list[tuple[int, int]] = []
    original = closed_loop.Tallies.add

    def spy(self, day, users, items, reactions, *, skip):
        shown.extend(zip(users.tolist(), items.tolist(), strict=True))
        original(self, day, users, items, reactions, skip=skip)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_loop.Tallies, "add", spy)
        closed_loop.live_on(
            np.random.default_rng(0),
            opened,
            np.arange(opened.num_users) % 2,
            load_arms({name: str(arms[name]) for name in ("blind", "sees")}),
            habits=habits(opened),
            config=config,
        )
    assert len(set(shown)) == len(shown) > 100
    logged = set(zip(opened.log.user.tolist(), opened.log.item.tolist(), strict=True))
    assert not logged & set(shown)


def test_the_worlds_own_people_are_left_as_they_are(world: Path, opened: World, tested: Path) -> None:
    again = open_world(str(world))
    np.testing.assert_array_equal(again.people.sour_cluster, opened.people.sour_cluster)


def test_a_test_is_of_new_people_each_in_one_arm(opened: World, tested: Path) -> None:
    # The seed of the test names them; the three arms have a third each, whatever they were drawn in the order of.
    with np.load(tested / "per_user.npz") as arrays:
        arm, activity = arrays["arm"], arrays["activity"]
    people = newcomers(opened, 150, child(child(np.random.SeedSequence(0), 0), 0))
    np.testing.assert_array_equal(activity, np.diff(people.log.offsets))
    assert np.bincount(arm).tolist() == [50, 50, 50]
    assert len(np.unique(np.diff(np.flatnonzero(arm == 0)))) > 1  # not every third


def test_assignment_is_random_and_even() -> None:
    once, other = (trial.assign(np.random.default_rng(seed), 3_001, 2) for seed in (0, 1))
    assert np.bincount(once).tolist() == np.bincount(other).tolist() == [1_501, 1_500]
    # Two random halvings agree in half of the people: standard deviation √n / 2.
    assert abs((once == other).sum() - 3_001 / 2) < 4 * np.sqrt(3_001) / 2


def test_whole_aa_tests_find_what_is_wrong_with_the_arms(opened: World, arms) -> None:
    # Equal arms differ now and then; with the more active half in one arm the tests say so.
    (arm,) = load_arms({"arm": str(arms["sees"])})
    metrics, config = all_metrics(long_day_ms=1), settings(aa_users=100, days=3, bootstrap_samples=100)
    seed = np.random.SeedSequence(0)
    fair = false_positives(metrics, opened, arm, tests=5, seed=seed, config=config)
    assert fair["watch_time"] <= 2 / 5
    drawn: list[World] = []

    def remember(*given, **options) -> World:
        drawn.append(newcomers(*given, **options))
        return drawn[-1]

    def by_activity(rng: np.random.Generator, users: int, arms: int) -> np.ndarray:
        activity = np.diff(drawn[-1].log.offsets)
        return (activity > np.median(activity)).astype(int)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "newcomers", remember)
        patch.setattr(trial, "assign", by_activity)
        unfair = false_positives(metrics, opened, arm, tests=5, seed=seed, config=config)
    assert unfair["watch_time"] >= 4 / 5
    assert len({tuple(np.diff(people.log.offsets)) for people in drawn}) == 5  # people of its own for each test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": 1}, "--config.users=1: fewer than the 2 arms"),
        ({"aa_users": 1}, "--config.aa_users=1: at least 2, one for each of the equal arms"),
        ({"days": 0}, "--config.days=0: at least 1"),
        ({"slate_size": 401}, "--config.slate_size=401: there are 400 items"),
        ({"dislike_bins": (0.0, 2.0, 1.0)}, "--config.dislike_bins=(0.0, 2.0, 1.0): ascending, and 0 the first"),
        ({"dislike_bins": (0.5, 1.0)}, "--config.dislike_bins=(0.5, 1.0): ascending, and 0 the first"),
        ({"dislike_bins": ()}, "--config.dislike_bins=(): ascending, and 0 the first"),
        ({"temperature": 0.0}, "--config.temperature=0.0: a finite number above 0"),
        ({"returning": {"dismiss": 2.0}}, "--config.returning.dismiss=2.0: a probability, from 0 to 1"),
        ({"returning": {"dislike": float("nan")}}, "--config.returning.dislike=nan: a finite number"),
    ],
)
def test_a_setting_that_cannot_be_run_is_named(world: Path, arms, tmp_path: Path, changes, message: str) -> None:
    config = settings()
    config.update(changes)
    names = [f"{name}={arms[name]}" for name in ("blind", "sees")]
    with pytest.raises(UsageError) as error:
        run(config, world=str(world), arms=names, aa_tests=0, workdir=str(tmp_path / "run"))
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_arms_that_do_not_fit_are_named(world: Path, arms, tmp_path: Path) -> None:
    def other(name: str, num_items: int = NUM_ITEMS, **fields) -> Path:
        return small_world.arm(tmp_path / name, num_items=num_items, seed=0, **fields)

    strangers = small_world.item_table(NUM_ITEMS).with_columns(item_id=small_world.item_table(NUM_ITEMS)["item_id"] + 7)
    cases = {
        "on different item sets (400 and 30 items)": [arms["blind"], other("small", 30)],
        "of different vocabularies": [arms["blind"], other("vocabulary", vocabulary_hash="another")],
        "of different logs, or of different splits of one": [
            other("log a", lineage={"timelines": "a"}),
            other("log b", lineage={"timelines": "b"}),
        ],
        "recommender format 1, this code reads 2": [arms["blind"], other("format", version=1)],
        "item 400 is not of --world": [other("a", items=strangers), other("b", items=strangers)],
        "names 1 arm(s), at least 2": [arms["blind"]],
        "(arm1 up to 'test', arm2 up to 'end')": [
            arms["blind"],  # does not say
            other("earlier", lineage={"counted_until": "test"}),
            other("later", lineage={"counted_until": "end"}),
            other("earlier too", lineage={"counted_until": "test"}),
        ],
        "no recommender here": [arms["blind"], tmp_path],
    }
    for n, (message, folders) in enumerate(cases.items()):
        with pytest.raises(UsageError) as error:
            ab_test(world, tmp_path / f"run{n}", *[f"arm{i}={folder}" for i, folder in enumerate(folders)])
        assert message in str(error.value)
    for entries, message in (
        (["blind"], "write NAME=DIR"),
        (["a=x", "a=y"], "'a' is there twice"),
        (["a=x", "relative=y"], "metrics.json uses the name 'relative'; choose another"),
    ):
        with pytest.raises(UsageError, match=message):
            ab_test(world, tmp_path / "run", *entries)


def test_the_command_line(arms, tmp_path: Path) -> None:
    both = f"--arms=a={arms['blind']},b={arms['sees']}"
    binary, workdir = "simulation.ab_test", f"--workdir={tmp_path / 'run'}"
    ended = command_line.run(
        {
            "no_world": [binary, both, workdir],
            "no_truth": [binary, both, workdir, f"--world={tmp_path}"],
            "no_arms": [binary, workdir, f"--world={tmp_path}"],
            "negative": [binary, both, workdir, f"--world={tmp_path}", "--aa_tests=-1"],
        },
        preload=["simulation.ab_test.experiment"],
    )
    said = {name: (end.status, end.stderr.strip()) for name, end in ended.items()}
    assert said["no_world"] == (
        2,
        "simulation.ab_test: --world is required: the workdir of the simulation.world that the arms were trained on; "
        "see --help",
    )
    assert said["no_truth"][0] == 2
    assert said["no_truth"][1].endswith("no truth/ here; give the workdir of a simulation.world")
    assert said["no_arms"] == (
        2,
        "simulation.ab_test: --arms names 0 arm(s), at least 2: write --arms=control=DIR,treatment=DIR",
    )
    assert said["negative"] == (2, "simulation.ab_test: --aa_tests=-1: 0 or more")
