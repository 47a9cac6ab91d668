import json
from pathlib import Path

import numpy as np
import pytest

from configs.ab_test import get_config
from runtime.errors import DataError, UsageError
from simulation.world.behaviour import Reactions, react
from simulation.world.feed import Feed
from simulation.world.returning import Habits, come, habits, leave, next_mood
from simulation.world.state import World, open_world, take
from simulation.world.tables import tables, truth, write
from tests.logs import small_world


def test_people_are_as_the_feed_left_them(feed: Feed, world: World) -> None:
    for name in ("interest", "favourites", "willingness", "readiness", "sour_cluster", "sour_creator"):
        np.testing.assert_array_equal(getattr(world.people, name)[feed.user_id], getattr(feed.people, name))
    assert world.people.sour_cluster.any()
    assert world.people.sour_creator.any()
    for name in ("creator", "cluster", "duration_ms", "quality", "clickbait", "popularity"):
        np.testing.assert_array_equal(getattr(world.catalogue, name), getattr(feed.catalogue, name))


def test_the_log_lies_user_by_user_in_order_of_time(feed: Feed, world: World) -> None:
    assert world.log.offsets[-1] == len(feed.item)
    inside = np.diff(world.log.user) == 0
    assert (np.diff(world.log.timestamp_ms)[inside] > 0).all()
    for user, outside in enumerate(feed.user_id[:5]):
        mine = slice(*world.log.offsets[outside : outside + 2])
        np.testing.assert_array_equal(world.log.item[mine], feed.item[feed.user == user])


def test_people_at_a_moment_know_the_aversions_before_it(world: World) -> None:
    # Before every event of the log, the world's state gives the probabilities that the truth has recorded.
    log = world.log
    rows = np.arange(len(log.item))
    environment = world.environment_at(log.user, log.timestamp_ms)
    rng = np.random.default_rng(0)
    found = react(rng, environment, rows, log.item)
    np.testing.assert_allclose(found.satisfaction_probability, log.satisfaction, rtol=1e-12)
    assert found.averse.any()


def test_two_of_one_user_go_two_ways(world: World) -> None:
    pair = take(world.people, np.array([3, 3]))
    pair.sour_cluster[0, :] = True
    assert not pair.sour_cluster[1].all()
    assert not world.people.sour_cluster[3].all()


def test_a_folder_that_is_no_world_is_named(folder: Path, feed: Feed, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--world=.*no truth/ here"):
        open_world(str(tmp_path))
    small_world.write(tmp_path / "other", seed=2)
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "truth").symlink_to(folder / "truth")
    (tmp_path / "mixed" / "tables").symlink_to(tmp_path / "other" / "tables")
    with pytest.raises(DataError, match="of two worlds"):
        open_world(str(tmp_path / "mixed"))
    manifest = tmp_path / "other" / "truth" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 7}))
    with pytest.raises(UsageError, match="truth format 7, this code reads 1"):
        open_world(str(tmp_path / "other"))


def test_a_truth_of_other_events_is_named(feed: Feed, world: World, tmp_path: Path) -> None:
    config, other = world.config.to_dict(), small_world.write(tmp_path / "other", seed=2)
    write(tmp_path / "crossed" / "tables", tables(feed), kind="tables", config=config)
    write(tmp_path / "crossed" / "truth", truth(other, world.config), kind="truth", config=config)
    with pytest.raises(DataError, match="crossed: truth/ is not row for row with the events"):
        open_world(str(tmp_path / "crossed"), flag="--truth")


def test_habits_are_what_the_log_shows(feed: Feed, world: World) -> None:
    found = habits(world)
    user = 17
    mine = slice(*world.log.offsets[user : user + 2])
    days = len(set((world.log.timestamp_ms[mine] - world.config.start_ms) // 86_400_000))
    assert found.activity[user] == mine.stop - mine.start
    assert found.visit[user] == (days + 1) / (14 + 2)
    assert found.items[user] == pytest.approx((mine.stop - mine.start) / days)
    assert found.satisfaction[user] == pytest.approx(world.log.satisfaction[mine].mean())


def _habits(users: int, **changes) -> Habits:
    fields = {"visit": 0.5, "items": 10.0, "satisfaction": 0.6, "activity": 100.0, **changes}
    return Habits(**{name: np.full(users, value) for name, value in fields.items()})


def test_mood_moves_the_odds_of_coming() -> None:
    rng, users = np.random.default_rng(0), 40_000
    usual = come(rng, _habits(users, visit=0.25), np.zeros(users)).mean()
    better = come(rng, _habits(users, visit=0.25), np.full(users, np.log(3.0))).mean()
    # Odds 1/3, then 1: shares 1/4 and 1/2, with a standard error of 0.0025 at most.
    assert abs(usual - 0.25) < 0.01
    assert abs(better - 0.5) < 0.01


def test_a_good_day_lifts_the_mood_a_dislike_lowers_it_and_both_fade() -> None:
    config = get_config().returning
    config.update(satisfaction=2.0, dislike=-0.2, decay=0.5)
    found = next_mood(
        np.array([0.0, 0.0, 1.0]),
        habits=_habits(3),
        impressions=np.array([10.0, 10.0, 0.0]),
        satisfaction=np.array([7.0, 6.0, 0.0]),
        dislikes=np.array([0.0, 2.0, 0.0]),
        config=config,
    )
    np.testing.assert_allclose(found, [2.0 * (0.7 - 0.6), -0.2 * 2, 0.5 * 1.0], atol=1e-12)


def test_users_stop_by_habit_and_dismiss_what_disappoints() -> None:
    rng, users = np.random.default_rng(0), np.arange(60_000)
    config = get_config().returning
    config.dismiss = 0.5
    blank = dict.fromkeys(Reactions.__dataclass_fields__, np.zeros(len(users)))
    satisfied = np.where(users % 2 == 0, 1.0, 0.2)
    gone, dismissed = leave(
        rng,
        users,
        Reactions(**{**blank, "satisfaction_probability": satisfied}),
        habits=_habits(len(users), items=10.0),
        config=config,
    )
    assert not dismissed[::2].any()
    assert (gone | ~dismissed).all()
    # 1/10 stop; of the others 0.5 * (1 - 0.2) dismiss.
    assert abs(gone[::2].mean() - 0.1) < 0.01
    assert abs(dismissed[1::2].mean() - 0.9 * 0.4) < 0.012
