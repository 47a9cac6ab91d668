"""Both SavedModels, asked in a process that cannot import jax, against a float64 NumPy reference."""

import re
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from data import feedback
from data.events_read import Reading
from retrieval.export import index
from runtime.errors import DataError
from tests.helpers.server_without_jax import ask

N, D, T, MAX_K = 300, 4, 3, 500
READS = ("dislike", "skip")
RNG = np.random.default_rng(0)
ITEM_VECTORS = np.concatenate([np.zeros((1, D)), RNG.normal(size=(N, D))]).astype(np.float32)
EVENTS = RNG.normal(size=(N + 1, D)).astype(np.float32)
DWELL, BITS, EMPTY = RNG.normal(size=(3, D)).astype(np.float32)
POSITION = np.arange(1, T + 1, dtype=np.float32)
INT_IDS = np.arange(N, dtype=np.int64) * 7  # 0 is an id like any other
TEXT_IDS = np.arange(N).astype(str)  # as of a CSV file
STRING_IDS = np.array([f"vidéo {i}" for i in range(N)])


def tower(item, dwell, bits):
    """q = q_0 + Σ_t (t + 1) [event_t] (e(item_t) + 0.1 dwell_t a + 0.01 bits_t c): says which event stood where."""
    events = jnp.asarray(EVENTS)[item] + 0.1 * dwell[..., None] * jnp.asarray(DWELL)
    events += 0.01 * bits[..., None] * jnp.asarray(BITS)  # [b, T, D]
    weighted = jnp.where(item[..., None] > 0, jnp.asarray(POSITION)[:, None] * events, 0.0)
    return jnp.asarray(EMPTY) + jnp.sum(weighted, axis=1)


def request(history, *, ids, exclude=(), k=10, play_ms=None, **flags):
    """One request of one user; history and exclude are rows 0..N-1 of `ids`, None is padding."""
    padding = "" if ids.dtype.kind == "U" else -1
    t = len(history)

    def names(rows):
        return np.array([padding if row is None else ids[row] for row in rows], ids.dtype).reshape(1, -1)

    columns = {f"history_{bit}": np.asarray([flags.get(bit, [0] * t)], np.int32).reshape(1, t) for bit in READS}
    return {
        "history_item_id": names(history),
        "history_play_ms": np.asarray([[-1] * t if play_ms is None else play_ms], np.int32).reshape(1, t),
        **columns,
        "exclude_item_id": names(exclude),
        "k": np.array([k], np.int32),
    }


def stacked(*requests):
    return {name: np.concatenate([r[name] for r in requests]) for name in requests[0]}


def expected(one):
    """Item ids and scores [b, k] by brute force in float64."""
    ids = STRING_IDS if one["history_item_id"].dtype.kind == "U" else INT_IDS
    padding = "" if ids.dtype.kind == "U" else -1
    rows = {item_id: row + 1 for row, item_id in enumerate(ids.tolist())}
    item_id, score = [], []
    for b in range(len(one["history_item_id"])):
        met = [rows.get(i, 0) for i in one["history_item_id"][b].tolist()]
        bits = sum(one[f"history_{bit}"][b] << feedback.BITS[bit] for bit in READS)
        dwell = feedback.dwell_bucket(one["history_play_ms"][b])
        events = [(row, d, f) for row, d, f in zip(met, dwell, bits) if row][-T:]
        query = sum(
            (
                (t + 1) * (EVENTS[row] + 0.1 * float(d) * DWELL + 0.01 * float(f) * BITS).astype(np.float64)
                for t, (row, d, f) in enumerate(events)
            ),
            EMPTY.astype(np.float64),
        )
        scores = ITEM_VECTORS.astype(np.float64) @ query
        scores[[0, *met, *(rows.get(i, 0) for i in one["exclude_item_id"][b].tolist())]] = -np.inf
        order = np.argsort(-scores, kind="stable")[: one["k"][b]]
        missing = one["k"].max() - np.isfinite(scores[order]).sum()
        item_id.append([*(ids[row - 1] for row in order[np.isfinite(scores[order])]), *[padding] * missing])
        score.append([*scores[order][np.isfinite(scores[order])], *[0.0] * missing])
    return np.array(item_id), np.array(score)


PLAIN = {"play_ms": [500, 200_000], "dislike": [0, 1], "skip": [1, 0]}
RIGHT = {  # name -> request as a function of the ids; each is asked of every model
    "one": lambda ids: request([3, 5], ids=ids, **PLAIN),
    "more_than_T": lambda ids: request(range(20), ids=ids, play_ms=range(0, 40_000, 2_000), dislike=[0, 1] * 10),
    "padding_left": lambda ids: request(
        [None, None, 3, 5], ids=ids, play_ms=[7, 7, 500, 200_000], dislike=[1, 1, 0, 1]
    ),
    "padding_between": lambda ids: request([3, None, 5, None], ids=ids, skip=[1, 1, 0, 1]),
    "empty_history": lambda ids: request([], ids=ids),
    "all_padding": lambda ids: request([None, None], ids=ids),
    "repeated": lambda ids: request([8, 8, 8, 8, 2], ids=ids, k=N - 2),
    "excluded": lambda ids: request([1], ids=ids, exclude=[None, *range(100, 200)], k=150),
    "everything_excluded": lambda ids: request([0], ids=ids, exclude=range(1, N), k=4),
    "k_above_what_is_left": lambda ids: request([1, 2], ids=ids, exclude=[7], k=MAX_K),
    "k_is_1": lambda ids: request([1, 2], ids=ids, k=1),
    "a_k_for_each_row": lambda ids: stacked(*(request([k], ids=ids, k=k) for k in (3, 1, 7))),
    "batch_at_dwell_edges": lambda ids: stacked(
        *(
            request([user, 6], ids=ids, play_ms=[edge - 1, edge])
            for user, edge in enumerate((0, *feedback.DWELL_EDGES_MS, 2**31 - 1))
        )
    ),
}
SEARCHES = ("exact_int", "scann_int")
MODELS = {"exact_int": INT_IDS, "scann_int": INT_IDS, "scann_tree_string": STRING_IDS}


def wrong(name, change):
    one = RIGHT["one"](INT_IDS)
    return {**one, name: np.asarray(change(one[name]), one[name].dtype)}


WRONG = {  # name -> request, and what the message must say
    "unknown_history": (wrong("history_item_id", lambda x: x + 1), "history_item_id: id not in the item table"),
    "unknown_exclude": (wrong("exclude_item_id", lambda x: [[1]]), "exclude_item_id: id not in the item table"),
    "negative_id": (wrong("history_item_id", lambda x: [[-7, 0]]), "history_item_id: id not in the item table"),
    "flag": (wrong("history_dislike", lambda x: x + 1), "history_dislike: neither 0 nor 1"),
    "column_length": (wrong("history_play_ms", lambda x: x[:, :1]), "history_play_ms: shape is not"),
    "exclude_batch": (wrong("exclude_item_id", lambda x: [[0], [0]]), "exclude_item_id: not one row for each"),
    "k_batch": (wrong("k", lambda x: [1, 1]), "k: not one row for each"),
    "k_zero": (wrong("k", lambda x: [0]), f"k: not in 1..{MAX_K}"),
    "k_huge": (wrong("k", lambda x: [MAX_K + 1]), f"k: not in 1..{MAX_K}"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from nn.tensorflow_graph import XlaFunction, save
    from retrieval.export import saved_model, user_tower

    built = tmp_path_factory.mktemp("built")
    queries = RNG.normal(size=(8, D)).astype(np.float32)
    searches = {}
    for name, recall_target in (("scann_int", 1.01), ("scann_tree_string", 0.1)):
        searcher = index.build(ITEM_VECTORS, queries, k=10, recall_target=recall_target)
        searcher.save(built / f"index_{name}")
        leaves = searcher.effort.leaves
        assert (leaves > 0) == ("tree" in name)
        effort = index.Effort(10, leaves, leaves, N) if leaves else searcher.effort  # exact, and yet a tree
        searches[name] = saved_model.ScannSearch(built / f"index_{name}", num_items=N, effort=effort)
    shared = XlaFunction(tower, *user_tower.history(T))
    for name, ids in {**MODELS, "lenient": INT_IDS, "lenient_text": TEXT_IDS}.items():
        recommender = saved_model.Recommender(
            shared,
            searches.get(name) or saved_model.ExactSearch(ITEM_VECTORS),
            reading=Reading(T),
            item_ids=ids,
            input_feedback=READS,
            max_k=MAX_K,
            reject_unknown_ids=not name.startswith("lenient"),
        )
        save(recommender, recommender.signature(), built / name)
    shutil.rmtree(built / "index_scann_tree_string")
    return shutil.move(built, built.with_name("moved"))


@pytest.fixture(scope="module")
def answers(folder):
    cases = {(model, case): (model, make(ids)) for model, ids in MODELS.items() for case, make in RIGHT.items()}
    cases |= {("exact_int", case): ("exact_int", one) for case, (one, _) in WRONG.items()}
    cases[("lenient", "unknown")] = ("lenient", WRONG["unknown_history"][0])
    none = {name: column[:0] for name, column in RIGHT["one"](INT_IDS).items()}
    cases |= {(model, "no_request"): (model, none) for model in SEARCHES}
    return ask(folder, cases)


@pytest.mark.parametrize("case", RIGHT)
@pytest.mark.parametrize("model", MODELS)
def test_answers_are_those_of_the_reference(answers, model, case):
    one = RIGHT[case](MODELS[model])
    ids, scores = expected(one)
    answer = answers[model, case]
    np.testing.assert_allclose(answer["score"], scores, rtol=1e-4, atol=1e-4)
    got = np.char.decode(answer["item_id"].astype("S"), "utf-8") if ids.dtype.kind == "U" else answer["item_id"]
    np.testing.assert_array_equal(got, ids)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_name_the_input(answers, case):
    kind, message = answers["exact_int", case]
    assert kind == "InvalidArgumentError"
    assert WRONG[case][1] in message


@pytest.mark.parametrize("model", SEARCHES)
def test_no_request_has_an_answer_too(answers, model):
    answer = answers[model, "no_request"]
    assert len(answer["item_id"]) == len(answer["score"]) == len(answer["unknown_ids"]) == 0


def test_unknown_ids_are_ignored_and_counted(answers):
    # Neither id of the history is known: what is left is an empty one.
    assert answers["lenient", "unknown"]["unknown_ids"].tolist() == [2]
    assert answers["exact_int", "one"]["unknown_ids"].tolist() == [0]
    known = expected(request([], ids=INT_IDS))
    np.testing.assert_array_equal(answers["lenient", "unknown"]["item_id"], known[0])
    np.testing.assert_allclose(answers["lenient", "unknown"]["score"], known[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("model", "unknown"), [("lenient", 4), ("lenient_text", 0)])
def test_the_readmes_request_is_one_of_every_model(folder, model, unknown):
    """Whatever its ids are and whichever feedback it reads: these read no likes, but skips."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    asked = {}
    exec(example.replace("runs/demo/serve/recommender/saved_model", f"{folder}/{model}"), asked)
    answer = asked["answer"]
    assert answer["unknown_ids"].numpy().tolist() == [unknown]
    found = answer["item_id"].numpy()[0].astype(str)
    assert len({*found}) == 20
    assert not {*found} & ({"17", "3", "99", "41"} if not unknown else set())


@pytest.mark.parametrize("ids", [np.array([5, -1]), np.array(["a", ""])])
def test_the_id_of_padding_is_refused(ids):
    from retrieval.export import saved_model

    with pytest.raises(DataError, match="stands for padding"):
        saved_model.Recommender(
            None, None, reading=Reading(T), item_ids=ids, input_feedback=(), max_k=10, reject_unknown_ids=True
        )


def test_stock_model_has_no_foreign_operation(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    def operations(name):
        graph = saved_model_pb2.SavedModel.FromString((folder / name / "saved_model.pb").read_bytes()).meta_graphs[0]
        return {op.name for op in graph.meta_info_def.stripped_op_list.op}

    assert {op for op in operations("scann_int") - operations("exact_int") if "Scann" in op}
    assert not {op for op in operations("exact_int") if "Scann" in op}


@pytest.mark.parametrize("kind", ["exact", "scann"])
def test_no_step_of_a_search_compares_all_excluded_items_with_all_that_are_found(kind, tmp_path):
    """The largest array of any operation grows with the excluded items plus the corpus, not with their product."""
    import tensorflow as tf
    from tensorflow.python.framework import op_callbacks

    from retrieval.export import saved_model

    users, excluded, k = 8, 2_000, 10
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(users, D)).astype(np.float32)
    if kind == "exact":
        search = saved_model.ExactSearch(ITEM_VECTORS)
    else:
        built = index.build(ITEM_VECTORS, queries, k=k, recall_target=1.01)
        built.save(tmp_path / "scann")
        search = saved_model.ScannSearch(tmp_path / "scann", num_items=N, effort=built.effort)
    banned = rng.integers(0, N - k, (users, excluded)).astype(np.int32)
    largest = []

    def watch(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        largest.append(max((int(np.prod(one.shape)) for one in outputs if one.shape.rank is not None), default=0))

    op_callbacks.add_op_callback(watch)
    try:
        found, _ = search(tf.constant(queries), tf.constant(banned), tf.constant(k))
    finally:
        op_callbacks.remove_op_callback(watch)
    assert found.shape == (users, k)
    assert not (found.numpy()[:, :, None] == banned[:, None]).any()
    assert users * excluded <= max(largest) <= 4 * users * (excluded + N)
