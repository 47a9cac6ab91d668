"""New people of a world: as its own were drawn, but nobody of them, and with the same kind of past."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from configs.world import get_config
from simulation.world import newcomers as module
from simulation.world.feed import Feed, simulate
from simulation.world.newcomers import as_world, child, draw_people, newcomers
from simulation.world.population import Users, lengths_apart, lengths_of_total
from simulation.world.returning import habits
from simulation.world.state import World, open_world

SEED = np.random.SeedSequence(0)


@pytest.fixture(scope="module")
def large() -> World:
    """A world with people enough to compare means."""
    config = get_config("tiny")
    config.update(num_users=600, num_events=72_000)
    return as_world(simulate(config), config)


def _same(a: World, b: World) -> bool:
    return all(
        np.array_equal(getattr(a.log, name), getattr(b.log, name)) for name in ("offsets", "item", "timestamp_ms")
    )


def test_a_feed_in_memory_is_the_world_that_is_read_back(feed: Feed, world: World) -> None:
    found = as_world(feed, world.config)
    for part in ("people", "log"):
        for field in dataclasses.fields(getattr(world, part)):
            expected = getattr(getattr(world, part), field.name)
            np.testing.assert_array_equal(getattr(getattr(found, part), field.name), expected, err_msg=field.name)
    assert found.aversions.select(sorted(found.aversions.columns)).equals(
        world.aversions.select(sorted(world.aversions.columns))
    )


def test_no_two_are_alike_and_none_is_of_the_world(world: World) -> None:
    # With every seed, the world's own included; interests are continuous, so equal ones are the same person's.
    own = {tuple(row) for row in world.people.interest}
    seeds = [child(np.random.SeedSequence(n), k) for n in (0, world.config.seed) for k in range(2)]
    drawn = [tuple(row) for seed in seeds for row in newcomers(world, 70, seed).people.interest]
    assert len(set(drawn)) == len(drawn) == 4 * 70
    assert not own & set(drawn)
    apart = [draw_people(world, 70, child(seed, 9)) for seed in seeds]
    alone = [tuple(row) for people in apart if isinstance(people, Users) for row in people.interest]
    assert len(set(alone) | set(drawn) | own) == 2 * 4 * 70 + 60


def test_the_same_seed_gives_the_same_people_and_another_gives_others(world: World) -> None:
    once, again, other = (newcomers(world, 40, child(SEED, n)) for n in (0, 0, 1))
    assert _same(once, again)
    assert not _same(once, other)
    assert [once.num_users, once.config.num_users, once.num_items] == [40, 40, world.num_items]


def test_people_who_do_not_fit_into_one_block_go_on_behind_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 15)
    found = newcomers(world, 40, SEED)
    assert len({tuple(row) for row in found.people.interest}) == found.num_users == 40
    assert len(found.log.item) == found.log.offsets[-1]
    assert (np.diff(found.log.offsets) >= 3).all()
    inside = np.diff(found.log.user) == 0
    assert (np.diff(found.log.timestamp_ms)[inside] > 0).all()
    # What has turned sour is in everybody's state, and in the table of when: also of those in the last block.
    end = np.full(40, found.log.timestamp_ms.max() + 1)
    at_the_end = found.environment_at(np.arange(40), end).people
    for state in ("sour_cluster", "sour_creator"):
        np.testing.assert_array_equal(getattr(at_the_end, state), getattr(found.people, state))
    assert found.people.sour_cluster[30:].any()


def test_new_people_are_as_those_of_the_log(large: World) -> None:
    new = newcomers(large, 1_200, SEED)

    def facts(world: World) -> dict[str, np.ndarray]:
        people, log, usual = world.people, world.log, habits(world)
        taste = people.interest / people.interest.sum(axis=1, keepdims=True)
        dislikes = np.bincount(log.user, weights=(log.feedback >> 6) & 1, minlength=world.num_users)
        return {
            "log events": np.log(usual.activity),
            "events": usual.activity,
            "taste": (taste**2).sum(axis=1),
            "readiness": people.readiness,
            "dislikes": dislikes,
            "aversions": people.sour_cluster.sum(axis=1) + people.sour_creator.sum(axis=1),
            "days": usual.visit,
            "items a day": usual.items,
            "satisfaction": usual.satisfaction,
            "last event": log.timestamp_ms[log.offsets[1:] - 1] / 1e9,
        }

    for name, ours in facts(new).items():
        theirs = facts(large)[name]
        error = np.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs))
        assert abs(ours.mean() - theirs.mean()) < 4 * error, name
        # A log-normal's heaviest quarter is where a wrong distribution shows.
        assert ours.std() == pytest.approx(theirs.std(), rel=0.25), name
    assert new.log.timestamp_ms.min() >= new.config.start_ms
    assert new.log.timestamp_ms.max() < new.config.start_ms + new.config.days * 86_400_000


def test_the_world_stays_as_it_is(folder: Path, world: World) -> None:
    newcomers(world, 30, SEED)
    again = open_world(str(folder))
    assert _same(world, again)
    np.testing.assert_array_equal(world.people.sour_creator, again.people.sour_creator)


def test_people_before_their_first_event_have_turned_against_nothing(world: World) -> None:
    people = draw_people(world, 25, SEED)
    assert isinstance(people, Users)
    assert len(people.interest) == 25
    assert not people.sour_cluster.any()
    assert not people.sour_creator.any()


@pytest.mark.parametrize("sigma", [0.0, 0.9])
def test_lengths_drawn_apart_have_the_mean_of_the_log(sigma: float) -> None:
    config = get_config("tiny")
    config.update(num_users=100_000, num_events=100_000 * 200, activity_sigma=sigma)
    rng = np.random.default_rng(0)
    apart, of_total = lengths_apart(rng, config), lengths_of_total(rng, config)
    assert abs(apart.mean() - 200) <= 4 * apart.std() / np.sqrt(len(apart)) + 0.01  # of rounding
    np.testing.assert_allclose(np.quantile(apart, [0.1, 0.5, 0.9]), np.quantile(of_total, [0.1, 0.5, 0.9]), rtol=0.02)
    assert (np.diff(apart) <= 0).all()


def test_how_much_one_person_does_says_nothing_of_another() -> None:
    # Of two people, scaled to a total of theirs, the second would be the rest of the first.
    config = get_config("tiny")
    config.update(num_users=2, num_events=2_000)
    rng = np.random.default_rng(0)
    totals = np.array([lengths_apart(rng, config).sum() for _ in range(300)])
    assert totals.std() > 0.3 * totals.mean()
    assert {int(lengths_of_total(rng, config).sum()) for _ in range(20)} <= {1_999, 2_000, 2_001}
