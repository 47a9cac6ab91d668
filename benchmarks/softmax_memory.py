"""Memory and time of the exact softmax in blocks (nn/softmax.py), against the same loss on full logits.

  python -m benchmarks.softmax_memory [--items=10000 --items=100000 --items=1000000] [--rows=512]

Forward and backward of -log p of --rows labels, vectors of 64. Memory is what the compiled program needs besides its
inputs and outputs, as XLA reports it. Where PyTorch is installed, F.cross_entropy on full logits too; its memory is
what the process grows by. Full logits are not run where they need more than --most_gib. All sides take turns.
"""

import math
import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import in_turns, ratios, seconds
from runtime import app, cores

if TYPE_CHECKING:
    import jax

_ITEMS = flags.DEFINE_multi_integer("items", [10_000, 100_000, 1_000_000], "Items; once for each row of the table.")
_ROWS = flags.DEFINE_integer("rows", 512, "Labels.", lower_bound=1)
_BLOCK_SIZE = flags.DEFINE_integer("block_size", 0, "Items a block; 0 for what suits the device.", lower_bound=0)
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "Of what is multiplied; sums are float32. PyTorch's by its autocast."
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each; the median counts.", lower_bound=1)
_MOST_GIB = flags.DEFINE_float("most_gib", 1.0, "Programs that need more are compiled, not run.")

DIM = 64
_OURS, _FULL, _BARE, _PYTORCH = "Heed", "full logits in JAX", "the three bare products in JAX", "PyTorch"


def blocks_loss(queries: "jax.Array", table: "jax.Array", labels: "jax.Array") -> "jax.Array":
    """-log p of the labels, exact, never more than a block of logits at a time."""
    import jax

    from nn.softmax import label_margins

    return jax.nn.softplus(
        -label_margins(queries, table, labels, block_size=_BLOCK_SIZE.value, dtype=_DTYPE.value)
    ).mean()


def full_loss(queries: "jax.Array", table: "jax.Array", labels: "jax.Array") -> "jax.Array":
    """The same on all logits at once, [rows, items]."""
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(_product(queries, table.T), labels).mean()


def products(queries: "jax.Array", table: "jax.Array", labels: "jax.Array") -> tuple["jax.Array", "jax.Array"]:
    """The three products without which no such loss has a gradient: logits, and logits with either side."""
    del labels
    logits = _product(queries, table.T)
    return _product(logits, table), _product(logits.T, queries)


def _product(a: "jax.Array", b: "jax.Array") -> "jax.Array":
    # In bfloat16 as PyTorch's autocast has it: what comes out is rounded too.
    return (a.astype(_DTYPE.value) @ b.astype(_DTYPE.value)).astype("float32")


def gradient(loss: Callable[..., "jax.Array"]) -> Callable[..., Any]:
    """Value and gradient of a loss."""
    import jax

    return jax.value_and_grad(loss, argnums=(0, 1))


class Side(NamedTuple):
    """MiB that a way needs, what runs it once, None where it is not run, and why PyTorch is not."""

    mib: float
    run: Callable[[], None] | None
    note: str = ""


def compiled(function: Callable[..., Any], arguments: Sequence[Any]) -> Side:
    """MiB of temporary memory, and what runs the program; None where it is too big to run."""
    import jax

    program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    assert memory is not None, "this backend does not say how much memory a program takes"
    mib = memory.temp_size_in_bytes / 2**20
    if mib > _MOST_GIB.value * 1024:
        return Side(mib, None)

    def run() -> None:
        jax.block_until_ready(program(*arguments))

    run()  # the first is slower
    return Side(mib, run)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    # On a GPU JAX would take most of its memory at once, and leave PyTorch too little.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax  # here so that --help does not wait for it

    device, size = jax.devices()[0], _BLOCK_SIZE.value
    where = f"{cores.count()} core(s)" if device.platform == "cpu" else device.device_kind
    blocks_of = f"blocks of {size}" if size else "blocks as suit the device"
    print(f"{_ROWS.value} rows of {DIM} in {_DTYPE.value}, {blocks_of}, {where}; forward and backward")
    print(f"{'items':>9} {'bare products':>14} {'full logits':>24} {'blocks':>24} {'memory':>9} {'time':>7}")
    keys = jax.random.split(jax.random.key(0), 3)
    for items in _ITEMS.value:
        arguments = (
            jax.random.normal(keys[0], (_ROWS.value, DIM)),
            jax.random.normal(keys[1], (items, DIM)) * DIM**-0.5,
            jax.random.randint(keys[2], (_ROWS.value,), 0, items),
        )
        sides = {_PYTORCH: _torchs(arguments)}  # first: later the process has memory to spare
        sides[_BARE] = compiled(products, arguments)
        sides[_FULL] = compiled(gradient(full_loss), arguments)
        sides[_OURS] = compiled(gradient(blocks_loss), arguments)
        turns = in_turns({name: partial(seconds, one.run) for name, one in sides.items() if one.run}, _REPEATS.value)
        ms = {name: [1e3 * once for once in turns.get(name, [])] for name in sides}
        full, ours, peer = (sides[name] for name in (_FULL, _OURS, _PYTORCH))
        cells = [f"{sides[name].mib:>9,.1f} MiB {_in_words(ms[name]):>10}" for name in (_FULL, _OURS)]
        faster = ratios(ms[_FULL], ms[_OURS])
        cells += [f"1/{full.mib / ours.mib:.0f}", f"{statistics.median(faster):.1f}x" if faster else ""]
        of_products = _in_words(ms[_BARE])
        print(f"{items:>9,} {of_products:>14} {cells[0]:>24} {cells[1]:>24} {cells[2]:>9} {cells[3]:>7}", flush=True)
        print(f"{'':>9} {_PYTORCH}: {peer.note or f'{peer.mib:,.1f} MiB {_in_words(ms[_PYTORCH])}'}", flush=True)
        what = f"{items:,} items, {_ROWS.value} rows" + ("" if _DTYPE.value == "float32" else f" in {_DTYPE.value}")
        for name in (_FULL, _BARE, _PYTORCH):
            if name != _BARE:  # that of full logits
                _hand_over(f"{what}: memory", "MiB", [ours.mib], [sides[name].mib], name, sides[name].note)
            _hand_over(f"{what}: time", "ms", ms[_OURS], ms[name], name, sides[name].note)


def _torchs(arguments: Sequence[Any]) -> Side:
    import numpy as np

    try:
        import torch

        from benchmarks.peers import cross_entropy
    except ImportError:
        return Side(math.nan, None, "PyTorch is not installed: pip install -r requirements-benchmarks.txt")
    torch.set_num_threads(cores.count())
    queries, table, labels = (np.asarray(argument) for argument in arguments)
    if cross_entropy.needed(len(queries), len(table)) > _MOST_GIB.value * 1024:
        return Side(math.nan, None, "not run")
    in_bfloat16, answers = _DTYPE.value == "bfloat16", labels.astype(np.int64)
    return Side(*cross_entropy.started(queries, table, answers, in_bfloat16=in_bfloat16))


def _hand_over(
    what: str, unit: str, ours: Sequence[float], peers: Sequence[float], against: str, note: str = ""
) -> None:
    # Of each turn, or one figure; none of a side that was not run.
    mine, theirs = (statistics.median(of) if of and not math.isnan(of[0]) else None for of in (ours, peers))
    turns = ratios(peers, ours) if len(ours) > 1 else ()
    note = note or ("" if mine and theirs else "not run")
    own = against == _BARE  # what any loss has to multiply: a bound, and no rival
    row = record.Row(what, unit, mine, theirs, against=against, less_is_better=True, turns=turns, note=note, own=own)
    record.hand_over(row)


def _in_words(milliseconds: Sequence[float]) -> str:
    return f"{statistics.median(milliseconds):,.2f} ms" if milliseconds else "not run"


if __name__ == "__main__":
    app.run(main)
