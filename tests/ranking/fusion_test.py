import numpy as np
import pytest

from ranking import fusion
from ranking.fusion import Lists
from runtime.errors import UsageError

TASKS = ("EVV", "FVV", "GVV")


def test_score_is_the_weighted_sum():
    probabilities = np.array([[0.5, 0.25, 0.75], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(fusion.fuse(probabilities, [2, 1, -3]), [1 + 0.25 - 2.25, 0.2 + 0.2 - 0.9])


def test_signs_turn_what_should_not_happen_down():
    np.testing.assert_array_equal(fusion.signs(("EVV", "GVV", "like", "dislike")), [1, -1, 1, -1])


def test_weights_by_hand_are_scaled():
    np.testing.assert_allclose(fusion.parse(["GVV=-3", "EVV=1"], TASKS), [0.25, 0, -0.75])
    np.testing.assert_allclose(fusion.weights({"FVV": 2.0}, TASKS), [0, 1, 0])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["click=1"], "--gamma=click: the model has no such task; it has EVV, FVV, GVV"),
        (["EVV"], "--gamma=EVV: written TASK=NUMBER"),
        (["EVV=much"], "--gamma=EVV=much: written TASK=NUMBER"),
        (["EVV=nan"], "written TASK=NUMBER"),
        (["EVV=1", "EVV=2"], "EVV is given twice"),
        (["EVV=0"], "every weight is 0"),
        (["GVV=1"], "--gamma=GVV=1: would rank first what should not happen"),
    ],
)
def test_mistaken_weights_are_named(entries, said):
    with pytest.raises(UsageError, match="^" + said if said.startswith("--") else said):
        fusion.parse(entries, TASKS)


def _days(seed=0, users=30, each=14):
    # Long views follow the first prediction, skips the third; the second is noise.
    rng = np.random.default_rng(seed)
    p = rng.random((users * each, 3))
    return p, rng.random(len(p)) < p[:, 0], rng.random(len(p)) < p[:, 2], np.repeat(np.arange(users), each)


def test_a_heavier_penalty_skips_less_at_the_cost_of_ndcg():
    p, wanted, skip, of = _days()
    trades = fusion.trade_off(p, Lists(wanted, skip, of, 30), tasks=TASKS, pool=60)
    quality = np.array([trade.quality[:2] for trade in trades])
    assert (np.diff(quality[:, 0]) <= 0).all()
    assert (np.diff(quality[:, 1]) <= 0).all()
    assert quality[0, 1] > quality[-1, 1]
    assert np.argmax(np.abs(trades[0].weights)) == 0
    assert trades[-1].weights[2] < -0.5
    for trade in trades:
        assert np.abs(trade.weights).sum() == pytest.approx(1)
        assert (trade.weights * fusion.signs(TASKS) >= 0).all()
        again = fusion.quality_of_lists(fusion.fuse(p, trade.weights), Lists(wanted, skip, of, 30))
        assert again[:2] == trade.quality[:2]


def test_satisfaction_is_weighed_where_it_is_asked_for():
    """It follows the second prediction, which neither long views nor skips do."""
    p, wanted, skip, of = _days()
    satisfied = p[:, 1]
    found = {
        weight: fusion.trade_off(
            p,
            Lists(wanted, skip, of, 30, satisfied),
            tasks=TASKS,
            penalties=(0.0,),
            satisfaction_weight=weight,
        )[0]
        for weight in (0.0, 100.0)
    }
    assert found[100.0].quality.satisfaction > found[0.0].quality.satisfaction
    assert found[100.0].quality.ndcg < found[0.0].quality.ndcg
    assert found[100.0].weights[1] > 0.9
    chosen = fusion.fuse(p, found[100.0].weights)
    first_ten = [np.argsort(-chosen[of == u])[:10] for u in range(30)]
    mean = np.mean([satisfied[of == u][top].mean() for u, top in enumerate(first_ten)])
    assert found[100.0].quality.satisfaction == pytest.approx(mean)


def test_chosen_weights_are_the_best_of_their_objective():
    p, wanted, skip, of = _days(seed=1)
    (trade,) = fusion.trade_off(p, Lists(wanted, skip, of, 30), tasks=TASKS, pool=60, penalties=(0.5,))
    for alone in np.eye(3) * fusion.signs(TASKS):
        other = fusion.quality_of_lists(fusion.fuse(p, alone), Lists(wanted, skip, of, 30))
        assert trade.quality.ndcg - 0.5 * trade.quality.skip >= other.ndcg - 0.5 * other.skip


def test_where_nothing_is_wanted_all_tasks_weigh_alike_or_skips_are_avoided():
    p, _, skip, of = _days()
    nothing = np.zeros(len(p), bool)
    free, *charged = fusion.trade_off(p, Lists(nothing, skip, of, 30), tasks=TASKS)
    assert free.penalty == 0
    np.testing.assert_allclose(free.weights, [1 / 3, 1 / 3, -1 / 3])
    for trade in charged:
        assert trade.quality.skip < free.quality.skip
    for trade in fusion.trade_off(p, Lists(nothing, nothing, of, 30), tasks=TASKS):
        np.testing.assert_allclose(trade.weights, [1 / 3, 1 / 3, -1 / 3])


def test_single_task_and_short_lists():
    p, wanted, skip, of = _days(each=4)
    trades = fusion.trade_off(p[:, 2:], Lists(wanted, skip, of, 30), tasks=("GVV",))
    assert all(trade.weights == [-1.0] for trade in trades)
    assert all(np.isnan(trade.quality.skip) for trade in trades)  # nobody has over 10 impressions
