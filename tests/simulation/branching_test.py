"""Branches of several actions and at a distance, against NumPy; what they are compared with; how they are written."""

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from ml_collections import ConfigDict

from data.events_read import Reading
from data.feedback import BITS
from runtime.errors import UsageError
from simulation.counterfactual.actions import Action
from simulation.counterfactual.courses import Branch, with_baselines
from simulation.counterfactual.plans import draw_plan
from simulation.counterfactual.responsiveness import simulate, summary
from simulation.counterfactual.trajectories import Slates
from simulation.exported.recommender import Recommender, incremental, windowed
from simulation.exported.serving import Rank

N, K, SLATE, DISTANCES = 40, 5, 6, (1, 2, 4)
INDEX = np.arange(N + 1)
CLUSTER = np.where(INDEX > 0, (INDEX - 1) % 4 + 1, 0)  # ten items each
VECTORS = np.random.default_rng(0).integers(-5, 6, (N + 1, 3)).astype(np.float32) * (INDEX > 0)[:, None]
ITEMS = pl.DataFrame({"cluster": CLUSTER.astype(np.int32)})
BRANCHES = (
    "long_watch+dislike",
    "long_watch+dislike*3",
    "skip,long_watch+dislike",
    "long_watch+dislike;other:skip*2,long_watch",
)
ACTIONS = (Action.parse("long_watch+dislike"), Action.parse("long_watch"))
BASELINES = ("long_watch", "long_watch*2", "long_watch*3", "long_watch;other:skip*2,long_watch")
PLANS = ConfigDict(
    {
        "slate_size": SLATE,
        "place_power": 0.0,
        "first_item_power": 0.0,
        "behaviours": {"skip": 0.5, "long_watch": 0.5},
    }
)


def weight(feedback):
    """+1, or −2 for a dislike and 0 for a skip: integers, so that sums are exact in any order."""
    return 1 - 3 * ((feedback >> BITS["dislike"]) & 1) - ((feedback >> BITS["skip"]) & 1)


def step_of(state, item, dwell, feedback):
    state = state + weight(feedback)[:, None] * jnp.asarray(VECTORS)[item]
    return state, state


def tower(item, dwell, feedback):
    return (weight(feedback)[:, :, None] * (item > 0)[:, :, None] * jnp.asarray(VECTORS)[item]).sum(axis=1)


def recommender(kind="step", items=ITEMS):
    start, step = incremental(step_of, state_size=3) if kind == "step" else windowed(tower, Reading(16))
    return Recommender(start, step, VECTORS, items, reading=Reading(16), fingerprint="")


def simulated(kind="step", names=BRANCHES, **changes):
    branches, baselines = with_baselines("long_watch", names)
    plan, later = (draw_plan(PLANS, INDEX, users=12, k=k, seed=seed) for seed, k in ((1, K), (2, DISTANCES[-1])))
    options = {"slates": Slates(SLATE), "distances": DISTANCES, "later": later} | changes
    return simulate(recommender(kind), plan, branches, **options), plan, later, baselines


@pytest.fixture(scope="module")
def outcome():
    return simulated()


def ranked(query, consumed):
    return [i for i in np.argsort(-(VECTORS @ query), kind="stable") if i not in (0, *consumed)]


def query_of(events):
    return sum((weight(bits) * VECTORS[item].astype(np.float64) for item, bits in events), np.zeros(3))


def test_slates_equal_a_reference_in_numpy(outcome):
    found, plan, later, _ = outcome
    _, bits = plan.events(np.arange(plan.num_users))
    _, later_bits = later.events(np.arange(plan.num_users))
    assert [branch.name for branch in found.branches] == [*BASELINES, *BRANCHES]
    assert found.valid.all()
    for user in range(plan.num_users):
        items, last = found.past.item[user].tolist(), int(found.past.last[user])
        np.testing.assert_array_equal(found.past.feedback[user], bits[user])
        past = list(zip(items, found.past.feedback[user].tolist(), strict=True))
        before = ranked(query_of(past), [*items, last])
        own = [last, *[i for i in before if CLUSTER[i] == CLUSTER[last]]]
        of_cluster = {c: [i for i in before if CLUSTER[i] == c] for c in range(1, 5) if c != CLUSTER[last]}
        filled = {c: sum(CLUSTER[before[:SLATE]] == c) for c in of_cluster}
        strongest = sorted(of_cluster, key=lambda c: (-filled[c], before.index(of_cluster[c][0])))
        others = [of_cluster[c][0] for c in strongest]
        for n, branch in enumerate(found.branches):
            events, rows = list(past), {False: iter(own), True: iter(others)}
            for act in branch.acts:
                events.append((next(rows[act.elsewhere]), act.action.feedback))
            slates = []
            for t in range(DISTANCES[-1]):
                slates.append(ranked(query_of(events), [item for item, _ in events])[:SLATE])
                if t < DISTANCES[-1] - 1:
                    events.append((slates[-1][later.place[user, t]], later_bits[user, t]))
            for place, distance in enumerate(DISTANCES):
                np.testing.assert_array_equal(found.slates[n, place, user], slates[distance - 1])


def test_a_tower_of_whole_histories_gives_what_the_step_gives(outcome):
    other, *_ = simulated("tower")
    np.testing.assert_array_equal(other.slates, outcome[0].slates)


def test_a_branch_does_not_depend_on_the_others_nor_on_how_far_is_looked(outcome):
    alone, *_ = simulated(names=BRANCHES[:1], distances=(1,), later=None)
    np.testing.assert_array_equal(alone.slates[:, 0], outcome[0].slates[[0, len(BASELINES)], 0])


def test_all_branches_may_take_the_path_of_one(outcome):
    together, plan, later, _ = simulated(path_of=BRANCHES[0])
    leader, baseline = len(BASELINES), 0
    np.testing.assert_array_equal(together.slates[leader], outcome[0].slates[leader])
    np.testing.assert_array_equal(together.slates[:, 0], outcome[0].slates[:, 0])
    _, bits = later.events(np.arange(plan.num_users))
    for user in range(plan.num_users):
        events = [*zip(together.past.item[user], together.past.feedback[user], strict=True)]
        said_no, watched = ([*events, (together.past.last[user], act.feedback)] for act in ACTIONS)
        for t in range(DISTANCES[-1] - 1):
            taken = ranked(query_of(said_no), [item for item, _ in said_no])[later.place[user, t]]
            said_no, watched = ([*way, (taken, bits[user, t])] for way in (said_no, watched))
        expected = ranked(query_of(watched), [item for item, _ in watched])[:SLATE]
        np.testing.assert_array_equal(together.slates[baseline, -1, user], expected)


def test_a_distance_needs_to_know_what_comes_in_between():
    with pytest.raises(ValueError, match="`later` has to say what users do until then"):
        simulated(later=draw_plan(PLANS, INDEX, users=12, k=DISTANCES[-1] - 1, seed=2))


def test_a_larger_slate_to_look_at_changes_nothing_of_the_way_there(outcome):
    wide, *_ = simulated(shown=Slates(2 * SLATE))
    np.testing.assert_array_equal(wide.past.item, outcome[0].past.item)
    np.testing.assert_array_equal(wide.slates[..., :SLATE], outcome[0].slates)


def test_a_ranking_stage_reorders_what_was_retrieved():
    def oldest_first(item, dwell, feedback, candidates, logits):
        assert item.shape[1] >= K - 1
        return -candidates.astype(jnp.float32)

    plain, *_ = simulated(names=BRANCHES[:1], distances=(1,), shown=Slates(2 * SLATE))
    ranked_slates, *_ = simulated(
        names=BRANCHES[:1],
        distances=(1,),
        shown=Slates(SLATE, rank=Rank(oldest_first, length=100), candidates=2 * SLATE),
    )
    np.testing.assert_array_equal(ranked_slates.slates, np.sort(plain.slates, axis=-1)[..., :SLATE])


def test_a_cluster_that_runs_out_leaves_longer_branches_without_a_value():
    # Clusters of 37, 1, 1 and 1: from an item of a small one there is no second item to dislike.
    few = np.where(INDEX > 37, INDEX - 36, np.where(INDEX > 0, 1, 0)).astype(np.int32)
    branches, baselines = with_baselines("long_watch", BRANCHES[:2])
    plan = draw_plan(PLANS, INDEX, users=200, k=K, seed=1)
    some = recommender(items=pl.DataFrame({"cluster": few}))
    found = simulate(some, plan, branches, slates=Slates(SLATE))
    alone = few[found.past.last] > 1
    assert 0 < alone.sum() < 200
    np.testing.assert_array_equal(found.valid, [[True] * 200, ~alone, [True] * 200, ~alone])
    rows = np.where(found.valid, np.float64(found.slates[:, 0, :, 0] % 2), np.nan)
    metrics = summary({"content": rows}, [branch.name for branch in branches], baselines=baselines, seed=0, samples=50)
    assert metrics["users/content"] == 200
    assert metrics["users/long_watch+dislike*3/content"] == 200 - alone.sum()
    assert metrics["similarity/long_watch*3/content"] == rows[1][~alone].mean()


def test_branches_are_compared_with_the_baseline_done_as_often():
    branches, baselines = with_baselines("long_watch", ("skip", "skip*3", "skip,long_watch+dislike,skip"))
    assert [branch.name for branch in branches[:2]] == ["long_watch", "long_watch*3"]
    assert baselines == [0, 1, 0, 1, 1]
    assert [act.action.name for act in branches[-1].acts] == ["skip", "long_watch+dislike", "skip"]
    assert Branch.parse("skip*2, long_watch+like").length == 3


def test_what_stands_after_a_semicolon_is_done_in_the_baseline_too():
    no, other = "long_watch+dislike", "other:long_watch+dislike"
    asked = (
        f"{no};{other}",
        f"{no},{other}",
        f"long_watch,{other}",
        f"{no};long_watch+like*2,{other}*2",
        f"skip;{other}",
    )
    branches, baselines = with_baselines("long_watch", asked)
    assert [branches[place].name for place in baselines[-len(asked) :]] == [
        f"long_watch;{other}",
        "long_watch,other:long_watch",
        "long_watch,other:long_watch",  # of the no to another cluster alone: that is the baseline of the first, too
        f"long_watch;long_watch+like*2,{other}*2",
        f"long_watch;{other}",
    ]
    assert all(baselines[place] == place for place in range(len(branches) - len(asked)))
    assert [(act.elsewhere, act.shared) for act in Branch.parse(asked[3]).acts] == [
        (False, False),
        (False, True),
        (False, True),
        (True, True),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("baseline", "branches", "message"),
    [
        ("long_watch", ("skip*0",), r"'\*0' is no number of times; write ACTION\*3"),
        ("long_watch", ("skip*x",), r"'\*x' is no number of times"),
        ("long_watch", ("skip,boo",), "'boo' is not known"),
        ("long_watch", ("skip", "skip*1"), "each once"),
        ("long_watch", ("long_watch*3",), "each once"),  # the baseline of its own length
        ("long_watch*2", ("skip",), "one action"),
        ("long_watch", ("long_watch;skip",), "each once"),  # the baseline of skip;skip
        ("long_watch", ("skip;skip;skip",), "more than one ';'"),
        ("long_watch", ("skip;",), "action '': '' is not known"),
        ("long_watch", ("other:skip",), "begin with an action on the k-th item, as in ACTION,other:ACTION"),
        ("long_watch", ("skip,elsewhere:skip",), "'elsewhere:skip' is not known"),
    ],
)
def test_branches_that_cannot_be(baseline, branches, message):
    with pytest.raises(UsageError, match=message):
        with_baselines(baseline, branches)
