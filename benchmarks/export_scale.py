"""Exporting and loading a recommender of more items than a program of 2 GB could hold.

  python -m benchmarks.export_scale [--items=5000000] [--serving]

A model of random weights, vectors of 64, is exported as retrieval.export does it, with --serving the index and the
SavedModels too; then it is loaded in a process of its own, as simulation does, and serves some users: their slates are
held up against all scores by NumPy. Prints seconds, sizes and the most memory of either process; that of the second is
without the files that are mapped into it, which the machine may drop.
"""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks.shared import record
from runtime import app

if TYPE_CHECKING:
    import numpy as np

    from data.timelines import Timelines
    from retrieval.checkpoint import Retriever

_ITEMS = flags.DEFINE_integer("items", 5_000_000, "Items; the old limit was about 4 million.", lower_bound=200)
_SERVING = flags.DEFINE_boolean("serving", False, "Also the index and the SavedModels.")

DIM, USERS, EVENTS, SLATE = 64, 8, 30, 100


def write_log(folder: Path, num_items: int) -> "Timelines":
    """Timelines of few events of many items."""
    import numpy as np
    import polars as pl

    from data import feedback, timelines

    rng, size = np.random.default_rng(0), USERS * EVENTS
    offsets = np.arange(USERS + 1) * EVENTS
    play_ms = rng.integers(0, 30_000, size)
    timelines.write(
        folder,
        arrays={
            **dict.fromkeys(timelines.EVENT_DTYPES, np.zeros(size)),
            "item": rng.integers(1, num_items + 1, size),
            "play_ms": play_ms,
            "dwell": feedback.dwell_bucket(play_ms),
            "feedback": feedback.to_bits({"dislike": rng.integers(2, size=size)}, play_ms=play_ms),
            "offsets": offsets,
            "valid_start": offsets[1:],
            "test_start": offsets[1:],
        },
        items=pl.DataFrame(
            {
                "item_id": pl.concat([pl.Series([None], dtype=pl.Int64), pl.Series(np.arange(1, num_items + 1))]),
                "creator_id": pl.repeat(None, num_items + 1, dtype=pl.String, eager=True),
                "cluster_id": pl.repeat(None, num_items + 1, dtype=pl.String, eager=True),
                "creator": np.zeros(num_items + 1, np.int32),
                "cluster": np.zeros(num_items + 1, np.int32),
                "train_count": np.zeros(num_items + 1, np.int32),
            }
        ),
        users=pl.DataFrame({"user_id": range(USERS)}),
        fields={"vocabulary_hash": "made up", "feedback": list(feedback.BITS)},
    )
    return timelines.Timelines.open(folder)


def random_model(log: "Timelines") -> "Retriever":
    """The towers of configs/retrieval.py:tiny, of 64 numbers, as they begin."""
    import jax

    from configs.retrieval import get_config
    from retrieval import checkpoint

    config = get_config("tiny")
    config.update({"dim": DIM, "counted": (), "trend_days": ()})
    model = checkpoint.build(config, log)
    return checkpoint.Retriever(model.merge, jax.jit(model.init)(jax.random.key(0)), config, log.num_items)


def serve(folder: str, histories: "list[np.ndarray]", answer: Any) -> None:
    """Loads the folder, serves the histories, and sends (seconds of each, MiB, queries, slates)."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from simulation.exported.recommender import load
    from simulation.exported.serving import replay, slates

    begin = time.perf_counter()
    recommender = load(folder)
    loaded = time.perf_counter()
    columns = [jnp.asarray(column) for column in histories]
    _, queries = replay(*columns, start=recommender.start, step=recommender.step)
    queries.block_until_ready()
    mapped = anonymous_mib()
    items, _ = slates(queries, jax.device_put(recommender.item_vectors), jnp.asarray(histories[0]), slate_size=SLATE)
    served = time.perf_counter()
    answer.send((loaded - begin, served - loaded, mapped, np.asarray(queries), np.asarray(items)))


def anonymous_mib() -> int:
    """Memory of this process that no file stands behind."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) >> 10


def best_by_numpy(vectors: "np.ndarray", queries: "np.ndarray", met: "np.ndarray") -> "np.ndarray":
    """The slates of queries [b, D], by all scores."""
    import numpy as np

    from metrics import ranking

    rows = np.repeat(np.arange(len(met)), met.shape[1] + 1)
    items = np.pad(met, ((0, 0), (1, 0))).ravel()  # and padding
    return ranking.top_k(queries @ vectors.T, SLATE, excluded=(rows, items))


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    # Imported here so that --help does not wait for them.
    import numpy as np

    from configs.retrieval import get_config
    from data.events_read import Reader
    from retrieval.export import folder as exporting

    with tempfile.TemporaryDirectory() as directory:
        log = write_log(Path(directory) / "timelines", _ITEMS.value)
        model = random_model(log)
        path, begin = Path(directory) / "recommender", time.perf_counter()
        options = get_config("tiny").export
        figures = exporting.write(
            path, retriever=model, timelines=log, options=options, lineage={}, with_serving=_SERVING.value
        )
        seconds = time.perf_counter() - begin
        peak = record.peak_gib()
        sizes = {
            name: file["bytes"] for name, file in json.loads((path / "manifest.json").read_text())["files"].items()
        }
        programs = sum(size for name, size in sizes.items() if name.endswith(".jax"))
        print(f"{_ITEMS.value:,} items of {DIM}: exported in {seconds:.0f} s, most memory {peak:.1f} GiB")
        what = f"exported recommender, {_ITEMS.value:,} items"
        record.hand_over(record.Row(f"{what}, written", "s", seconds, less_is_better=True))
        print(f"programs {programs / (1 << 10):,.0f} KiB, all files {sum(sizes.values()) / (1 << 30):.2f} GiB")
        for name, value in figures.items():
            print(f"{name} {value:,.4g}")

        users = np.arange(USERS)
        history = log.histories(users, log.offsets[1:], Reader(log.feedback, model.reading))
        columns = [history[name] for name in ("item", "dwell", "feedback")]
        expected, vectors = np.asarray(model.encode(history)), model.item_vectors()
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(str(path), columns, theirs))
        process.start()
        theirs.close()
        loaded, served, mapped, queries, items = ours.recv()
        process.join()
        record.hand_over(record.Row(f"{what}, loaded", "s", loaded, less_is_better=True))
        same = (items == best_by_numpy(vectors, queries, columns[0])).mean()
        print(f"loaded in {loaded:.1f} s, {USERS} users served in {served:.1f} s, {mapped:,} MiB before all are scored")
        print(f"queries differ by {np.abs(queries - expected).max():.1e} at most, {same:.1%} of slates are NumPy's")


if __name__ == "__main__":
    app.run(main)
