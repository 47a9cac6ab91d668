"""Memory and time of the exact softmax in blocks (nn/softmax.py), against the same loss on full logits.

  python -m benchmarks.softmax_memory [--items=10000 --items=100000 --items=1000000] [--rows=512]

Forward and backward of -log p of --rows labels, vectors of 64. Memory is what the compiled program needs besides its
inputs and outputs, as XLA reports it. Where PyTorch is installed, F.cross_entropy on full logits too; its memory is
what the process grows by. Full logits are not run where they need more than --most_gib.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks.shared import record
from runtime import app, cores

if TYPE_CHECKING:
    import jax

_ITEMS = flags.DEFINE_multi_integer("items", [10_000, 100_000, 1_000_000], "Items; once for each row of the table.")
_ROWS = flags.DEFINE_integer("rows", 512, "Labels.", lower_bound=1)
_BLOCK_SIZE = flags.DEFINE_integer("block_size", 0, "Items a block; 0 for what suits the device.", lower_bound=0)
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "Of what is multiplied; sums are float32. PyTorch's by its autocast."
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed runs; the median counts.", lower_bound=1)
_MOST_GIB = flags.DEFINE_float("most_gib", 1.0, "Programs that need more are compiled, not run.")

DIM = 64


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


def measure(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[float, float | None]:
    """MiB of temporary memory, and the median milliseconds; None where it is too big to run."""
    import jax

    program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    assert memory is not None, "this backend does not say how much memory a program takes"
    mib = memory.temp_size_in_bytes / 2**20
    if mib > _MOST_GIB.value * 1024:
        return mib, None
    jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(_REPEATS.value):
        begin = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - begin)
    return mib, statistics.median(times) * 1e3


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
        mib, ms, note = _torchs(arguments)  # first: later the process has memory to spare
        bare, full, blocks = (
            measure(function, arguments) for function in (products, gradient(full_loss), gradient(blocks_loss))
        )
        cells = [f"{mib:>9,.1f} MiB {_in_words(ms):>10}" for mib, ms in (full, blocks)]
        faster = "" if full[1] is None or blocks[1] is None else f"{full[1] / blocks[1]:.1f}x"
        less = f"1/{full[0] / blocks[0]:.0f}"
        print(f"{items:>9,} {_in_words(bare[1]):>14} {cells[0]:>24} {cells[1]:>24} {less:>9} {faster:>7}", flush=True)
        what = f"{items:,} items, {_ROWS.value} rows" + ("" if _DTYPE.value == "float32" else f" in {_DTYPE.value}")
        _hand_over(f"{what}: memory", "MiB", blocks[0], full[0], against="full logits in JAX")
        _hand_over(f"{what}: time", "ms", blocks[1], full[1], against="full logits in JAX")
        _hand_over(f"{what}: time", "ms", blocks[1], bare[1], against="the three bare products in JAX")
        print(f"{'':>9} PyTorch: {note or f'{mib:,.1f} MiB {_in_words(ms)}'}", flush=True)
        _hand_over(f"{what}: memory", "MiB", blocks[0], mib, against="PyTorch", note=note)
        _hand_over(f"{what}: time", "ms", blocks[1], ms, against="PyTorch", note=note)


def _torchs(arguments: Sequence[Any]) -> tuple[float | None, float | None, str]:
    # MiB, ms, and why there are none.
    import numpy as np

    try:
        import torch

        from benchmarks.peers import cross_entropy
    except ImportError:
        return None, None, "PyTorch is not installed: pip install -r requirements-benchmarks.txt"
    torch.set_num_threads(cores.count())
    queries, table, labels = (np.asarray(argument) for argument in arguments)
    if cross_entropy.needed(len(queries), len(table)) > _MOST_GIB.value * 1024:
        return None, None, "not run"
    in_bfloat16, answers = _DTYPE.value == "bfloat16", labels.astype(np.int64)
    measured = cross_entropy.measure(queries, table, answers, repeats=_REPEATS.value, in_bfloat16=in_bfloat16)
    return *measured, ""


def _hand_over(what: str, unit: str, ours: float | None, peer: float | None, *, against: str, note: str = "") -> None:
    note = note or ("" if ours and peer else "not run")
    record.hand_over(record.Row(what, unit, ours, peer, against=against, less_is_better=True, note=note))


def _in_words(milliseconds: float | None) -> str:
    return "not run" if milliseconds is None else f"{milliseconds:,.2f} ms"


if __name__ == "__main__":
    app.run(main)
