"""Co-visitation: its vectors against NumPy's eigenvectors, its states event by event, and what a no does to it."""

import shutil

import numpy as np
import pytest
import scipy.sparse as sp
from ml_collections import ConfigDict

from configs.retrieval import get_config
from data.feedback import BITS
from retrieval import checkpoint
from retrieval.covisitation import FOLDER, CoVisitation, counted_vectors, read_vectors
from retrieval.run import train
from retrieval.simple_rules import similarities
from runtime.errors import DataError, UsageError
from tests import random_timelines
from training.saving.checkpoints import CHECKPOINTS, restore_params

N, R, T = 9, 4, 7
LIKE, NO = 1 << BITS["like"], 1 << BITS["dislike"]
UNKNOWN, SHORT, LONG = 1, 3, 6  # dwell buckets


def settings(**changed) -> ConfigDict:
    config = get_config("demo,dislike_input_and_label")
    config.update({"covisitation_weight": 1.0, "covisitation_prior": 2.0, "covisitation_decay": 0.5, "memory_size": 2})
    config.update(changed)
    return config


@pytest.fixture
def vectors():
    table = np.random.default_rng(0).normal(size=(N + 1, R)).astype(np.float32)
    table[0] = 0
    return table


def asked(of, item, dwell=None, feedback=None):
    """The query after one history."""
    dwell = [LONG] * len(item) if dwell is None else dwell
    feedback = [0] * len(item) if feedback is None else feedback
    columns = {"item": item, "dwell": dwell, "feedback": feedback}
    inputs = {name: np.asarray(values, np.int32)[None] for name, values in columns.items()}
    return np.asarray(of.queries(of.after(of.vectors, inputs)))[0]


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


@pytest.mark.parametrize("similar", [sp.csr_matrix((N + 1, N + 1)), sp.csr_matrix((2, 2))])
def test_where_nothing_is_near_or_there_are_more_numbers_than_items_vectors_are_zero(similar):
    assert not counted_vectors(similar, R).any()


def test_a_query_is_the_decayed_mean_of_what_was_not_turned_down(vectors):
    of = CoVisitation(vectors, settings())
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
    of = CoVisitation(table, settings(covisitation_weight=3.0, covisitation_prior=1e-9, covisitation_decay=1.0))
    scores = np.asarray(of.vectors) @ asked(of, [1, 5, 7])
    expected = 3 * (table @ table.T)[[1, 5, 7]].mean(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", [(), ("dislike",)])
def test_event_by_event_states_are_those_of_whole_histories(vectors, memory):
    rng = np.random.default_rng(0)
    of = CoVisitation(vectors, settings(memory_feedback=memory, excluded_feedback=("share",)))
    columns = {
        "item": rng.integers(0, N + 1, (5, T)),
        "dwell": rng.integers(1, 8, (5, T)),
        "feedback": rng.choice([0, LIKE, NO, NO | LIKE, 1 << BITS["share"]], (5, T)),
    }
    columns = {name: values.astype(np.int32) for name, values in columns.items()}
    state = np.zeros((5, of.state_size), np.float32)
    for t in range(T):
        state = of.step(state, of.vectors, *(columns[name][:, t] for name in ("item", "dwell", "feedback")))
    whole = of.after(of.vectors, columns)
    np.testing.assert_allclose(of.queries(state), of.queries(whole), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("erased", "left"), [(0.0, 1.0), (1.0, 0.0), (2.0, -1.0)])
def test_after_a_no_an_item_scores_what_is_not_erased(vectors, erased, left):
    of = CoVisitation(vectors, settings(covisitation_erased=erased))
    before = vectors[5] @ asked(of, [1, 2, 5, 3, 9], [LONG, LONG, LONG, LONG, SHORT])
    after = vectors[5] @ asked(of, [1, 2, 5, 3, 5], [LONG, LONG, LONG, LONG, SHORT], [0, 0, 0, 0, NO])
    np.testing.assert_allclose(after / before, left, atol=0.02)


@pytest.mark.parametrize(("likes", "left"), [(0, -1.0), (1, 0.0), (2, 0.5), (3, 0.75)])
def test_likes_of_the_same_take_a_no_back(vectors, likes, left):
    of = CoVisitation(vectors, settings(memory_size=8))
    # Plays too short to count, so that the likes of 5 themselves add nothing but their word.
    past, dwell = [1, 2, 5, 3, *[5] * (1 + likes)], [LONG] * 4 + [SHORT] * (1 + likes)
    said = of.after(
        of.vectors,
        {
            "item": np.array([past], np.int32),
            "dwell": np.array([dwell], np.int32),
            "feedback": np.array([[0, 0, 0, 0, NO, *[LIKE] * likes]], np.int32),
        },
    )
    total, count, noes = said[:, :R], said[:, R : R + 1], said[:, R + 1 :]
    forgotten = np.asarray(of.queries(said))[0] @ vectors[5]
    held = np.asarray(of.queries(np.concatenate([total, count, 0 * noes], axis=1)))[0] @ vectors[5]
    np.testing.assert_allclose(forgotten / held, left, atol=0.03)


def test_a_model_that_does_not_read_dislikes_asks_the_same_after_one(vectors):
    of = CoVisitation(vectors, settings(input_feedback=("like",), memory_feedback=()))
    np.testing.assert_array_equal(asked(of, [1, 2]), asked(of, [1, 2], feedback=[0, NO]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("covisitation")
    log = random_timelines.write(root / "timelines", lengths=[20] * 12, num_items=30)
    config = settings(dim=6, hidden=7, length=16, batch_size=2, num_epochs=1, covisitation_dim=R, warmup_steps=1)
    train(config, data=str(root / "timelines"), workdir=str(root / "train"))
    return log, root / "train"


def test_a_run_counts_what_lies_before_the_days_that_are_asked_about(trained):
    log, folder = trained
    for split, end in (("valid", log.valid_start), ("test", log.test_start)):
        expected = counted_vectors(similarities(log, end), R)
        np.testing.assert_allclose(read_vectors(folder, split), expected, atol=1e-5)
        retriever = checkpoint.load(folder, log, split=split)
        np.testing.assert_allclose(retriever.item_vectors()[:, -R:], expected, atol=1e-5)  # at a weight of 1
    assert np.abs(read_vectors(folder, "valid") - read_vectors(folder, "test")).max() > 1e-3


def test_a_retriever_adds_the_score_of_what_is_met_together(trained):
    log, folder = trained
    retriever = checkpoint.load(folder, log)
    model = checkpoint.build(retriever.config, log)
    params, _ = restore_params(folder / CHECKPOINTS, model.shapes)
    alone = checkpoint.Retriever(model.merge, params, retriever.config, log.num_items)
    of = CoVisitation(read_vectors(folder, "test"), retriever.config)
    rng = np.random.default_rng(0)
    inputs = {
        "item": rng.integers(0, 28, (6, 16)).astype(np.int32),
        "dwell": rng.integers(1, 8, (6, 16)).astype(np.int32),
        "feedback": rng.choice([0, LIKE, NO], (6, 16)).astype(np.int32),
    }
    scores = np.asarray(retriever.encode(inputs)) @ retriever.item_vectors().T
    towers = np.asarray(alone.encode(inputs)) @ alone.item_vectors().T
    more = np.asarray(of.queries(of.after(of.vectors, inputs))) @ np.asarray(of.vectors).T
    np.testing.assert_allclose(scores, towers + more, rtol=1e-4, atol=1e-4)
    state = retriever.initial_state(6)
    for t in range(16):
        state, query = retriever.step(state, *(inputs[name][:, t] for name in ("item", "dwell", "feedback")))
    np.testing.assert_allclose(query @ retriever.item_vectors().T, scores, rtol=1e-3, atol=1e-3)


def test_new_items_have_been_met_by_nobody(trained):
    log, folder = trained
    retriever = checkpoint.load(folder, log)
    content = log.item_content()
    vectors = np.asarray(retriever.of_content(content.codes[1:3], content.embeddings[1:3]))
    assert vectors.shape == (2, retriever.item_vectors().shape[1])
    assert not vectors[:, -R:].any()
    assert vectors[:, :-R].any()


def test_vectors_that_are_damaged_or_gone_are_refused(trained, tmp_path):
    log, folder = trained
    shutil.copytree(folder, tmp_path / "damaged")
    file = tmp_path / "damaged" / FOLDER / "test.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\0\1")
    with pytest.raises(DataError, match=r"test\.npy"):
        checkpoint.load(tmp_path / "damaged", log)
    shutil.rmtree(tmp_path / "damaged" / FOLDER)
    with pytest.raises(UsageError, match="no covisitation here"):
        checkpoint.load(tmp_path / "damaged", log)


@pytest.mark.parametrize("setting", ["covisitation_dim=-1", "covisitation_decay=0.0", "covisitation_prior=0.0"])
def test_settings_that_make_no_sense_are_refused(trained, tmp_path, setting):
    _, folder = trained
    name, value = setting.split("=")
    config = settings(**{name: type(get_config()[name])(float(value))})
    with pytest.raises(UsageError, match=setting):
        train(config, data=str(folder.parent / "timelines"), workdir=str(tmp_path / "train"))
