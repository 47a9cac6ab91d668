"""Queries a second of the exported index beside faiss IVFFlat, hnswlib and exact search, at equal recall, one thread.

  pip install -r requirements-benchmarks.txt
  python -m benchmarks.ann [--items=100000 --items=1000000]

Clustered vectors of 64, inner products, the best 100. Each index is searched with the least effort at which its
recall@100 on queries to tune by reaches --recall; what is shown is of other queries, all in one call, the median of
--repeats. They take turns, and each turn begins with the queries to tune by, untimed: a server is warm. Indexes are
built by all cores. faiss has the number of lists that is fastest, of three.
"""

import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import seconds
from runtime import app, cores
from runtime.errors import FellShortError

_ITEMS = flags.DEFINE_multi_integer("items", [100_000], "Items; once for each table.", lower_bound=1_000)
_QUERIES = flags.DEFINE_integer("queries", 2_000, "Queries to tune by, and as many to measure by.", lower_bound=10)
_RECALL = flags.DEFINE_float("recall", 0.99, "Recall@100 that each has to reach.", lower_bound=0.1, upper_bound=1.0)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each.", lower_bound=1)

_EXACT = "exact search"
K, DIM, CLUSTER = 100, 64, 500  # items wanted, numbers a vector, items of a cluster


def made_up(items: int, queries: int) -> tuple[Any, Any, Any]:
    """Vectors [items + 1, DIM], the first of padding; queries to tune by, and to measure by, [queries, DIM] each."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(1, items // CLUSTER), DIM)).astype(np.float32)

    def near(count: int) -> Any:
        noise = rng.standard_normal((count, DIM), np.float32)
        return centres[rng.integers(len(centres), size=count)] + 0.7 * noise

    vectors = near(items + 1)
    vectors[0] = 0
    return vectors, near(queries), near(queries)


def measure(items: int) -> None:
    """A table of `items` items."""
    from benchmarks.peers import ann as peers
    from retrieval.export import index

    vectors, tune, queries = made_up(items, _QUERIES.value)
    threshold = index.kth_best_score(vectors, tune, K)
    chosen, missing = {}, {}
    begin = time.perf_counter()
    ours = index.build(vectors, tune, k=K, recall_target=_RECALL.value)
    effort = ours.effort
    built = {"Heed": time.perf_counter() - begin}
    setting = f"leaves {effort.leaves}, search {effort.leaves_to_search}, reorder {effort.reorder}"
    chosen["Heed"] = setting if effort.leaves else "exact", lambda asked, k: ours.search(asked, k)[0]
    threads = cores.count()
    root = round(items**0.5)
    for name, ways in (
        ("faiss IVFFlat", [peers.faiss_ivf(vectors[1:], leaves=n * root, threads=threads) for n in (1, 2, 4)]),
        ("hnswlib", [peers.hnsw(vectors[1:], k=K, threads=threads)]),
        (_EXACT, [peers.exact(vectors[1:])]),
    ):
        begin = time.perf_counter()
        try:
            enough = [peers.least(settings, vectors, tune, threshold, k=K, recall=_RECALL.value) for settings in ways]
            chosen[name] = min(enough, key=lambda way: seconds(lambda: way[1](tune, K)))
        except ImportError:
            missing[name] = "not installed: pip install -r requirements-benchmarks.txt"
        except FellShortError as error:
            missing[name] = str(error)
        built[name] = time.perf_counter() - begin

    rates: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(_REPEATS.value):
        for name, (_, search) in chosen.items():
            asked = queries[: 1 + len(queries) // 10] if name == _EXACT else queries  # so slow that a tenth will do
            search(tune[: len(asked)], K)
            rates[name].append(len(asked) / seconds(partial(search, asked, K)))
    threshold = index.kth_best_score(vectors, queries, K)
    recalls = {
        name: peers.found(vectors, queries, threshold, search(queries, K)) for name, (_, search) in chosen.items()
    }
    print(f"{items:,} items of {DIM}, the best {K}, one thread")
    print(f"{'':<16}{'queries/s':>12}{'recall':>9}{'built, tuned':>14}")
    for name, (setting, _) in chosen.items():
        rate = statistics.median(rates[name])
        print(f"{name:<16}{rate:>12,.0f}{recalls[name]:>9.4f}{built[name]:>12.1f} s   {setting}")
    mine = statistics.median(rates["Heed"])
    for name in [*list(chosen)[1:], *missing]:
        what = f"{items:,} items, the best {K}"
        if name in missing:
            print(f"{name}: {missing[name]}")
            record.hand_over(record.Row(what, "queries/s", mine, against=name, note=missing[name]))
            continue
        ratios = tuple(a / b for a, b in zip(rates["Heed"], rates[name], strict=True))
        note = f"recall {recalls['Heed']:.4f} and {recalls[name]:.4f}; {chosen['Heed'][0]}; {chosen[name][0]}"
        peer = statistics.median(rates[name])
        record.hand_over(record.Row(what, "queries/s", mine, peer, against=name, turns=ratios, note=note))


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded: exact search too has one thread
    for items in _ITEMS.value:
        measure(items)


if __name__ == "__main__":
    app.run(main)
