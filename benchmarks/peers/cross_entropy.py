"""The softmax over the corpus as one would write it in PyTorch: all logits through F.cross_entropy, on the CPU."""

import contextlib
import re
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


def needed(rows: int, items: int) -> float:
    """MiB of the logits, their log-softmax and their gradient."""
    return 3 * 4 * rows * items / 2**20


def measure(
    queries: NDArray[np.float32], table: NDArray[np.float32], labels: NDArray[np.int64], *, repeats: int
) -> tuple[float, float]:
    """(MiB, milliseconds) of forward and backward: what the process grew by in the first, the median of the others.

    Less than it takes, where the process has kept memory that it had freed before; 0 where /proc does not tell.
    """
    inputs = [torch.tensor(array, requires_grad=True) for array in (queries, table)]
    answers = torch.tensor(labels)

    def step() -> None:
        for one in inputs:
            one.grad = None
        torch.nn.functional.cross_entropy(inputs[0] @ inputs[1].T, answers).backward()

    before = _from_now_on()
    step()
    grown = _status("VmHWM") - before
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return grown, statistics.median(times) * 1e3


def _from_now_on() -> float:
    # Has the kernel forget the highest size so far; gives the present one.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    path = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+) kB", path.read_text()) if path.exists() else None
    return int(found[1]) / 1024 if found else 0.0
