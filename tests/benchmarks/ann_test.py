"""The index beside peers: what counts as found, and peers that are not installed."""

import importlib.util

import numpy as np
import pytest

from benchmarks.peers import ann as peers
from benchmarks.peers.ann import found, least
from benchmarks.suite import harness
from benchmarks.suite.listed import Benchmark
from runtime.errors import FellShortError


def test_found_is_the_share_that_scores_as_the_best_do():
    vectors = np.array([[0.0, 0.0], [3.0, 0.0], [2.0, 0.0], [2.0, 5.0], [1.0, 0.0]], np.float32)
    queries, second = np.array([[1.0, 0.0]], np.float32), np.array([2.0])
    assert found(vectors, queries, second, np.array([[1, 2]])) == 1
    assert found(vectors, queries, second, np.array([[1, 3]])) == 1  # scores as much as item 2
    assert found(vectors, queries, second, np.array([[1, 4]])) == 1 / 2
    assert found(vectors, queries, second, np.array([[1, 0]])) == 1 / 2  # nothing


def test_the_least_effort_that_finds_enough_is_taken():
    vectors = np.array([[0.0], [3.0], [2.0], [1.0]], np.float32)
    settings = [(str(n), lambda queries, k, n=n: np.array([[1, 2, 0][:n] + [0] * (2 - n)])) for n in (0, 1, 2)]
    given = (vectors, np.ones((1, 1), np.float32), np.array([2.0]))
    assert least(iter(settings), *given, k=2, recall=0.5)[0] == "1"
    assert least(iter(settings), *given, k=2, recall=1.0)[0] == "2"
    with pytest.raises(FellShortError, match=r"a recall of 1\.0 is not reached by 1"):
        least(iter(settings[:2]), *given, k=2, recall=1.0)


def test_effort_rises_to_all_there_is():
    assert list(peers._rising(1, 8)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(peers._rising(100, 150)) == [100, 120, 144, 150]


@pytest.mark.parametrize("name", ["faiss_ivf", "hnsw", "exact"])
def test_peers_number_items_from_one(name):
    if name != "exact":
        pytest.importorskip({"faiss_ivf": "faiss", "hnsw": "hnswlib"}[name])
    rng = np.random.default_rng(0)
    vectors, queries = (rng.normal(size=(rows, 8)).astype(np.float32) for rows in (300, 20))
    given = {"faiss_ivf": {"leaves": 4, "threads": 1}, "hnsw": {"k": 10, "threads": 1}, "exact": {}}[name]
    *_, (_, search) = getattr(peers, name)(vectors, **given)
    expected = np.sort(np.argsort(-(queries @ vectors.T), axis=1)[:, :10] + 1)
    assert np.mean(np.sort(search(queries, 10)) == expected) > 0.95


def test_a_peer_that_is_not_installed_has_a_row_and_the_others_run():
    flags = ("--items=1000", "--queries=10", "--repeats=1")
    ended = harness.run(Benchmark("ann", "benchmarks.ann", flags), quick=False, log={})
    assert ended["failure"] == ""
    rows = {row["against"]: row for row in ended["rows"]}
    assert rows.keys() == {"faiss IVFFlat", "hnswlib", "exact search"}
    assert all(row["ours"] > 0 for row in rows.values())
    assert rows["exact search"]["ratio"] > 0
    for name, module in (("faiss IVFFlat", "faiss"), ("hnswlib", "hnswlib")):
        if importlib.util.find_spec(module) is None:
            assert rows[name]["ratio"] is None
            assert rows[name]["note"].startswith("not installed: pip install")
