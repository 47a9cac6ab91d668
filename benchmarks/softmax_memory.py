"""Memory and time of the exact softmax in blocks (nn/softmax.py), against the same loss on full logits.

  python -m benchmarks.softmax_memory [--items=10000 --items=100000 --items=1000000] [--rows=512]

Forward and backward of -log p of --rows labels, vectors of 64. Memory is what the compiled program needs besides its
inputs and outputs, as XLA reports it. Full logits are not run where they need more than --most_gib.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from runtime import app, cores

if TYPE_CHECKING:
    import jax

_ITEMS = flags.DEFINE_multi_integer("items", [10_000, 100_000, 1_000_000], "Items; once for each row of the table.")
_ROWS = flags.DEFINE_integer("rows", 512, "Labels.", lower_bound=1)
_BLOCK_SIZE = flags.DEFINE_integer("block_size", 1024, "Items a block.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed runs; the median counts.", lower_bound=1)
_MOST_GIB = flags.DEFINE_float("most_gib", 1.0, "Programs that need more are compiled, not run.")

DIM = 64


def blocks_loss(queries: "jax.Array", table: "jax.Array", labels: "jax.Array") -> "jax.Array":
    """-log p of the labels, exact, never more than a block of logits at a time."""
    import jax

    from nn.softmax import label_margins

    return jax.nn.softplus(-label_margins(queries, table, labels, block_size=_BLOCK_SIZE.value)).mean()


def full_loss(queries: "jax.Array", table: "jax.Array", labels: "jax.Array") -> "jax.Array":
    """The same on all logits at once, [rows, items]."""
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(queries @ table.T, labels).mean()


def measure(loss: Callable[..., "jax.Array"], arguments: Sequence[Any]) -> tuple[float, float | None]:
    """MiB of temporary memory, and the median milliseconds of value and gradient; None where it is too big to run."""
    import jax

    program = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(*arguments).compile()
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
    import jax  # here so that --help does not wait for it

    print(f"{_ROWS.value} rows of {DIM}, blocks of {_BLOCK_SIZE.value}, {cores.count()} cores; forward and backward")
    print(f"{'items':>9} {'full logits':>24} {'blocks':>24} {'memory':>9} {'time':>7}")
    keys = jax.random.split(jax.random.key(0), 3)
    for items in _ITEMS.value:
        arguments = (
            jax.random.normal(keys[0], (_ROWS.value, DIM)),
            jax.random.normal(keys[1], (items, DIM)) * DIM**-0.5,
            jax.random.randint(keys[2], (_ROWS.value,), 0, items),
        )
        full, blocks = measure(full_loss, arguments), measure(blocks_loss, arguments)
        cells = [f"{mib:>9,.1f} MiB {'not run' if ms is None else f'{ms:,.1f} ms':>10}" for mib, ms in (full, blocks)]
        faster = "" if full[1] is None or blocks[1] is None else f"{full[1] / blocks[1]:.1f}x"
        print(f"{items:>9,} {cells[0]:>24} {cells[1]:>24} {f'1/{full[0] / blocks[0]:.0f}':>9} {faster:>7}", flush=True)


if __name__ == "__main__":
    app.run(main)
