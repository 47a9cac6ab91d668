"""Time and memory of a training step with a sampled softmax by size of the corpus: all rows, and those it touches.

  python -m benchmarks.large_corpus [--items=10000 --items=100000 --items=1000000 --items=10000000]

The step of retrieval.train at its configured sizes (D = 64, a GRU of 128, 16 rows of 128 events, 4,096 candidates drawn
uniformly), on events whose items are drawn by Zipf's law; each item has a creator, one to ten items, and a cluster of a
thousand. Every size and way takes its turn in every repeat. Memory is what the compiled step needs, its state included,
as XLA reports it; where all rows need more than --most_gib that way is not run, and where a tenth of the items already
says so not compiled either: what it would need is then told as ten times as much.
"""

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import in_turns, ratios
from runtime import app, cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml_collections import ConfigDict

_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
_ITEMS = flags.DEFINE_multi_integer("items", _SIZES, "Items; once for each row of the table.", lower_bound=10_000)
_STEPS = flags.DEFINE_integer("steps", 4, "Steps of each in a turn.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Turns of each; medians count.", lower_bound=1)
_MOST_GIB = flags.DEFINE_float("most_gib", 6.0, "All rows are not run where they need more; 0: nowhere.")
_READY = 8  # batches that are made before anything is timed


class MadeUp:
    """Batches as data.loader.PackedBatches has them, of one user a row; half of the events are positive labels."""

    def __init__(self, num_items: int, config: "ConfigDict"):
        self.shape, self.num_items, self.seed = (config.batch_size, config.length), num_items, config.seed
        self.label_capacity = config.batch_size * config.length

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, index])
        rows, length = self.shape
        item = np.minimum(np.exp(rng.random((rows, length + 1)) * np.log(self.num_items)), self.num_items)
        item = (item.astype(np.int64) * 7_919 % self.num_items + 1).astype(np.int32)  # the popular ones anywhere
        kind = (rng.random((rows, length)) < 0.5).astype(np.int8).reshape(1, -1)
        return {
            "item": item[:, :-1],
            "dwell": rng.integers(0, 8, self.shape).astype(np.int32),
            "feedback": rng.integers(0, 8, self.shape).astype(np.int32),
            "reset": np.broadcast_to(np.arange(length) == 0, self.shape),
            "label_position": np.arange(self.label_capacity, dtype=np.int32)[None],
            "label": np.where(kind > 0, item[:, 1:].reshape(1, -1), 0),
            "label_kind": kind,
            "label_there": np.full(kind.shape, self.num_items, np.int32),
        }

    def label_counts(self) -> np.ndarray:
        """All alike: no sampler of this benchmark asks."""
        return np.ones(self.num_items + 1, np.int64)

    def upload_place(self) -> np.ndarray:
        """All items have always been there."""
        return np.arange(-1, self.num_items, dtype=np.int32)


class Step(NamedTuple):
    """A compiled step: GiB it needs; seconds a step of some, None where it is too big to run; why GiB is a guess."""

    gib: float | None
    run: "Callable[[], float] | None"
    guessed: str = ""


def content_of(num_items: int) -> Any:
    """Creators and clusters of items 1..N, drawn."""
    from data.items.content import ItemContent

    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(1, n + 1, num_items + 1) for n in (num_items // 5, 1000)], axis=1).astype(np.int32)
    codes[0] = 0
    none = np.zeros((num_items + 1, 0), np.float32)
    return ItemContent(codes, (0, 1), ("creator", "cluster"), (num_items // 5 + 1, 1001), none, ())


def step_of(config: "ConfigDict", num_items: int) -> Step:
    """The step that retrieval.train has for `config`, compiled, on batches that lie ready."""
    import jax

    from encoders.item_content import tower_features
    from retrieval.checkpoint import architecture_of
    from retrieval.large_corpus.item_rows import ITEM_TABLES, ItemRows
    from retrieval.large_corpus.touched_rows import TouchedRows
    from retrieval.objective import make_loss, make_loss_of_touched_rows
    from training.mesh import make_mesh, shard_batch
    from training.optimizer import make_optimizer
    from training.row_tables import RowTables
    from training.step import create_state, make_train_step

    content, seen = content_of(num_items), np.arange(num_items + 1) > 0
    batches: Any = MadeUp(num_items, config)
    mesh = make_mesh(devices=jax.devices()[:1])
    rows = None
    if config.touched_rows:
        items = ItemRows(tower_features(content, seen), content.owner, content.cardinalities, len(seen))
        none = content._replace(codes=content.codes[:1], embeddings=content.embeddings[:1])
        model = architecture_of(config, none, seen[:1], table_rows=len(seen))
        loss_fn = make_loss_of_touched_rows(model, config)
        batches = TouchedRows(batches, config, items, upload_place=batches.upload_place())
        rows = RowTables(items.tables(), mesh)
        optimizer = make_optimizer(config, total_steps=1000, rowwise=(ITEM_TABLES, config.table_learning_rate))
    else:
        model = architecture_of(config, content, seen)
        corpus = {"label_counts": batches.label_counts(), "upload_place": batches.upload_place()}
        loss_fn = make_loss(model.merge, config, num_items=num_items, **corpus)
        optimizer = make_optimizer(config, total_steps=1000)
    ready = [shard_batch(batches[index], mesh) for index in range(_READY)]
    key = jax.random.key(0)
    state = create_state(model.init, optimizer, key=key, mesh=mesh)
    train_step: Any = make_train_step(loss_fn, optimizer, state, rows=rows)
    step = train_step.lower(state, ready[0], key).compile()
    memory = step.memory_analysis()
    gib = (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 2**30
    if not config.touched_rows and gib > _MOST_GIB.value:
        return Step(gib, None)
    done = 0

    def run() -> float:
        nonlocal state, done
        begin = time.perf_counter()
        for _ in range(_STEPS.value):
            state, metrics = step(state, ready[done % _READY], key)
            done += 1
        jax.block_until_ready((state, metrics))
        return (time.perf_counter() - begin) / _STEPS.value

    run()  # the first is slower
    return Step(gib, run)


def _hand_over(
    what: str, unit: str, ours: float | None, peer: float | None, *, turns: tuple[float, ...] = (), note: str = ""
) -> None:
    against = "all rows" if peer else ""
    row = record.Row(what, unit, ours, peer, against=against, less_is_better=True, turns=turns, note=note, own=True)
    record.hand_over(row)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    import jax  # here so that --help does not wait for it

    from configs.retrieval import get_config

    config = get_config("kuairand_pure,dislike_input_and_label")
    config.softmax = "uniform"
    steps: dict[tuple[int, bool], Step] = {}
    for items in _ITEMS.value:
        for touched in (False, True):
            config.touched_rows = touched
            # All rows of a corpus ten times larger need ten times more: not even their state is made then.
            smaller = steps.get((items // 10, touched))
            if not _MOST_GIB.value and not touched:
                steps[items, touched] = Step(None, None)
            elif smaller and smaller.gib and smaller.gib * 10 > _MOST_GIB.value and not touched:
                guessed = f"ten times that of {items // 10:,} items, not run"
                steps[items, touched] = Step(smaller.gib * 10, None, guessed)
            else:
                steps[items, touched] = step_of(config, items)
    times = in_turns({way: step.run for way, step in steps.items() if step.run}, _REPEATS.value)
    where = f"{cores.count()} cores" if jax.devices()[0].platform == "cpu" else jax.devices()[0].device_kind
    print(f"a step of {config.batch_size} rows of {config.length}, {config.num_candidates} candidates, {where}")
    print(f"{'items':>12} {'all rows':>24} {'touched rows':>24} {'of the first, median and range':>34}")
    first = _ITEMS.value[0]
    for items in _ITEMS.value:
        cells, medians = [], dict[bool, float | None]()
        for touched in (False, True):
            step = steps[items, touched]
            medians[touched] = 1e3 * statistics.median(times[items, touched]) if step.run else None
            took = f"{medians[touched]:,.0f} ms" if step.run else "not run"
            cells.append(f"{took:>12} {'' if step.gib is None else f'{step.gib:.2f} GiB':>11}")
        of_first = ratios(times[items, True], times[first, True])
        spread = f"{statistics.median(of_first):.2f} ({min(of_first):.2f} to {max(of_first):.2f})"
        print(f"{items:>12,} {cells[0]:>24} {cells[1]:>24} {spread:>34}", flush=True)
        of, all_rows, touched_rows = f"{items:,} items", steps[items, False], steps[items, True]
        turns = ratios(times.get((items, False), []), times[items, True])
        note = "" if all_rows.run else "all rows: not run"
        _hand_over(f"a step on touched rows, {of}", "ms", medians[True], medians[False], turns=turns, note=note)
        what, guessed = f"memory of that step, {of}", all_rows.guessed
        note = f"all rows: {all_rows.gib:,.1f} GiB, {guessed}" if guessed else ""
        _hand_over(what, "GiB", touched_rows.gib, None if guessed else all_rows.gib, note=note)
        what = f"that step, of the time of one at {first:,} items; {of}"
        note = f"{min(of_first):.2f} to {max(of_first):.2f}" if items != first else ""
        _hand_over(what, "times", statistics.median(of_first), None, note=note)
    print(f"peak memory of this process, which held all that was run at once: {record.peak_gib():.1f} GiB")


if __name__ == "__main__":
    app.run(main)
