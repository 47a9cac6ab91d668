"""The softmax over the corpus as one would write it in PyTorch: all logits through F.cross_entropy.

On the GPU where PyTorch sees one.
"""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


def needed(rows: int, items: int) -> float:
    """MiB of the logits, their log-softmax and their gradient."""
    return 3 * 4 * rows * items / 2**20


def started(
    queries: NDArray[np.float32], table: NDArray[np.float32], labels: NDArray[np.int64], *, in_bfloat16: bool = False
) -> tuple[float, Callable[[], None]]:
    """MiB that memory grew by in a first forward and backward, and what does it again and waits for its end.

    Memory is the process's own on a CPU: less than it takes, where the process has kept memory that it had freed
    before; 0 where /proc does not tell. `in_bfloat16` is by PyTorch's autocast.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else "highest")  # TF32, as JAX on a GPU
    inputs = [torch.tensor(array, requires_grad=True, device=device) for array in (queries, table)]
    answers = torch.tensor(labels, device=device)

    def step() -> None:
        for one in inputs:
            one.grad = None
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_bfloat16):
            loss = torch.nn.functional.cross_entropy(inputs[0] @ inputs[1].T, answers)
        loss.backward()
        _wait(device)

    before = _from_now_on(device)
    step()
    return _most(device) - before, step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _from_now_on(device: torch.device) -> float:
    # Forgets the highest size so far; gives the present one.
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _most(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else _status("VmHWM")


def _status(name: str) -> float:
    path = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+) kB", path.read_text()) if path.exists() else None
    return int(found[1]) / 1024 if found else 0.0
