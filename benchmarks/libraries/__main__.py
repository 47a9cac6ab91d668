"""Labels a second of training, beside RecBole, RecTools and the official GRU4Rec, on the same sequences in one run.

  python3.11 -m venv ../libraries && ../libraries/bin/pip install --no-deps -r requirements-libraries.txt
  git clone https://github.com/hidasib/GRU4Rec_PyTorch_Official ../gru4rec
  python -m benchmarks.libraries --sequences=sequences.txt --python=../libraries/bin/python --gru4rec=../gru4rec

Each trains as it comes, from its own reading of the sequences to its own optimizer, with its own loader: ours is the
paper's tower of retrieval.train with an exact softmax, 32 rows a batch. RecBole's batches are of 512 examples, a label
each, as those of `equal sequences` are, and not of the 2,048 that it has where nothing is said. All have T = 50,
vectors of 64, and a GRU's state 128; the official GRU4Rec has one width, 128. A label is what a position of a sequence
predicts. RecBole makes an example of each one, which begins at the sequence's first event, so all of that is read again
for every label; `equal sequences` are such examples, learned from by our step, which then has nothing over RecBole's
but its own speed.

The libraries want other versions of NumPy and pandas than Heed has, so each runs in a process of its own, of --python's
environment. They take turns with ours; what is not installed has a row that says so.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks.libraries.others import DIM, EQUAL, HIDDEN, LENGTH, SEQUENCES, NotRunError, Peer, measured, peers
from benchmarks.shared import record
from benchmarks.shared.waiting import printed
from runtime import app, cores
from runtime.paths import define_path

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from data.timelines import Timelines

_SEQUENCES = define_path("sequences", None, "A user a line, `user item item …`.", required=True)
_PYTHON = define_path("python", "", "The Python of an environment with RecBole and RecTools.")
_GRU4REC = define_path("gru4rec", "", "A clone of GRU4Rec_PyTorch_Official, which is no package.")
_USERS = flags.DEFINE_integer("users", 600, "Sequences that all learn from: the first of the file.", lower_bound=2)
_SECONDS = flags.DEFINE_float("seconds", 10.0, "Of a turn of each.", lower_bound=0.1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns of each.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", cores.count(), "PyTorch's threads.", lower_bound=1)

Run = Callable[[], float]  # trains for a turn, and returns how many labels a second


def ours(config: "ConfigDict", timelines: "Timelines") -> dict[str, Run]:
    """A turn of our training on its own batches, and one on sequences that have one label each."""
    import jax

    from benchmarks.libraries import equal_sequences
    from benchmarks.shared.our_training import endless, labels, started, training
    from training.mesh import shard_batch

    parts = training(config, timelines)

    def prefixes() -> Iterator[tuple[int, Any]]:
        while True:
            for batch in equal_sequences.batches(timelines, length=LENGTH, rows=512):
                yield len(batch["item"]), shard_batch(batch, parts.mesh)

    def run_of(batches: Iterator[tuple[int, Any]]) -> Run:
        state, step = started(parts, seed=config.seed)
        state, _ = jax.block_until_ready(step(state, next(batches)[1]))  # compiled before anything is timed

        def run() -> float:
            nonlocal state
            begin, learned = time.perf_counter(), 0
            while time.perf_counter() - begin < _SECONDS.value:
                number, batch = next(batches)
                state, metrics = step(state, batch)
                jax.block_until_ready(metrics)
                learned += number
            return learned / (time.perf_counter() - begin)

        return run

    return {SEQUENCES: run_of(endless(parts, labels)), EQUAL: run_of(prefixes())}


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv

    # Imported here so that --help does not wait for them.
    from configs.retrieval import get_config
    from data.timelines import Timelines

    config = get_config("sequences,no_dislike_signal_paper_tower")
    config.update({"length": LENGTH, "dim": DIM, "hidden": HIDDEN, "batch_size": 32})
    with tempfile.TemporaryDirectory() as folder:
        sequences = Path(folder) / "sequences.txt"
        with open(_SEQUENCES.value, encoding="utf-8") as lines:
            sequences.write_text("".join(line for line, _ in zip(lines, range(_USERS.value), strict=False)))
        asked = ("--config=configs/data.py:sequences", f"--data={sequences}", f"--workdir={folder}/timelines")
        printed("-m", "data.prepare", *asked, what=f"--sequences={_SEQUENCES.value}")
        timelines = Timelines.open(f"{folder}/timelines")
        runs = ours(config, timelines)
        chosen, missing = peers(_GRU4REC.value), {}
        turns: dict[tuple[str, str], list[tuple[float, float]]] = {}
        names = {}
        for _ in range(_REPEATS.value):
            mine = {name: run() for name, run in runs.items()}
            for peer in chosen:
                if peer.name in missing:
                    continue
                try:
                    names[peer.name], rate = measured(
                        peer, sequences, python=_PYTHON.value, threads=_THREADS.value, seconds=_SECONDS.value
                    )
                except NotRunError as error:
                    missing[peer.name] = str(error)
                    continue
                for beside in peer.beside:
                    turns.setdefault((peer.name, beside), []).append((mine[beside], rate))
    print(
        f"{timelines.num_items:,} items, {len(timelines.item):,} events of {timelines.num_users:,} users, T = {LENGTH}"
    )
    for peer in chosen:
        for beside in peer.beside:
            _report(peer, beside, turns.get((peer.name, beside), []), names, missing)


def _report(
    peer: Peer,
    beside: str,
    pairs: Sequence[tuple[float, float]],
    names: Mapping[str, str],
    missing: Mapping[str, str],
) -> None:
    if peer.name in missing or not pairs:
        note = missing.get(peer.name, "")
        print(f"{peer.name:<42} not run: {note}")
        record.hand_over(record.Row(beside, "labels/s", None, against=peer.name, note=note))
        return
    mine, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratios = tuple(a / b for a, b in pairs)
    print(
        f"{names[peer.name]:<42} {theirs:>10,.0f} labels/s, Heed {mine:>10,.0f} ({beside}): "
        f"{statistics.median(ratios):.1f} times (of single turns {min(ratios):.1f} to {max(ratios):.1f})"
    )
    record.hand_over(record.Row(beside, "labels/s", mine, theirs, names[peer.name], turns=ratios))


if __name__ == "__main__":
    app.run(main)
