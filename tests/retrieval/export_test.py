"""The exported recommender: every way to ask it gives the same answer, and nothing broken is ever exported."""

import dataclasses
import pickle
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from ml_collections import ConfigDict

from configs.retrieval import get_config
from data import feedback, timelines
from data.events_read import Reader, Reading
from retrieval.export import folder as exporting
from runtime import artifact
from runtime.errors import DataError, UsageError
from simulation.exported import recommender
from tests.helpers.exported_program import program

USERS, N, D, H, T = 40, 8_000, 6, 8, 5
OPTIONS = {**get_config().export, "num_queries": 64, "warmup_batch_sizes": (1,)}


class StandIn:
    """A GRU-like tower in plain JAX with the interface of a trained model."""

    reading = Reading(T)
    input_feedback = ("dislike", "skip")
    config = ConfigDict()
    train_on = ("train",)
    state_size = H

    def __init__(self):
        rng = np.random.default_rng(0)
        self.vectors = np.concatenate([np.zeros((1, D)), rng.normal(size=(N, D))]).astype(np.float32)
        tables = {
            "event": rng.normal(size=(N + 1, H)),
            "dwell": rng.normal(size=(feedback.NUM_DWELL_BUCKETS, H)),
            "bits": rng.normal(size=(2, H)),
            "recurrent": rng.normal(size=(H, H)) / H**0.5,
            "query": rng.normal(size=(H, D)),
            "cluster": rng.normal(size=(4, D)),
            "look": rng.normal(size=(2, D)),
        }
        self.weights = {"item_vectors": self.vectors}
        self.weights |= {f"weights/{name}": table.astype(np.float32) for name, table in tables.items()}
        self.closed_over = rng.normal(size=(N + 1, H)).astype(np.float32)  # as by a model of constants

    def item_vectors(self):
        return self.vectors

    def of_content_with(self, weights, codes, embeddings):
        return jnp.asarray(weights["weights/cluster"])[codes[:, 0]] + embeddings @ weights["weights/look"]

    def step_with(self, weights, state, item, dwell, bits):
        w = {name.removeprefix("weights/"): jnp.asarray(value) for name, value in weights.items() if value is not None}
        flags = jnp.stack([(bits >> feedback.BITS[name]) & 1 for name in self.input_feedback], axis=-1)  # [b, 2]
        event = w["event"][item] + jnp.asarray(self.closed_over)[item] + w["item_vectors"][item].sum(-1, keepdims=True)
        moved = jnp.tanh(event + w["dwell"][dwell] + flags @ w["bits"] + state @ w["recurrent"])
        state = jnp.where((item > 0)[:, None], moved, state)
        return state, state @ w["query"]

    def encode_with(self, weights, inputs):
        events = tuple(jnp.transpose(inputs[name]) for name in ("item", "dwell", "feedback"))  # [T, b]
        state = jnp.zeros((events[0].shape[1], H))
        return jax.lax.scan(lambda state, event: self.step_with(weights, state, *event), state, events)[1][-1]

    def encode(self, inputs):
        return self.encode_with(self.weights, inputs)


def random_timelines(path):
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 3 * T, size=USERS))])
    events = offsets[-1]
    play_ms = rng.integers(-1, 30_000, size=events)
    bits = feedback.to_bits({"dislike": rng.integers(2, size=events)}, play_ms=play_ms)
    zeros = np.zeros(events)
    timelines.write(
        path,
        arrays={
            **dict.fromkeys(timelines.EVENT_DTYPES, zeros),
            "item": rng.integers(1, N + 1, size=events),
            "play_ms": play_ms,
            "dwell": feedback.dwell_bucket(play_ms),
            "feedback": bits,
            "offsets": offsets,
            "valid_start": offsets[1:],
            "test_start": offsets[1:],
        },
        items=pl.DataFrame(
            {
                "item_id": [None, *(f"v{i}" for i in range(1, N + 1))],
                "creator_id": [None, *(f"c{i % 7}" for i in range(1, N + 1))],
                "cluster_id": [None, *(f"k{i % 3}" for i in range(1, N + 1))],
                "creator": [0, *(i % 7 + 1 for i in range(1, N + 1))],
                "cluster": [0, *(i % 3 + 1 for i in range(1, N + 1))],
                "duration_ms": [-1] * (N + 1),
                "train_count": [0] * (N + 1),
            }
        ),
        users=pl.DataFrame({"user_id": range(USERS)}),
        embeddings=rng.normal(size=(N + 1, 2)) * (np.arange(N + 1) > 0)[:, None],
        fields={
            "vocabulary_hash": "hash",
            "item_features": [{"name": "cluster", "cardinality": 4}],
            "item_embeddings": [{"name": "item.look", "size": 2}],
        },
    )
    return timelines.Timelines.open(path)


def write(path, log, model=None, **options):
    return exporting.write(
        path,
        retriever=model or StandIn(),
        timelines=log,
        options=ConfigDict({**OPTIONS, **options}),
        lineage={"checkpoint": 7},
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines(tmp_path_factory.mktemp("timelines") / "timelines")


@pytest.fixture(scope="module")
def exported(tmp_path_factory, log):
    """Written in one place and moved to another; with its metrics."""
    built = tmp_path_factory.mktemp("export") / "recommender"
    metrics = write(built, log)
    return shutil.move(built, built.with_name("moved")), metrics


def histories(log):
    users = np.arange(USERS)
    return log.histories(users, log.offsets[users + 1], Reader(log.feedback, Reading(T)))


def test_manifest_describes_the_folder(exported, log):
    folder, metrics = exported
    manifest = artifact.open_manifest(folder, kind="recommender", version=2, flag="--recommender")
    assert (manifest["length"], manifest["dim"], manifest["num_items"], manifest["state_size"]) == (T, D, N, H)
    assert manifest["vocabulary_hash"] == "hash"
    assert manifest["lineage"] == {"checkpoint": 7}
    assert manifest["feedback_bits"] == feedback.BITS
    assert tuple(manifest["dwell_edges_ms"]) == feedback.DWELL_EDGES_MS
    assert manifest["input_features"] == ["item", "dwell", "dislike", "skip"]
    assert manifest["index"]["recall@100"] == metrics["ann/recall@100"] >= 0.95
    assert manifest["index"]["qps"] == metrics["ann/qps"] > 0
    assert manifest["index"]["leaves"] > 0
    assert 0 < metrics["exact/p50_ms"] <= metrics["exact/p99_ms"]
    assert 0 < metrics["ann/p50_ms"] <= metrics["ann/p99_ms"]


def test_tables_have_a_row_for_padding(exported, log):
    folder, _ = exported
    vectors, table = np.load(folder / "item_vectors.npy"), pl.read_parquet(folder / "item_table.parquet")
    np.testing.assert_array_equal(vectors, StandIn().vectors)
    assert table["index"].to_list() == list(range(N + 1))
    assert table.row(0, named=True)["item_id"] is None
    assert table.row(8, named=True) == {
        "index": 8,
        "item_id": "v8",
        "creator_id": "c1",
        "cluster_id": "k2",
        "creator": 2,
        "cluster": 3,
        "train_count": (log.item == 8).sum(),  # every event of this log may be learned from
    }


def test_items_count_by_what_the_model_learned_from(log, tmp_path):
    """A model that was refitted has learned from the validation days too."""
    half = (log.offsets[:-1] + log.offsets[1:]) // 2
    cut = dataclasses.replace(log, valid_start=half)
    user, position = log.user_of_event(), np.arange(len(log.item))
    before = np.bincount(log.item[position < half[user]], minlength=N + 1)
    after = np.bincount(log.item, minlength=N + 1)
    assert (before < after).any()
    for train_on, expected in ((("train",), before), (("train", "valid"), after)):
        model = StandIn()
        model.train_on = train_on
        folder = tmp_path / "_".join(train_on)
        exporting.write(
            folder, retriever=model, timelines=cut, options=ConfigDict(OPTIONS), lineage={}, with_serving=False
        )
        table = pl.read_parquet(folder / "item_table.parquet")
        np.testing.assert_array_equal(table["train_count"], expected)


@pytest.mark.parametrize("batch", [1, USERS])
def test_user_tower_gives_the_models_queries(exported, log, batch):
    folder, _ = exported
    inputs = {name: column[:batch] for name, column in histories(log).items()}
    queries = program(folder, "user_tower.jax")(inputs["item"], inputs["dwell"], inputs["feedback"])
    np.testing.assert_allclose(queries, StandIn().encode(inputs), rtol=1e-5, atol=1e-6)


def test_user_step_folded_over_a_history_gives_the_towers_queries(exported, log):
    folder, _ = exported
    step = program(folder, "user_step.jax")
    inputs = histories(log)
    state = jnp.zeros((USERS, H))
    for t in range(T):
        before = state
        state, queries = step(state, inputs["item"][:, t], inputs["dwell"][:, t], inputs["feedback"][:, t])
        padding = inputs["item"][:, t] == 0
        np.testing.assert_array_equal(state[padding], before[padding])
    np.testing.assert_allclose(queries, StandIn().encode(inputs), rtol=1e-4, atol=1e-5)


def test_tables_lie_beside_the_programs_each_once(exported):
    """A program holds at most 2 GB: whatever grows with the items is a file, and what both programs read is one."""
    folder, _ = exported
    table = 4 * (N + 1) * H
    assert all(path.stat().st_size < table for path in folder.glob("*.jax"))
    read = {path.stem for path in (folder / "weights").iterdir()}
    closed_over = {name for name in read if name.startswith(("user_tower_", "user_step_"))}
    assert len(closed_over) == 2
    assert read - closed_over == {"event", "dwell", "bits", "recurrent", "query", "cluster", "look"}


def test_an_export_of_before_is_refused_in_one_line(exported, tmp_path):
    shutil.copytree(exported[0], tmp_path / "old")
    manifest = artifact.read_json(tmp_path / "old" / "manifest.json")
    artifact.write_json(tmp_path / "old" / "manifest.json", {**manifest, "version": 1})
    with pytest.raises(UsageError, match="recommender format 1, this code reads 2; write it again"):
        recommender.load(tmp_path / "old")


def test_servers_have_vectors_of_items_that_came_after_the_export(exported):
    import tensorflow as tf

    (folder, _), model = exported, StandIn()
    vectors = tf.saved_model.load(str(folder / "saved_model_items")).signatures["serving_default"]
    codes, looks = np.array([[1], [3], [0]], np.int32), np.float32([[0.5, -1], [2, 0], [0, 0]])
    for number in (3, 0):  # three are filled up to four
        found = vectors(codes=tf.constant(codes[:number]), embedding=tf.constant(looks[:number]))["vector"].numpy()
        expected = model.of_content_with(model.weights, codes[:number], looks[:number])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_simulation_reads_the_folder(exported, log):
    folder, _ = exported
    loaded = recommender.load(folder)
    assert (loaded.num_items, loaded.max_history) == (N, T)
    inputs = histories(log)
    events = tuple(inputs[name].T for name in ("item", "dwell", "feedback"))  # [T, USERS]
    _, queries = jax.lax.scan(lambda state, event: loaded.step(state, *event), loaded.start(USERS), events)
    np.testing.assert_allclose(queries[-1], StandIn().encode(inputs), rtol=1e-4, atol=1e-5)


# Answers requests in a process that cannot import jax.
SERVER = """
import pickle, sys
sys.modules["jax"] = sys.modules["jaxlib"] = None
import numpy as np, tensorflow as tf
import scann
folder, requests = pickle.load(sys.stdin.buffer)
answers = {}
for name in ("saved_model", "saved_model_scann"):
    answer = tf.saved_model.load(f"{folder}/{name}").signatures["serving_default"]
    answers[name] = [{k: v.numpy() for k, v in answer(**{k: tf.constant(v) for k, v in one.items()}).items()}
                     for one in requests]
pickle.dump(answers, sys.stdout.buffer)
"""


@pytest.fixture(scope="module")
def answers(exported, log):
    from retrieval.export import servable as serving

    folder, _ = exported
    requests = [serving.request(log, user, StandIn(), k=50) for user in range(USERS)]
    requests = [{name: tensor.numpy() for name, tensor in one.items()} for one in requests]
    done = subprocess.run(
        [sys.executable, "-c", SERVER], input=pickle.dumps((str(folder), requests)), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return pickle.loads(done.stdout)


def expected(log):
    """Rows [USERS, 50] and scores of the best items outside the last T events, by float64 arithmetic."""
    inputs = histories(log)
    scores = np.asarray(StandIn().encode(inputs), np.float64) @ StandIn().vectors.T.astype(np.float64)
    scores[:, 0] = -np.inf
    np.put_along_axis(scores, inputs["item"], -np.inf, axis=1)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :50]
    return rows, np.take_along_axis(scores, rows, axis=1)


def test_exact_saved_model_answers_as_the_model_does(answers, log):
    rows, scores = expected(log)
    for user, answer in enumerate(answers["saved_model"]):
        assert [i.decode() for i in answer["item_id"][0]] == [f"v{row}" for row in rows[user]]
        np.testing.assert_allclose(answer["score"][0], scores[user], rtol=1e-4, atol=1e-5)


def test_scann_saved_model_finds_nearly_the_same(answers, log):
    rows, _ = expected(log)
    inputs = histories(log)
    found = np.array([[int(i[1:]) for i in answer["item_id"][0]] for answer in answers["saved_model_scann"]])
    assert not any(set(found[user]) & set(inputs["item"][user]) for user in range(USERS))
    assert all(len(set(row)) == 50 for row in found)
    assert np.mean([len(set(a) & set(b)) / 50 for a, b in zip(found, rows)]) >= 0.95
    exact_scores = np.einsum(
        "ud,ukd->uk", np.asarray(StandIn().encode(inputs), np.float64), StandIn().vectors[found].astype(np.float64)
    )
    scores = np.array([answer["score"][0] for answer in answers["saved_model_scann"]])
    np.testing.assert_allclose(scores, exact_scores, rtol=1e-4, atol=1e-5)


def test_models_carry_warm_up_requests(exported):
    folder, _ = exported
    for name in ("saved_model", "saved_model_scann"):
        assert (folder / name / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def refuses(path, log, match, **arguments):
    with pytest.raises(DataError, match=match):
        write(path / "recommender", log, **arguments)
    assert not list(path.iterdir())


def test_vectors_that_are_not_finite_are_refused(tmp_path, log):
    model = StandIn()
    model.vectors[7, 2] = np.nan
    refuses(tmp_path, log, "item_vectors: row 7 is not finite", model=model)


def test_queries_that_are_not_finite_are_refused(tmp_path, log):
    model = StandIn()
    model.weights["weights/query"][0, 0] = np.inf
    refuses(tmp_path, log, "queries: row 0 is not finite", model=model)


def test_an_index_under_the_floor_is_refused(tmp_path, log):
    refuses(tmp_path, log, "under --config.export.recall_floor=1.01", recall_floor=1.01)


def test_without_serving_there_is_what_simulation_reads(tmp_path, log):
    metrics = exporting.write(
        tmp_path / "r", retriever=StandIn(), timelines=log, options=ConfigDict(OPTIONS), lineage={}, with_serving=False
    )
    names = {"manifest.json", "item_vectors.npy", "item_table.parquet", "user_tower.jax", "user_step.jax"}
    names |= {"item_embeddings.npy", "item_tower.jax", "item_codes.parquet"}  # where items have content
    names.add("weights")
    assert {file.name for file in (tmp_path / "r").iterdir()} == names
    assert metrics == {}


@pytest.fixture
def run(log, tmp_path, monkeypatch):
    """Exports to tmp_path/out, from a training run that stands in for one, and returns the last line."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "metrics.json").write_text("{}")
    monkeypatch.setattr(exporting.checkpoint, "load", lambda path, timelines, until: StandIn())

    def export(workdir="out", verdict=None, **options):
        return exporting.export(
            ConfigDict({**OPTIONS, **options}),
            data=str(log.path),
            trained=str(tmp_path / "train"),
            workdir=str(tmp_path / workdir),
            with_serving=False,
            verdict=verdict,
        )

    return export


def test_running_again_says_complete_and_mends_what_is_damaged(run, tmp_path, capsys):
    recommender = tmp_path / "out" / "recommender"
    assert run() == f"recommender: {recommender}"
    assert (tmp_path / "out" / "metrics.json").exists()
    assert run() == f"complete already: {recommender}"
    (recommender / "item_vectors.npy").write_bytes(b"")
    assert run() == f"recommender: {recommender}"
    assert "item_vectors.npy: 0 bytes" in capsys.readouterr().out
    assert np.load(recommender / "item_vectors.npy").shape == (N + 1, D)


def test_a_workdir_of_another_export_is_refused(run, tmp_path):
    run()
    with pytest.raises(UsageError, match="another config or dataset"):
        run(max_k=7)
    (tmp_path / "train" / "metrics.json").write_text('{"steps": 1}')  # trained again
    with pytest.raises(UsageError, match=r"lineage\.checkpoint"):
        run()


def test_the_manifest_carries_the_verdict_on_this_model_alone(run, tmp_path):
    file = tmp_path / "verdict.json"
    verdict = {"passed": True, "checkpoint": artifact.digest(tmp_path / "train" / "metrics.json")}
    artifact.write_json(file, verdict)
    run(verdict=str(file))
    assert artifact.read_json(tmp_path / "out" / "recommender" / "manifest.json")["verdict"] == verdict
    run("without")
    assert "verdict" not in artifact.read_json(tmp_path / "without" / "recommender" / "manifest.json")
    for other in ({"passed": True, "checkpoint": "another"}, []):
        artifact.write_json(file, other)
        with pytest.raises(UsageError, match=r"--verdict=.*verdict.json: not of the model in --checkpoint"):
            run("other", verdict=str(file))


def test_after_a_refused_export_other_settings_may_follow(run, tmp_path, monkeypatch):
    broken = StandIn()
    broken.vectors[7, 2] = np.nan
    monkeypatch.setattr(exporting.checkpoint, "load", lambda path, timelines, until: broken)
    with pytest.raises(DataError, match="row 7"):
        run()
    assert not list((tmp_path / "out").iterdir())
    broken.vectors[7, 2] = 0.0
    assert run(max_k=7).startswith("recommender: ")


@pytest.mark.parametrize(("name", "value"), [("max_k", 0), ("num_queries", 0), ("warmup_batch_sizes", (8, 0))])
def test_settings_that_make_no_sense_are_named(run, name, value):
    with pytest.raises(UsageError, match=f"--config.export.{name}="):
        run(**{name: value})
