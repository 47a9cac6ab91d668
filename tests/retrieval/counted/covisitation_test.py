"""Co-visitation: its vectors against NumPy's eigenvectors, its states event by event, and what a no does to it."""

import numpy as np
import pytest
import scipy.sparse as sp

from configs.retrieval import get_config
from data.feedback import BITS
from retrieval.counted.covisitation import CoVisitation, count, counted_vectors
from retrieval.counted.reactions import Reactions
from retrieval.simple_rules import similarities
from tests.logs import random_timelines

N, R, T = 9, 4, 7
LIKE, NO = 1 << BITS["like"], 1 << BITS["dislike"]
UNKNOWN, SHORT, LONG = 1, 3, 6  # dwell buckets


def settings(**changed):
    config = get_config("demo,dislike_input_and_label")
    config.update({"covisitation_prior": 2.0, "covisitation_decay": 0.5, "memory_size": 2})
    config.update(changed)
    return config


def part(vectors, *, weight=1.0, noes_weight=2.0, **changed):
    config = settings(**changed)
    of = CoVisitation({"vectors": vectors}, None, config, weight=weight, noes_weight=noes_weight)
    return of, Reactions(config)


@pytest.fixture
def vectors():
    table = np.random.default_rng(0).normal(size=(N + 1, R)).astype(np.float32)
    table[0] = 0
    return table


def states(of, item, dwell=None, feedback=None):
    """After one history."""
    part, reactions = of
    dwell = [LONG] * len(item) if dwell is None else dwell
    feedback = [0] * len(item) if feedback is None else feedback
    columns = (np.asarray(values, np.int32)[None] for values in (item, dwell, feedback))
    return np.asarray(part.after(part.vectors, reactions.read(*columns)))


def asked(of, *history):
    """The query after one history."""
    return np.asarray(of[0].queries(states(of, *history)))[0]


def test_its_vectors_give_the_similarities_back():
    cosines = np.random.default_rng(0).random((N + 1, N + 1)) * (np.random.default_rng(1).random((N + 1, N + 1)) < 0.5)
    cosines[4] = cosines[:, 4] = 0  # met by nobody
    both = (cosines + cosines.T) / 2
    values, directions = np.linalg.eigh(both)
    largest = np.argsort(-values)[:R]
    expected = (directions[:, largest] * np.maximum(values[largest], 0)) @ directions[:, largest].T
    found = counted_vectors(sp.csr_matrix(cosines), R)
    assert not found[4].any()
    np.testing.assert_allclose(found @ found.T, expected, atol=1e-3)


def test_its_vectors_are_the_same_every_time_where_nobody_links_the_items():
    """Krylov's space closes early, and ARPACK goes on from chance."""
    pair = sp.csr_matrix(np.array([[0.0, 1.0], [1.0, 0.0]]))
    pairs = sp.block_diag([sp.csr_matrix((1, 1)), *[pair] * 100]).tocsr()
    first, again = counted_vectors(pairs, 32), counted_vectors(pairs, 32)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("similar", [sp.csr_matrix((N + 1, N + 1)), sp.csr_matrix((2, 2))])
def test_where_nothing_is_near_or_there_are_more_numbers_than_items_vectors_are_zero(similar):
    assert not counted_vectors(similar, R).any()


def test_a_query_is_the_decayed_mean_of_what_was_not_turned_down(vectors):
    of = part(vectors)
    # A like makes a short play none that was turned down, and what is unknown was not.
    found = asked(of, [1, 2, 3, 0, 4], [LONG, SHORT, SHORT, 0, UNKNOWN], [0, 0, LIKE, 0, 0])
    weights = {1: 0.125, 3: 0.5, 4: 1.0}
    total = sum(weight * vectors[item] for item, weight in weights.items())
    np.testing.assert_allclose(found, total / (sum(weights.values()) + 2), rtol=1e-5)


def test_without_decay_and_prior_scores_are_mean_cosines():
    cosines = np.random.default_rng(0).random((N + 1, N + 1)) + 5 * np.eye(N + 1)  # of positive eigenvalues
    both = (cosines + cosines.T) / 2
    both[0] = both[:, 0] = 0
    table = counted_vectors(sp.csr_matrix(both), N - 1)
    of = part(table, weight=3.0, covisitation_prior=1e-9, covisitation_decay=1.0)
    scores = np.asarray(of[0].vectors) @ asked(of, [1, 5, 7])
    expected = 3 * (table @ table.T)[[1, 5, 7]].mean(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", [(), ("dislike",)])
def test_event_by_event_states_are_those_of_whole_histories(vectors, memory):
    rng = np.random.default_rng(0)
    of, reactions = part(vectors, memory_feedback=memory, excluded_feedback=("share",))
    columns = (
        rng.integers(0, N + 1, (5, T)),
        rng.integers(1, 8, (5, T)),
        rng.choice([0, LIKE, NO, NO | LIKE, 1 << BITS["share"]], (5, T)),
    )
    events = reactions.read(*(values.astype(np.int32) for values in columns))
    state = np.zeros((5, of.state_size), np.float32)
    for t in range(T):
        event = type(events)(*(column[:, t] for column in events))
        state = np.where((event.item > 0)[:, None], of.step(state, of.vectors, event), state)
    whole = of.after(of.vectors, events)
    np.testing.assert_allclose(of.queries(state), of.queries(whole), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state, whole, rtol=1e-4, atol=1e-5)


def scores(of, *history):
    """Of every item, after one history."""
    return np.asarray(of[0].vectors) @ asked(of, *history)


@pytest.mark.parametrize(
    ("weight", "noes_weight", "left"), [(1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.5, 1.0, -1.0), (4.0, 8.0, -1.0)]
)
def test_after_a_no_an_item_scores_what_is_left_of_its_weight(vectors, weight, noes_weight, left):
    of = part(vectors, weight=weight, noes_weight=noes_weight)
    before = scores(of, [1, 2, 5, 3, 9], [LONG, LONG, LONG, LONG, SHORT])[5]
    after = scores(of, [1, 2, 5, 3, 5], [LONG, LONG, LONG, LONG, SHORT], [0, 0, 0, 0, NO])[5]
    np.testing.assert_allclose(after / before, left, atol=0.02)


def test_what_a_no_takes_away_is_the_same_at_every_weight(vectors):
    history, dwell = [1, 2, 5, 3, 5], [LONG, LONG, LONG, LONG, SHORT]
    taken = [
        scores(of, history, dwell) - scores(of, history, dwell, [0, 0, 0, 0, NO])
        for of in (part(vectors, weight=weight, noes_weight=3.0) for weight in (0.0, 0.5, 1.0, 20.0))
    ]
    assert np.abs(taken[0]).max() > 0.1
    for of_weight in taken[1:]:
        np.testing.assert_allclose(of_weight, taken[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("likes", "left"), [(0, -1.0), (1, 0.0), (2, 0.5), (3, 0.75)])
def test_likes_of_the_same_take_a_no_back(vectors, likes, left):
    of = part(vectors, memory_size=8)
    # Plays too short to count, so that the likes of 5 themselves add nothing but their word.
    past, dwell = [1, 2, 5, 3, *[5] * (1 + likes)], [LONG] * 4 + [SHORT] * (1 + likes)
    said = states(of, past, dwell, [0, 0, 0, 0, NO, *[LIKE] * likes]).copy()
    forgotten = asked(of, past, dwell, [0, 0, 0, 0, NO, *[LIKE] * likes]) @ vectors[5]
    said[:, R + 1 :] = 0  # the noes
    held = np.asarray(of[0].queries(said))[0] @ vectors[5]
    np.testing.assert_allclose(forgotten / held, left, atol=0.03)


def test_a_model_that_does_not_read_dislikes_asks_the_same_after_one(vectors):
    of = part(vectors, input_feedback=("like",), memory_feedback=())
    np.testing.assert_array_equal(asked(of, [1, 2]), asked(of, [1, 2], None, [0, NO]))


def test_it_counts_what_lies_before_a_split(tmp_path):
    log = random_timelines.write(tmp_path / "timelines", lengths=[20] * 12, num_items=30)
    found = {split: count(log, split, settings(covisitation_dim=R))["vectors"] for split in ("valid", "test")}
    for split, end in (("valid", log.valid_start), ("test", log.test_start)):
        np.testing.assert_allclose(found[split], counted_vectors(similarities(log, end), R), atol=1e-5)
    assert np.abs(found["valid"] - found["test"]).max() > 1e-3
