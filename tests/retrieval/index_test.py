"""The ScaNN index against exact search."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest

from retrieval.export import index
from runtime.errors import DataError

K = 20


def clustered(seed, rows, centres, spread=0.7):
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(len(centres), size=rows)] + spread * rng.normal(size=(rows, 16))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus():
    centres = np.random.default_rng(0).normal(size=(20, 16))
    vectors = clustered(1, 3_001, centres)
    vectors[0] = 0.0
    return vectors, clustered(2, 100, centres), clustered(3, 100, centres)


def exact(vectors, queries, k):
    scores = queries.astype(np.float64) @ vectors[1:].T.astype(np.float64)
    item = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return item + 1, np.take_along_axis(scores, item, axis=1)


@pytest.fixture(scope="module")
def tree(corpus):
    vectors, tune, _ = corpus
    return index.build(vectors, tune, k=K, recall_target=0.97)


def test_where_a_tree_saves_no_work_every_item_is_scored(corpus):
    vectors, tune, queries = corpus
    assert index.build(vectors[: 6 * K], tune, k=K).effort == index.Effort(K)
    built = index.build(vectors, tune, k=K, recall_target=1.01)
    assert built.effort == index.Effort(K)
    item, score = built.search(queries, K)
    expected_item, expected_score = exact(vectors, queries, K)
    np.testing.assert_array_equal(item, expected_item)
    np.testing.assert_allclose(score, expected_score, rtol=1e-5)


def test_tree_reaches_its_target_on_queries_it_was_not_tuned_on(corpus, tree):
    vectors, _, queries = corpus
    assert tree.effort.leaves == round(np.sqrt(3_000))
    measured = index.recall(tree, vectors, queries, index.kth_best_score(vectors, queries, K), K)
    returned, _ = tree.search(queries, K)
    expected, _ = exact(vectors, queries, K)
    by_hand = np.mean([len(set(a) & set(b)) / K for a, b in zip(returned, expected)])
    assert measured == pytest.approx(by_hand, abs=1e-9)
    assert measured >= 0.95


def test_effort_is_the_cheapest_that_reaches_the_target(corpus, tree):
    vectors, tune, _ = corpus
    threshold = index.kth_best_score(vectors, tune, K)
    efforts = index._efforts(3_000, K)
    cheaper = efforts[: efforts.index(tree.effort)]
    for effort in cheaper:
        weaker = dataclasses.replace(tree, effort=effort)
        items, _ = weaker.search(tune, K)
        assert index._surely(index.recalls(items, vectors, tune, threshold)) < 0.97


@pytest.mark.parametrize("items", [10_000, 100_000, 1_000_000, 10_000_000])
def test_neither_the_leaves_nor_their_centres_are_most_of_a_large_corpus(items):
    # A query compares every centre and every item of the leaves it looks into: both grow slower than the corpus.
    leaves = index._leaves(items)
    assert leaves <= 4 * items**0.5
    assert items / leaves <= max(300, items**0.5 / 4) + 1


def test_every_leafs_centre_is_the_mean_of_many_items(monkeypatch, tmp_path):
    from scann.proto import scann_pb2

    monkeypatch.setattr(index, "_ITEMS_PER_LEAF", 10)  # as many leaves as a far larger corpus has
    monkeypatch.setattr(index, "_LEAST_SAMPLE", 1)
    vectors = np.random.default_rng(0).normal(size=(2_001, 8)).astype(np.float32)
    built = index.build(vectors, vectors[1:50], k=5, recall_target=0.9)
    built.save(tmp_path / "index")
    partitioning = scann_pb2.ScannConfig.FromString((tmp_path / "index/scann_config.pb").read_bytes()).partitioning
    assert partitioning.num_children == built.effort.leaves == round(4 * 2_000**0.5)
    assert partitioning.expected_sample_size >= 128 * partitioning.num_children


def test_padding_row_is_never_found():
    # Every real item scores below the zero vector of row 0.
    vectors = -np.ones((51, 4), np.float32)
    vectors[0] = 0.0
    item, score = index.build(vectors, np.ones((1, 4), np.float32)).search(np.ones((1, 4), np.float32), 50)
    assert sorted(item[0]) == list(range(1, 51))
    np.testing.assert_allclose(score, -4.0)


def test_k_above_the_corpus_is_padded(corpus):
    vectors, tune, _ = corpus
    item, score = index.build(vectors[:4], tune).search(tune[:1], 5)
    assert sorted(item[0, :3]) == [1, 2, 3]
    assert item[0, 3:].tolist() == [0, 0]
    assert np.isneginf(score[0, 3:]).all()


def test_wide_requests_search_in_proportion(corpus, tree):
    vectors, _, queries = corpus
    k = 30 * K
    assert index.recall(tree, vectors, queries, index.kth_best_score(vectors, queries, k), k) >= 0.95
    item, _ = tree.search(queries, 3_000)
    assert (np.sort(item, axis=1) == np.arange(1, 3_001)).all()


def test_ties_at_the_border_are_no_misses():
    vectors = np.ones((300, 4), np.float32)
    queries = np.ones((2, 4), np.float32)
    built = index.build(vectors, queries, k=10)
    assert index.recall(built, vectors, queries, index.kth_best_score(vectors, queries, 10), 10) == 1.0


def test_recall_counts_missing_items_as_misses(corpus, tree):
    vectors, _, queries = corpus
    starved = dataclasses.replace(tree, effort=dataclasses.replace(tree.effort, leaves_to_search=1, reorder=K))
    assert index.recall(starved, vectors, queries, index.kth_best_score(vectors, queries, K), K) < 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_rows_are_refused(corpus, value):
    vectors, tune, _ = corpus
    broken = vectors.copy()
    broken[17, 3] = value
    with pytest.raises(DataError, match="item_vectors: row 17 is not finite"):
        index.build(broken, tune)
    with pytest.raises(DataError, match="queries: row 2 is not finite"):
        index.build(vectors, broken[15:])


def test_saved_index_moves_and_keeps_its_effort(corpus, tree, tmp_path):
    _, _, queries = corpus
    from scann.scann_ops.py import scann_ops_pybind

    tree.save(tmp_path / "scann")
    shutil.move(tmp_path / "scann", tmp_path / "elsewhere")
    searcher = scann_ops_pybind.load_searcher(str(tmp_path / "elsewhere"))
    loaded = index.Index(searcher, num_items=3_000, effort=tree.effort)
    np.testing.assert_array_equal(loaded.search(queries, K)[0], tree.search(queries, K)[0])
    # Without being told the effort: the defaults in the folder are the tuned ones.
    by_default, _ = searcher.search_batched(queries)
    np.testing.assert_array_equal(by_default.astype(np.int64) + 1, tree.search(queries, K)[0])


def test_building_does_not_load_tensorflow():
    code = (
        "import sys, numpy as np; from retrieval.export import index; v = np.eye(8, dtype=np.float32);"
        "index.build(v, v, k=2).search(v, 2); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
