"""Histories that have happened: cut from timelines, read from a file, and lived by the synthetic user model."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from ml_collections import ConfigDict

from configs.world import get_config as world_config
from data.events_read import Reading
from data.feedback import BITS, has
from runtime.errors import DataError, UsageError
from simulation.counterfactual.actions import Action
from simulation.counterfactual.courses import with_baselines
from simulation.counterfactual.histories import read, replay
from simulation.counterfactual.plans import draw_plan
from simulation.counterfactual.responsiveness import simulate
from simulation.counterfactual.trajectories import Slates
from simulation.counterfactual.user_model import LivingUsers
from simulation.exported.recommender import Recommender, incremental
from simulation.world.feed import simulate as simulate_feed
from simulation.world.state import open_world
from simulation.world.tables import tables, truth
from simulation.world.tables import write as write_tables
from tests.logs import random_timelines

K = 6


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "timelines", lengths=[0, 1, 2, 4, 9, 13])


def recommender_on(item_ids, vocabulary_hash="x"):
    vectors = np.random.default_rng(0).integers(-5, 6, (len(item_ids), 3)).astype(np.float32)
    vectors[0] = 0

    def step(state, item, dwell, feedback):
        state = state + jnp.asarray(vectors)[item]
        return state, state

    start, step = incremental(step, state_size=3)
    items = pl.DataFrame({"item_id": item_ids, "cluster": np.arange(len(item_ids), dtype=np.int32) % 3})
    return Recommender(start, step, vectors, items, Reading(16), fingerprint="", vocabulary_hash=vocabulary_hash)


@pytest.fixture(scope="module")
def model(log):
    return recommender_on(log.items["item_id"])


def cut(log, model, **changes):
    return replay(log, model, **({"users": 10, "k": K, "cut_at": (), "seed": 0} | changes))


def test_a_replay_ends_at_the_users_last_event_and_holds_the_ones_before(log, model):
    found = cut(log, model)
    users = [2, 3, 4, 5]  # those with two events or more
    for row, user in enumerate(users):
        begin, end = log.offsets[user], log.offsets[user + 1]
        before = np.arange(max(begin, end - K), end - 1)
        assert found.last[row] == log.item[end - 1]
        for name in ("item", "dwell", "feedback"):
            column = getattr(found, name)[row]
            np.testing.assert_array_equal(column[: len(before)], getattr(log, name)[before])
            assert not column[len(before) :].any()


def test_a_replay_is_cut_at_the_last_event_of_its_kind(log, model):
    found = cut(log, model, cut_at=("dislike",))
    expected = []
    for begin, end in zip(log.offsets[:-1], log.offsets[1:], strict=True):
        disliked = [e for e in range(begin + 1, end) if has(log.feedback[e], "dislike")]
        expected += [(log.item[disliked[-1]], min(disliked[-1] - begin, K - 1))] if disliked else []
    assert 0 < len(expected) < 5
    assert list(zip(found.last, (found.item > 0).sum(axis=1), strict=True)) == expected


def test_fewer_users_are_a_draw_of_all(log, model):
    everybody, some = cut(log, model), cut(log, model, users=2, seed=3)
    assert some.num_users == 2
    assert set(some.last) <= set(everybody.last)


def test_what_a_user_has_met_before_what_is_read_is_not_shown_again(log, model, tmp_path):
    found = cut(log, model, k=3)  # two events are read of up to twelve
    path = tmp_path / "histories.parquet"
    users = [2, 3, 4, 5]
    events = np.concatenate([np.arange(log.offsets[user], log.offsets[user + 1]) for user in users])
    ids = log.items["item_id"].to_numpy()[log.item[events]]
    pl.DataFrame({"user_id": log.user_of_event()[events], "item_id": ids, "like": 0}).write_parquet(path)
    size = log.num_items - found.most_met - 2
    for histories in (found, read(str(path), model, k=3)):
        branches, _ = with_baselines("long_watch", ("skip",))
        slates = simulate(model, histories, branches, slates=Slates(size)).slates
        for row, user in enumerate(users):
            met = log.item[log.offsets[user] : log.offsets[user + 1]]
            assert len(set(met)) > 1
            assert not set(met) & set(slates[:, 0, row].ravel().tolist())


def test_a_branch_of_a_replay_has_the_state_of_its_past(log, model):
    branches, _ = with_baselines("long_watch", ("skip",))
    found, outcome = cut(log, model), simulate(model, cut(log, model), branches, slates=Slates(5))
    for user in range(found.num_users):
        consumed = [*found.item[user], found.last[user]]
        query = model.item_vectors[consumed].sum(axis=0)  # the vector of item 0 is 0
        met = log.item[log.offsets[2 + user] : log.offsets[3 + user]]  # also before what is read
        ranked = [i for i in np.argsort(-(model.item_vectors @ query), kind="stable") if i not in (0, *met)]
        np.testing.assert_array_equal(outcome.slates[0, 0, user], ranked[:5])


def test_replays_that_cannot_be(log, model):
    with pytest.raises(UsageError, match="other items than the recommender was trained on"):
        cut(log, recommender_on(log.items["item_id"], vocabulary_hash="y"))
    with pytest.raises(UsageError, match=r"--config\.cut_at: no feedback 'hate'; any of click"):
        cut(log, model, cut_at=("hate",))
    with pytest.raises(DataError, match="no event that is share with an event of the same user before it"):
        cut(log, model, cut_at=("share",))


def test_a_file_says_what_was_done_by_name(tmp_path, model):
    path = tmp_path / "histories.parquet"
    rows = [("ann", 105, "skip"), ("bob", 101, "long_watch"), ("ann", 107, "long_watch+like"), ("bob", 103, "skip")]
    rows += [("ann", 119, "quit_early")]
    pl.DataFrame(rows, schema=["user_id", "item_id", "action"], orient="row").write_parquet(path)
    found = read(str(path), model, k=K)
    skip, liked, watch = (Action.parse(name) for name in ("skip", "long_watch+like", "long_watch"))
    # Item ids count from 100, indices from 1.
    np.testing.assert_array_equal(found.item, [[6, 8, 0, 0, 0], [2, 0, 0, 0, 0]])
    np.testing.assert_array_equal(found.dwell, [[skip.dwell, liked.dwell, 0, 0, 0], [watch.dwell, 0, 0, 0, 0]])
    np.testing.assert_array_equal(found.feedback[:, 0], [skip.feedback, watch.feedback])
    np.testing.assert_array_equal(found.last, [20, 4])
    np.testing.assert_array_equal(read(str(path), model, k=2).item, [[8], [2]])  # the last two events of each


def test_a_file_may_hold_logged_feedback_in_any_order(tmp_path, model):
    path = tmp_path / "histories.parquet"
    pl.DataFrame(
        {
            "user_id": [7, 7, 7],
            "item_id": [110, 111, 112],
            "timestamp_ms": [30, 10, 20],
            "play_ms": [None, 1_000, 20_000],
            "dislike": [0, 0, 1],
        }
    ).write_parquet(path)
    found = read(str(path), model, k=3)
    np.testing.assert_array_equal(found.item, [[12, 13]])
    np.testing.assert_array_equal(found.dwell, [[3, 7]])  # 1 s up to 3 s; 18 s up to 30 s
    np.testing.assert_array_equal(found.feedback, [[1 << BITS["skip"], 1 << BITS["dislike"]]])
    assert found.last == [11]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [1, 1]}, "no column 'item_id'; it needs user_id, item_id and action"),
        ({"user_id": [1, 1], "item_id": [101, 102]}, "no column 'action', nor play_ms or feedback columns"),
        ({"user_id": [1, 1], "item_id": [101, 9], "like": [0, 1]}, "row 1, column item_id: 9 is no item"),
        ({"user_id": [1, 1], "item_id": ["v1", "v2"], "like": [0, 1]}, "row 0, column item_id: v1 is no item"),
        ({"user_id": [1, 1], "item_id": ["101", "0102"], "like": [0, 1]}, "row 1, column item_id: 0102 is no item"),
        ({"user_id": [1, 1], "item_id": [101, 102], "action": ["skip", "hate"]}, "row 1, column action: action 'hate'"),
        ({"user_id": [1, 1], "item_id": [101, 102], "action": ["skip", None]}, "row 1, column action: empty"),
        ({"user_id": [1, None], "item_id": [101, 102], "like": [0, 1]}, "row 1, column user_id: empty"),
        (
            {"user_id": [1, 1, 1], "item_id": [9, 101, 102], "like": [0, 1, 0], "timestamp_ms": [30, 10, 20]},
            "row 0, column item_id: 9 is no item",
        ),
        ({"user_id": [1, 2, 1], "item_id": [101, 102, 103], "like": [0, 0, 1]}, "user_id 2 has one event"),
        ({"user_id": [], "item_id": [], "action": []}, "no rows"),
        ({"user_id": [1, 1], "item_id": [101, 102], "like": [0, 2]}, "row 1, column like: 2 is no whole number from 0"),
        (
            {"user_id": [1, 1], "item_id": [101, 102], "like": ["no", "0"]},
            "row 0, column like: 'no' is no whole number",
        ),
        ({"user_id": [1, 1], "item_id": [101, 102], "play_ms": [0.5, 3.0]}, "row 0, column play_ms: 0.5 is no whole"),
        (
            {"user_id": [1, 1], "item_id": [101, 102], "like": [0, 1], "timestamp_ms": [9, None]},
            "row 1, column timestamp_ms: empty",
        ),
    ],
)
def test_a_file_at_fault_is_named_by_row_and_column(tmp_path, model, columns, message):
    path = tmp_path / "histories.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(DataError) as error:
        read(str(path), model, k=K)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_no_file(tmp_path, model):
    with pytest.raises(UsageError, match=r"--histories=.*none\.parquet: no such file"):
        read(str(tmp_path / "none.parquet"), model, k=K)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UsageError, match=r"--histories=.*text\.parquet: cannot be read"):
        read(str(tmp_path / "text.parquet"), model, k=K)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, config = tmp_path_factory.mktemp("world"), world_config("tiny")
    config.update({"num_users": 30, "num_items": 90, "num_creators": 20, "num_clusters": 9, "num_events": 900})
    feed = simulate_feed(config)
    for kind, frames in (("tables", tables(feed)), ("truth", truth(feed, config))):
        write_tables(folder / kind, frames, kind=kind, config=config.to_dict())
    return open_world(str(folder))


def living(world, *, users=40, k=30):
    behaviours = {"skip": 1.0}
    settings = {"slate_size": 10, "place_power": 0.0, "first_item_power": 0.0, "behaviours": behaviours}
    return LivingUsers(world, draw_plan(ConfigDict(settings), np.ones(91), users=users, k=k, seed=5), seed=5)


def lived(world, model, *, k=30, **people):
    """What comes of them, with these fields of theirs in place of what was drawn."""
    branches, _ = with_baselines("long_watch", ("skip",))
    users = living(world, k=k)
    users.people = dataclasses.replace(users.people, **people)
    return simulate(model, users, branches, slates=Slates(10))


def test_users_of_the_world_watch_what_interests_them(world):
    model = recommender_on([None, *range(90)])
    outcome = lived(world, model)
    assert (outcome.past.item > 0).all()
    assert all(len(set(items)) == 30 for items in outcome.past.items)
    cluster = world.catalogue.cluster[outcome.past.item - 1]
    interest = np.take_along_axis(living(world).people.interest, cluster, axis=1)  # [40, 29]
    watched = has(outcome.past.feedback, "click")
    # What is watched is what the user cares about, by ten standard errors of the difference and more.
    halves = [interest[watched], interest[~watched]]
    error = np.sqrt(sum(half.var() / half.size for half in halves))
    assert halves[0].mean() > halves[1].mean() + 10 * error
    # Nobody has had enough of anything yet: one event in a hundred is disliked, at most.
    assert 0 < has(outcome.past.feedback, "dislike").mean() < 0.01


def test_users_of_the_world_dislike_what_has_turned_sour_as_they_are_ready_to(world):
    model = recommender_on([None, *range(90)])
    everything = np.ones((40, world.config.num_clusters), bool)
    for readiness in (0.0, 0.3, 1.0):
        outcome = lived(world, model, sour_cluster=everything, readiness=np.full(40, readiness))
        share, count = has(outcome.past.feedback, "dislike").mean(), 40 * 29
        assert abs(share - readiness) <= 4 * np.sqrt(readiness * (1 - readiness) / count)


def test_users_of_the_world_are_new_people_and_no_two_are_one(world):
    # More of them than the world has; intervals over users take them for independent.
    drawn = {tuple(row) for row in living(world).people.interest}
    assert len(drawn) == 40 > world.num_users
    assert not drawn & {tuple(row) for row in world.people.interest}
    assert not living(world).people.sour_cluster.any()


def test_the_user_model_is_deterministic_and_leaves_the_world_as_it_is(world):
    model = recommender_on([None, *range(90)])
    sour = world.people.sour_cluster.copy()
    one, again = lived(world, model), lived(world, model)
    np.testing.assert_array_equal(one.past.feedback, again.past.feedback)
    np.testing.assert_array_equal(one.slates, again.slates)
    np.testing.assert_array_equal(world.people.sour_cluster, sour)
    shorter = lived(world, model, k=10)
    np.testing.assert_array_equal(shorter.past.item, one.past.item[:, :9])


def test_a_recommender_of_another_log_knows_other_items(world):
    with pytest.raises(UsageError, match="--recommender: item 90 is not of --world"):
        lived(world, recommender_on([None, *range(1, 91)]))
