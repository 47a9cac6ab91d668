import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runtime.errors import DataError
from simulation.exported.met import Met
from simulation.exported.recommender import Recommender, load
from simulation.exported.serving import Rank, Server, probabilities, replay, slates, users_at_once
from simulation.world.draws import choose
from tests.logs import small_world
from tests.logs.small_world import HISTORY

NUM_ITEMS, USERS = 40, 11


@pytest.fixture(scope="module", params=["step", "tower"])
def recommender(request, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    folder = tmp_path_factory.mktemp("arm") / request.param
    return load(small_world.arm(folder, num_items=NUM_ITEMS, seed=0, step=request.param == "step"))


def _histories(lengths) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    real = np.arange(HISTORY) < np.asarray(lengths)[:, None]
    item = rng.integers(1, NUM_ITEMS + 1, real.shape)
    feedback = rng.integers(0, 2, real.shape) << 6  # dislikes
    return [np.where(real, column, 0).astype(np.int32) for column in (item, np.ones_like(item), feedback)]


def _sums(recommender: Recommender, columns) -> np.ndarray:
    # What the fake tower computes, in float64.
    item, _, feedback = columns
    return ((1 - 2 * (feedback >> 6))[:, :, None] * recommender.item_vectors[item].astype(np.float64)).sum(axis=1)


def test_replay_reads_each_history_to_its_own_end(recommender: Recommender) -> None:
    columns = _histories([1, 5, HISTORY])
    _, query = replay(*columns, start=recommender.start, step=recommender.step)
    np.testing.assert_allclose(query, _sums(recommender, columns), rtol=1e-5, atol=1e-5)


def test_slates_are_the_best_that_are_new_best_first() -> None:
    vectors = np.array([[9.0], [1.0], [2.0], [3.0], [4.0]], np.float32)  # row 0 is padding
    met = np.array([[0, 0], [4, 0]])
    items, logits = slates(jnp.ones((2, 1)), vectors, met, slate_size=3)
    assert items.tolist() == [[4, 3, 2], [3, 2, 1]]
    assert logits.tolist() == [[4.0, 3.0, 2.0], [3.0, 2.0, 1.0]]


def test_what_was_met_comes_back_only_behind_all_that_is_new() -> None:
    vectors = np.array([[9.0], [1.0], [2.0], [3.0]], np.float32)
    items, logits = slates(jnp.ones((1, 1)), vectors, np.array([[2, 3, 3, 0]]), slate_size=3)
    assert items.tolist() == [[1, 3, 2]]
    policy = probabilities(np.asarray(logits), temperature=1.0)
    np.testing.assert_allclose(policy, [[1.0, 0.0, 0.0]])


def test_what_was_met_is_kept_by_user_however_much_it_is() -> None:
    rng = np.random.default_rng(0)
    rows, items = np.sort(rng.integers(0, 5, 60)), rng.integers(1, 1000, 60)
    rows[rows == 3] = 2  # user 3 has met nothing
    expected = [set(items[rows == user].tolist()) for user in range(5)]
    met = Met(rows, items, 5)
    for _ in range(40):
        users = rng.permutation(5)[:3]
        found = met.of(users)
        assert [set(row.tolist()) - {0} for row in found] == [expected[user] for user in users]
        new = rng.integers(1, 1000, 3)
        met.add(users, new)
        for user, item in zip(users, new.tolist(), strict=True):
            expected[user].add(item)
    assert met.of(np.zeros(0, int)).shape == (0, 8)


def test_fewer_users_at_a_time_where_items_are_many() -> None:
    assert [users_at_once(items) for items in (100, 1 << 17, 1 << 18, 1 << 20, 10**9)] == [512, 512, 128, 32, 8]


def test_the_policy_is_a_softmax_with_a_temperature() -> None:
    logits = np.log(np.array([[6.0, 3.0, 1.0]]))
    np.testing.assert_allclose(probabilities(logits, temperature=1.0), [[0.6, 0.3, 0.1]])
    np.testing.assert_allclose(probabilities(logits, temperature=0.5), [[36 / 46, 9 / 46, 1 / 46]])
    extreme = np.array([[1e4, 0.0, -1e4]])
    np.testing.assert_allclose(probabilities(extreme, temperature=1e-3), [[1.0, 0.0, 0.0]])


def test_draws_invert_the_cumulative_policy() -> None:
    policy = np.repeat([[0.6, 0.3, 0.1]], 6, axis=0)
    assert choose(policy, np.array([0.0, 0.59, 0.61, 0.89, 0.91, 1.0 - 1e-16])).tolist() == [0, 0, 1, 1, 2, 2]
    assert choose(np.array([[0.0, 1.0]]), np.array([0.0])).tolist() == [1]


def _server(recommender: Recommender, lengths, **options) -> tuple[Server, list[np.ndarray]]:
    columns = _histories(lengths)
    met = Met(np.zeros(0, int), np.zeros(0, int), len(lengths))
    return Server(recommender, columns, met, slate_size=5, temperature=1.0, **options), columns


def test_a_server_serves_the_policy_of_what_it_has_read(recommender: Recommender) -> None:
    # Over many events, past the length that fits: each user's events by hand, half of them kept at first and when full.
    lengths, half = np.arange(1, USERS + 1), HISTORY // 2
    server, columns = _server(recommender, lengths)
    rng = np.random.default_rng(2)
    events = [[tuple(c[u, t] for c in columns) for t in range(max(n - half, 0), n)] for u, n in enumerate(lengths)]
    met = [set() for _ in range(USERS)]
    for _ in range(2 * HISTORY):
        users = np.flatnonzero(rng.random(USERS) < 0.7)
        uniforms = rng.random(len(users))
        served = server.serve(users, uniforms)
        for user, item, uniform in zip(users, served, uniforms, strict=True):
            read = [np.array([[event[c] for event in events[user]]]) for c in range(3)]
            logits = recommender.item_vectors[1:].astype(np.float64) @ _sums(recommender, read)[0]
            logits[[i - 1 for i in met[user]]] = -np.inf
            order = np.argsort(-logits)[:5]
            expected = np.cumsum(np.exp(logits[order] - logits[order[0]]))
            place = int((expected <= uniform * expected[-1]).sum())
            assert item == order[place] + 1
        feedback = rng.integers(0, 2, len(users)) << 6
        server.observe(users, served, np.ones(len(users), int), feedback)
        for user, item, bits in zip(users, served, feedback, strict=True):
            if len(events[user]) == HISTORY:
                del events[user][: HISTORY - half]
            events[user].append((item, 1, bits))
            met[user].add(item)


def test_a_ranking_stage_orders_the_slate(recommender: Recommender) -> None:
    # It sees the recent events and turns the order round: nearly all falls on what was last.
    seen = []

    def order(item, dwell, feedback, slate, logits):
        jax.debug.callback(lambda *given: seen.append([np.asarray(one) for one in given]), item, slate)
        return -1e3 * logits

    server, columns = _server(recommender, [3, 4], rank=Rank(order, length=HISTORY))
    plain, _ = _server(recommender, [3, 4])
    users = np.arange(2)
    last = server.serve(users, np.zeros(2) + 1e-9)
    jax.effects_barrier()
    ((items, slate),) = seen
    np.testing.assert_array_equal(items[:2, :HISTORY], columns[0])
    assert (last != plain.serve(users, np.zeros(2))).all()
    assert all(item in row for item, row in zip(last, slate, strict=False))


@pytest.mark.parametrize("length", [2, HISTORY + 3], ids=["fewer", "more"])
def test_a_ranking_stage_reads_as_many_events_as_it_was_trained_on(recommender: Recommender, length: int) -> None:
    # Whatever the recommender keeps: over more events than either has room for, the newest `length` are always there.
    seen = []

    def order(item, dwell, feedback, slate, logits):
        jax.debug.callback(lambda *given: seen.append([np.asarray(one) for one in given]), item, feedback)
        return logits

    server, columns = _server(recommender, [3], rank=Rank(order, length=length))
    events = [(columns[0][0, t], columns[2][0, t]) for t in range(3)]
    user, rng = np.array([0]), np.random.default_rng(3)
    for _ in range(2 * (length + 64)):
        served = server.serve(user, rng.random(1))
        jax.effects_barrier()
        items, bits = seen[-1]
        read = [(item, bit) for item, bit in zip(items[0], bits[0], strict=True) if item]
        newest = events[-length:]
        assert read[-len(newest) :] == newest
        feedback = rng.integers(0, 2, 1) << 6
        server.observe(user, served, np.ones(1, int), feedback)
        events.append((served[0], feedback[0]))


def test_logits_that_are_not_finite_are_refused(recommender: Recommender) -> None:
    rank = Rank(lambda item, dwell, feedback, slate, logits: logits * np.nan, length=HISTORY)
    server, _ = _server(recommender, [3], rank=rank)
    with pytest.raises(DataError, match="diverged"):
        server.serve(np.array([0]), np.array([0.5]))
