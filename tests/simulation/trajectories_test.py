import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from ml_collections import ConfigDict

from data.events_read import Reading
from data.feedback import BITS
from runtime.errors import DataError
from simulation.counterfactual.actions import Action
from simulation.counterfactual.courses import Branch
from simulation.counterfactual.plans import Plan, draw_plan
from simulation.counterfactual.responsiveness import lines, simulate, summary
from simulation.counterfactual.similarity import share_of
from simulation.counterfactual.trajectories import Slates
from simulation.exported.recommender import Recommender, windowed

N, K, SLATE = 40, 6, 7
BEHAVIOURS = {"skip": 0.4, "long_watch": 0.5, "long_watch+dislike": 0.1}


def plan(**changes) -> Plan:
    settings = {"slate_size": SLATE, "place_power": 0.0, "first_item_power": 1.0, "behaviours": BEHAVIOURS}
    options = {"item_counts": np.arange(N + 1), "users": 20, "k": K, "seed": 1} | changes
    config = ConfigDict({name: options.pop(name, value) for name, value in settings.items()})
    return draw_plan(config, options.pop("item_counts"), **options)


def test_actions_are_what_the_log_would_hold():
    expected = {
        "skip": (2 + 1, ["skip"]),  # 1.3 s: past 1 s
        "quit_early": (2 + 2, []),  # 4.2 s: past 1, 3 s
        "medium_watch": (2 + 3, ["click"]),  # 9.6 s: past 1, 3, 6 s
        "long_watch": (2 + 6, ["click", "long_view"]),  # 40 s: past 1, 3, 6, 10, 18, 30 s
        "long_watch+dislike": (2 + 6, ["click", "long_view", "dislike"]),
        "skip+dislike": (2 + 1, ["skip", "dislike"]),
        "met+dislike": (1, ["click", "dislike"]),  # for an unknown time
    }
    for name, (dwell, bits) in expected.items():
        assert Action.parse(name) == Action(name, dwell, sum(1 << BITS[bit] for bit in bits))


def test_logged_events_are_called_by_what_they_come_closest_to():
    of_events = {
        (3, ("skip",)): "skip",
        (8, ("long_view", "dislike")): "long_watch+dislike",
        (1, ("long_view",)): "long_watch",  # as the log says, which has no play time
        (1, ("click",)): "met",
        (1, ("like",)): "met+like",
        (4, ("like",)): "quit_early+like",
    }
    for (dwell, names), name in of_events.items():
        assert Action.of_event(dwell, sum(1 << BITS[bit] for bit in names)).name == name


def test_slates_and_histories_equal_a_reference_in_numpy():
    rng = np.random.default_rng(2)
    vectors = rng.integers(-5, 6, (N + 1, 3)).astype(np.float32)  # few values: many ties, which the lower index wins
    vectors[0] = 100  # padding would win, were it eligible

    def weight(feedback):
        return 1 - 3 * ((feedback >> BITS["dislike"]) & 1)

    def tower(item, dwell, feedback):
        return (weight(feedback)[:, :, None] * (item > 0)[:, :, None] * jnp.asarray(vectors)[item]).sum(axis=1)

    start, step = windowed(tower, Reading(K))
    recommender = Recommender(start, step, vectors, items=pl.DataFrame(), reading=Reading(K), fingerprint="")
    branches = [Branch.parse(name) for name in ("long_watch", "long_watch+dislike")]
    drawn = plan()
    outcome = simulate(recommender, drawn, branches, slates=Slates(SLATE))

    def reference_slate(items, actions):
        query = sum(weight(a.feedback) * vectors[i].astype(np.float64) for i, a in zip(items, actions, strict=True))
        ranked = np.argsort(-(vectors @ query), kind="stable")
        return [i for i in ranked if i not in (0, *items)][:SLATE]

    for user in range(drawn.num_users):
        items = [drawn.first_item[user]]
        actions = [drawn.actions[a] for a in drawn.action[user]]
        for t in range(K - 1):
            items.append(reference_slate(items, actions[: t + 1])[drawn.place[user, t]])
        np.testing.assert_array_equal(outcome.past.items[user], items)
        for n, branch in enumerate(branches):
            np.testing.assert_array_equal(
                outcome.slates[n, 0, user], reference_slate(items, [*actions, *(act.action for act in branch.acts)])
            )


def test_chunks_do_not_change_the_outcome(monkeypatch):
    vectors = np.random.default_rng(3).integers(-5, 6, (N + 1, 3)).astype(np.float32)
    start, step = windowed(lambda item, dwell, feedback: jnp.asarray(vectors)[item].sum(axis=1), Reading(K))
    recommender = Recommender(start, step, vectors, items=pl.DataFrame(), reading=Reading(K), fingerprint="")
    branches = [Branch.parse("long_watch")]
    whole = simulate(recommender, plan(), branches, slates=Slates(SLATE))
    monkeypatch.setattr("simulation.counterfactual.responsiveness._CHUNK_USERS", 7)  # 20 users: 7 + 7 + 6
    cut = simulate(recommender, plan(), branches, slates=Slates(SLATE))
    np.testing.assert_array_equal(whole.past.items, cut.past.items)
    np.testing.assert_array_equal(whole.slates, cut.slates)


def test_a_slate_skips_padding_and_consumed_items():
    vectors = jnp.array([[9.0], [1.0], [2.0], [3.0], [4.0]])
    slate = Slates(2).best(jnp.array([[1.0], [-1.0]]), vectors, (), jnp.array([[4, 0], [1, 2]]))
    np.testing.assert_array_equal(slate, [[3, 2], [3, 4]])


def test_a_plan_is_the_seeds_and_more_users_do_not_change_the_first():
    few, again, more, other = plan(), plan(), plan(users=30), plan(seed=2)
    for field in ("first_item", "place", "action"):
        np.testing.assert_array_equal(getattr(few, field), getattr(again, field))
        np.testing.assert_array_equal(getattr(few, field), getattr(more, field)[:20])
        assert not np.array_equal(getattr(few, field), getattr(other, field))


def test_a_plan_follows_its_distributions():
    users = 4_000
    counts = np.array([50, 0, 1, 3])  # row 0 is padding, whatever its count
    popular = plan(users=users, item_counts=counts)
    even = plan(users=users, item_counts=counts, first_item_power=0.0)
    top = plan(users=users, place_power=1.0, behaviours={"skip": 3.0, "quit_early": 0.0, "long_watch": 1.0})
    share = np.bincount(popular.first_item, minlength=4) / users
    se = 0.5 / np.sqrt(users)
    np.testing.assert_allclose(share, [0, 0, 1 / 4, 3 / 4], atol=5 * se)
    np.testing.assert_allclose(np.bincount(even.first_item, minlength=4) / users, [0, 1 / 3, 1 / 3, 1 / 3], atol=5 * se)
    harmonic = 1 / np.arange(1, SLATE + 1)
    np.testing.assert_allclose(np.bincount(top.place.ravel()) / top.place.size, harmonic / harmonic.sum(), atol=5 * se)
    expected = {"skip": 3 / 4, "quit_early": 0, "long_watch": 1 / 4}
    acted = np.bincount(top.action.ravel(), minlength=3) / top.action.size
    np.testing.assert_allclose(acted, [expected[action.name] for action in top.actions], atol=5 * se)


def test_similarity_is_the_share_of_the_slate_with_the_items_label():
    labels = np.array([0, 1, 1, 2, 0])
    slates = np.array([[1, 2, 3, 4], [3, 3, 1, 2], [4, 4, 4, 4]])
    last = np.array([2, 3, 4])
    np.testing.assert_array_equal(share_of(labels)(slates, last), [2 / 4, 2 / 4, np.nan])


def test_summary_leaves_out_unknown_labels_and_what_has_no_baseline():
    few = np.array([[0.5, 0.25, np.nan], [0.25, 0.125, np.nan]])
    rows, of_two = np.repeat(few, 5, axis=1), {"seed": 0, "samples": 100, "baselines": [0, 0]}
    metrics = summary({"content": rows, "creator": 0 * rows}, ["a", "b"], **of_two)
    assert metrics["users/content"] == 10
    assert metrics["similarity/a/content"] == (0.5 + 0.25) / 2
    assert metrics["b/content"] == pytest.approx((0.25 + 0.125) / (0.5 + 0.25) - 1)
    assert metrics["b/content/low"] == pytest.approx(-0.5)  # half of the same user's, in every resample
    assert metrics["similarity/b/creator"] == 0
    assert "b/creator" not in metrics
    # Of a handful a bootstrap knows no spread: there are no bounds.
    metrics = summary({"content": few}, ["a", "b"], **of_two)
    assert metrics["b/content"] == pytest.approx(-0.5)
    assert "b/content/low" not in metrics
    assert "of too few users" in lines(metrics, ["b"])[0]


def test_a_diverged_tower_is_reported():
    vectors = np.ones((N + 1, 2), np.float32)
    start, step = windowed(lambda item, dwell, feedback: jnp.full((len(item), 2), jnp.nan), Reading(K))
    recommender = Recommender(start, step, vectors, items=pl.DataFrame(), reading=Reading(K), fingerprint="")
    with pytest.raises(DataError, match="not finite"):
        simulate(recommender, plan(), [Branch.parse("long_watch")], slates=Slates(SLATE))
