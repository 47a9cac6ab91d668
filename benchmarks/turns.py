"""Ours and PyTorch's in turns in one run: machines are shared, so what is compared is measured side by side."""

import statistics
from collections.abc import Callable

from absl import flags

from runtime.errors import UsageError
from runtime.memory import keep_freed_memory

_KEEP_MEMORY = flags.DEFINE_boolean(
    "keep_memory", False, "Keep freed memory, as Heed's commands do (runtime/memory.py): PyTorch gains by it too."
)

Run = Callable[[], float]  # trains for some steps and returns how many examples a second


def prepare() -> None:
    """What comes before anything that takes a minute: --keep_memory, and UsageError where PyTorch is not installed."""
    if _KEEP_MEMORY.value:
        keep_freed_memory()
    try:
        import torch  # noqa: F401
    except ImportError:
        raise UsageError("PyTorch is not installed: pip install -r requirements-benchmarks.txt") from None


def report(our_run: Run, torch_run: Run, *, repeats: int, unit: str, threads: int) -> None:
    """Prints the medians of each over `repeats` turns after one that compiles, and the median ratio with its range."""
    import jax
    import torch

    our_run(), torch_run()
    pairs = [(our_run(), torch_run()) for _ in range(repeats)]
    our_rate, torch_rate = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    print(f"Heed, jax {jax.__version__:<22} {our_rate:>9,.0f} {unit}")
    print(f"PyTorch {torch.__version__}, {threads} threads {torch_rate:>12,.0f} {unit}")
    print(f"ratio: {statistics.median(ratios):.2f} (of single turns: {ratios[0]:.2f} to {ratios[-1]:.2f})")
